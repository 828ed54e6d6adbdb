use proptest::prelude::*;
use serde_json::{Value, json};

use super::text::{MAX_BYTES, MAX_TOTAL};
use super::*;
use crate::codec::{Encoding, EncryptionHeader};
use crate::payload::digest::DigestAlgorithm;

fn header() -> Header {
    let digest: Digest = format!("blake3:{}", "0".repeat(64)).parse().unwrap();
    Header {
        whole: Whole {
            id: "p-1".to_owned(),
            count: 3,
            total: 30,
            digest: digest.clone(),
            original_length: None,
            encoding: Encoding::default(),
        },
        index: 1,
        offset: 10,
        checksum: digest,
        layout: Layout::Text,
    }
}

#[test]
fn a_header_is_compact_json() {
    let zeros = "0".repeat(64);
    let text = header().to_string();
    assert_eq!(
        text,
        format!(
            r#"{{"version":1,"id":"p-1","count":3,"total":30,"digest":"blake3:{zeros}","index":1,"offset":10,"checksum":"blake3:{zeros}","form":"text"}}"#
        )
    );
    assert_eq!(text.parse(), Ok(header()));
}

#[test]
fn a_header_is_found_by_its_attribute() {
    assert_eq!(Header::find(&BTreeMap::new()), Ok(None));
    let with = |value: MessageAttributeValue| Header::find(&BTreeMap::from([(HEADER_ATTRIBUTE.to_owned(), value)]));
    assert_eq!(with(header().to_string().into()), Ok(Some(header())));
    assert!(with(MessageAttributeValue::binary(header().to_string())).is_err());
    assert!(with("".into()).is_err());
}

fn changed(member: &str, value: Value) -> Result<Header, InvalidSegment> {
    let mut members: Value = serde_json::from_str(&header().to_string()).unwrap();
    members[member] = value;
    members.to_string().parse()
}

#[test]
fn values_out_of_range_are_refused() {
    for (member, value) in [
        ("version", json!(2)),
        ("version", json!("1")),
        ("id", json!("")),
        ("id", json!("a b")),
        ("id", json!("ä")),
        ("id", json!("a".repeat(65))),
        ("count", json!(0)),
        ("count", json!(1)),
        ("count", json!(MAX_SEGMENTS + 1)),
        ("count", json!(-1)),
        ("count", json!(2.5)),
        ("index", json!(3)),
        ("index", json!(0)),
        ("index", json!(u64::MAX)),
        ("offset", json!(0)),
        ("offset", json!(29)),
        ("offset", json!(31)),
        ("offset", json!(u64::MAX)),
        ("total", json!(11)),
        ("total", json!(MAX_TOTAL + 1)),
        ("digest", json!("md5:00")),
        ("checksum", Value::Null),
        ("form", json!("gzip")),
        ("originalLength", json!(30)),
        ("encoding", json!({"compression": "zstd"})),
        ("encoding", json!("zstd")),
    ] {
        assert!(changed(member, value.clone()).is_err(), "{member}: {value}");
    }
    for (member, value) in [
        ("id", json!("A_z-9".repeat(12))),
        ("count", json!(MAX_SEGMENTS)),
        ("total", json!(MAX_TOTAL)),
        ("offset", json!(28)),
        ("unknown", json!([{"deep": [[[null]]]}])),
    ] {
        // A payload with fewer bytes than segments is refused.
        let fits = changed("total", json!(MAX_TOTAL)).map(|header| header.to_string());
        let mut members: Value = serde_json::from_str(&fits.unwrap()).unwrap();
        if member == "offset" {
            members["total"] = json!(30);
        }
        members[member] = value.clone();
        assert!(members.to_string().parse::<Header>().is_ok(), "{member}: {value}");
    }
}

#[test]
fn other_texts_are_refused() {
    let text = header().to_string();
    let long = text.replace("p-1", &" ".repeat(MAX_BYTES));
    let twice = text.replace(r#""index":1"#, r#""index":1,"index":1"#);
    let twice_below = text.replace(r#""count":3"#, r#""count":3,"count":3"#);
    let trailing = format!("{text} x");
    for text in [
        "",
        "null",
        "{}",
        "[]",
        &"[".repeat(MAX_BYTES),
        &long,
        &twice,
        &twice_below,
        &trailing,
    ] {
        assert!(text.parse::<Header>().is_err(), "{text:.100}");
    }
}

#[test]
fn a_segments_length_fits_the_payloads() {
    let middle = header();
    assert!(middle.allows_len(1) && middle.allows_len(19));
    assert!(!middle.allows_len(0) && !middle.allows_len(20) && !middle.allows_len(u64::MAX));
    let last = Header { index: 2, ..header() };
    assert!(last.allows_len(20) && !last.allows_len(19) && !last.allows_len(21));
    let empty = Header {
        whole: Whole {
            count: 1,
            total: 0,
            ..header().whole
        },
        index: 0,
        offset: 0,
        layout: Layout::Binary,
        ..header()
    };
    assert!(empty.allows_len(0) && !empty.allows_len(1));
    assert_eq!(empty.to_string().parse(), Ok(empty));
}

#[test]
fn verify_checks_length_and_checksum() {
    let header = Header {
        checksum: Digest::compute(DigestAlgorithm::Sha256, b"hello"),
        ..header()
    };
    assert_eq!(header.verify(b"hello"), Ok(()));
    assert!(header.verify(b"hellO").is_err());
    assert!(header.verify(b"").is_err());
}

fn digests() -> impl Strategy<Value = Digest> {
    "(blake3|sha256):[0-9a-f]{64}".prop_map(|text| text.parse().unwrap())
}

fn encodings() -> impl Strategy<Value = Encoding> {
    let encryption =
        (any::<String>(), any::<String>(), "[A-Za-z0-9+/]{0,600}").prop_map(|(scheme, key_id, wrapped_key)| {
            EncryptionHeader {
                scheme,
                key_id,
                wrapped_key,
            }
        });
    (prop::option::of(any::<String>()), prop::option::of(encryption)).prop_map(|(compression, encryption)| Encoding {
        compression,
        encryption,
    })
}

fn headers() -> impl Strategy<Value = Header> {
    let position = (1..=MAX_SEGMENTS).prop_flat_map(|count| {
        let total = u64::from(count)..=MAX_TOTAL;
        (Just(count), total, 0..count)
    });
    let position = position.prop_flat_map(|(count, total, index)| {
        let least = u64::from(index);
        let most = if index == 0 {
            0
        } else {
            total - u64::from(count - index)
        };
        (Just((count, total, index)), least..=most)
    });
    let layout = prop_oneof![Just(Layout::Text), Just(Layout::Binary), Just(Layout::Base64)];
    let description = ("[A-Za-z0-9_-]{1,64}", encodings(), any::<u64>(), layout);
    (position, description, digests(), digests()).prop_map(
        |(((count, total, index), offset), (id, encoding, original, layout), digest, checksum)| {
            let plain = encoding.is_plain();
            Header {
                layout: if layout == Layout::Text && !plain {
                    Layout::Binary
                } else {
                    layout
                },
                whole: Whole {
                    id,
                    count,
                    total,
                    digest,
                    original_length: (!plain).then_some(original),
                    encoding,
                },
                index,
                offset,
                checksum,
            }
        },
    )
}

proptest! {
    #[test]
    fn every_header_survives_a_round_trip(header in headers()) {
        prop_assert_eq!(header.to_string().parse(), Ok(header));
    }

    #[test]
    fn the_parser_never_panics(text in any::<String>()) {
        let _ = text.parse::<Header>();
    }

    #[test]
    fn a_damaged_header_is_refused_or_stays_within_bounds(
        header in headers(),
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<char>(), prop::char::range('0', '9')],
        len in any::<u64>(),
    ) {
        let mut chars: Vec<char> = header.to_string().chars().collect();
        *at.get_mut(&mut chars) = with;
        if let Ok(header) = chars.into_iter().collect::<String>().parse::<Header>() {
            let whole = &header.whole;
            prop_assert!(header.index < whole.count && whole.count <= MAX_SEGMENTS);
            prop_assert!(header.offset <= whole.total && whole.total <= MAX_TOTAL);
            let _ = header.allows_len(len);
        }
    }
}
