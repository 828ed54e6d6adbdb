//! What a segment says of itself and of its payload: one attribute, whose text is compact JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqs_client::types::MessageAttributeValue;
use sqs_client::{OutgoingMessage, limits};

use crate::codec::Encoding;
use crate::payload::digest::{Digest, DigestAlgorithm, Hasher};
use crate::segment::{Form, HEADER_ATTRIBUTE, MAX_SEGMENTS};

/// The version that this crate writes and reads.
const VERSION: u32 = 1;

/// A longer text is no header: it has some 300 bytes, and the rest is what an encryption needs, mostly the wrapped key.
const MAX_BYTES: usize = 8 * 1024;

/// Longest id of a payload.
const MAX_ID_BYTES: usize = 64;

/// More stored bytes than the most segments can hold.
const MAX_TOTAL: u64 = MAX_SEGMENTS as u64 * limits::MAX_MESSAGE_BYTES as u64;

/// What all segments of a payload say alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    /// Tells the payload from all others: up to 64 letters, digits, hyphens and underscores.
    pub(crate) id: String,
    /// How many segments there are.
    pub(crate) count: u32,
    /// Bytes that all segments hold together: of the payload as it is stored, after compression and encryption.
    pub(crate) total: u64,
    /// Of the segments: see [`Whole::digest_of`].
    pub(crate) digest: Digest,
    /// Bytes of the payload itself, where its encoding makes another number of them.
    #[serde(rename = "originalLength", default, skip_serializing_if = "Option::is_none")]
    pub(crate) original_length: Option<u64>,
    /// How the stored bytes differ from the payload.
    #[serde(default, skip_serializing_if = "Encoding::is_plain")]
    pub(crate) encoding: Encoding,
}

impl Whole {
    /// The digest of the segments' checksums, in their order: of their texts. So the bytes are hashed once for both.
    pub(super) fn digest_of<'a>(algorithm: DigestAlgorithm, checksums: impl IntoIterator<Item = &'a Digest>) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        for checksum in checksums {
            hasher.update(checksum.to_string().as_bytes());
        }
        hasher.finish()
    }
}

/// Writes compact JSON.
impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// One segment of a payload. `Display` writes, and `FromStr` strictly reads, the attribute's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    #[serde(flatten)]
    pub(crate) whole: Whole,
    /// Its place among the segments, from 0.
    pub(crate) index: u32,
    /// Where its bytes begin among the stored bytes.
    pub(crate) offset: u64,
    /// Digest of its own bytes.
    pub(crate) checksum: Digest,
    /// Where in the message its bytes are.
    pub(crate) form: Form,
}

/// The message says that it is a segment, but is not one, or not one that this version can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSegment(pub(super) &'static str);

impl fmt::Display for InvalidSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidSegment {}

impl Header {
    /// The header of a message with these attributes, or `None` if it is not a segment.
    ///
    /// # Errors
    ///
    /// The message claims to be a segment but is not a sound one.
    pub(crate) fn find(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<Option<Self>, InvalidSegment> {
        let Some(value) = attributes.get(HEADER_ATTRIBUTE) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or(InvalidSegment("the message's segment header is not text"))?;
        text.parse().map(Some)
    }

    /// The message that carries these bytes of it, which must be its own.
    pub(crate) fn seal(&self, bytes: Bytes) -> OutgoingMessage {
        let mut message = OutgoingMessage::new("").message_attribute(HEADER_ATTRIBUTE, self.to_string());
        self.form.write(&mut message, bytes);
        message
    }

    /// Whether `len` bytes can be what this segment holds.
    pub(crate) fn takes(&self, len: u64) -> bool {
        let Some(after) = self.offset.checked_add(len) else {
            return false;
        };
        let rest = self.whole.total.checked_sub(after);
        match u64::from(self.whole.count - self.index) - 1 {
            0 => rest == Some(0),
            later => len > 0 && rest.is_some_and(|rest| rest >= later),
        }
    }

    /// # Errors
    ///
    /// These are not the bytes that the segment was made of.
    pub(crate) fn verify(&self, bytes: &[u8]) -> Result<(), InvalidSegment> {
        if !u64::try_from(bytes.len()).is_ok_and(|len| self.takes(len)) {
            return Err(InvalidSegment("the segment is not as long as its header says"));
        }
        if Digest::compute(self.checksum.algorithm(), bytes) != self.checksum {
            return Err(InvalidSegment("the segment's bytes are not those that were sent"));
        }
        Ok(())
    }

    fn check(self) -> Result<Self, InvalidSegment> {
        let whole = &self.whole;
        let id_is_plain = whole
            .id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let plain = whole.encoding.is_plain();
        // Every segment but a lone one has a byte at least.
        let rest = whole.total.checked_sub(self.offset);
        let fits = |rest: u64| whole.count == 1 || rest >= u64::from(whole.count - self.index);
        let sound = [
            (
                !whole.id.is_empty() && whole.id.len() <= MAX_ID_BYTES && id_is_plain,
                "the payload's id is not 1 to 64 letters, digits, hyphens and underscores",
            ),
            (
                (1..=MAX_SEGMENTS).contains(&whole.count) && self.index < whole.count,
                "the segment's index or their count is out of range",
            ),
            (
                whole.total <= MAX_TOTAL
                    && self.offset >= u64::from(self.index)
                    && (self.index > 0 || self.offset == 0),
                "the segment's offset or the payload's length is out of range",
            ),
            (
                plain == whole.original_length.is_none(),
                "an encoded payload has an original length, and no other has",
            ),
            (
                self.form != Form::Text || plain,
                "a segment is text, and the payload is encoded",
            ),
        ];
        if let Some((_, wrong)) = sound.into_iter().find(|(sound, _)| !sound) {
            return Err(InvalidSegment(wrong));
        }
        // Only now is the index known to be below the count.
        if !rest.is_some_and(fits) {
            return Err(InvalidSegment("the segment is not within the payload"));
        }
        Ok(self)
    }
}

#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    header: &'a Header,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versioned = Versioned {
            version: VERSION,
            header: self,
        };
        f.write_str(&serde_json::to_string(&versioned).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Header {
    type Err = InvalidSegment;

    fn from_str(text: &str) -> Result<Self, InvalidSegment> {
        if text.len() > MAX_BYTES {
            return Err(InvalidSegment("the segment's header is too long"));
        }
        // serde_json's own message would quote the stranger's text.
        let malformed = |_| InvalidSegment("the segment's header is not in a known form");
        let Version { version } = serde_json::from_str(text).map_err(malformed)?;
        if version != VERSION {
            return Err(InvalidSegment(
                "the segment is of a newer version than this reader knows",
            ));
        }
        serde_json::from_str::<Self>(text).map_err(malformed)?.check()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::codec::EncryptionHeader;

    pub(in crate::segment) fn header() -> Header {
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
            form: Form::Text,
        }
    }

    #[test]
    fn written_without_spaces_and_read_back() {
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
    fn found_by_its_attribute() {
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
    fn what_is_out_of_bounds_is_refused() {
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
            // More segments than bytes are refused.
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
    fn text_that_is_no_header_is_refused() {
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
    fn lengths_are_held_against_the_whole() {
        let middle = header();
        assert!(middle.takes(1) && middle.takes(19));
        assert!(!middle.takes(0) && !middle.takes(20) && !middle.takes(u64::MAX));
        let last = Header { index: 2, ..header() };
        assert!(last.takes(20) && !last.takes(19) && !last.takes(21));
        let empty = Header {
            whole: Whole {
                count: 1,
                total: 0,
                ..header().whole
            },
            index: 0,
            offset: 0,
            form: Form::Binary,
            ..header()
        };
        assert!(empty.takes(0) && !empty.takes(1));
        assert_eq!(empty.to_string().parse(), Ok(empty));
    }

    #[test]
    fn bytes_are_verified() {
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
        (prop::option::of(any::<String>()), prop::option::of(encryption)).prop_map(|(compression, encryption)| {
            Encoding {
                compression,
                encryption,
            }
        })
    }

    fn headers() -> impl Strategy<Value = Header> {
        let place = (1..=MAX_SEGMENTS).prop_flat_map(|count| {
            let total = u64::from(count)..=MAX_TOTAL;
            (Just(count), total, 0..count)
        });
        let place = place.prop_flat_map(|(count, total, index)| {
            let least = u64::from(index);
            let most = if index == 0 {
                0
            } else {
                total - u64::from(count - index)
            };
            (Just((count, total, index)), least..=most)
        });
        let form = prop_oneof![Just(Form::Text), Just(Form::Binary), Just(Form::Base64)];
        let says = ("[A-Za-z0-9_-]{1,64}", encodings(), any::<u64>(), form);
        (place, says, digests(), digests()).prop_map(
            |(((count, total, index), offset), (id, encoding, original, form), digest, checksum)| {
                let plain = encoding.is_plain();
                Header {
                    form: if form == Form::Text && !plain {
                        Form::Binary
                    } else {
                        form
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
        fn what_is_written_is_read_back(header in headers()) {
            prop_assert_eq!(header.to_string().parse(), Ok(header));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<Header>();
        }

        #[test]
        fn damage_is_refused_or_stays_within_bounds(
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
                let _ = header.takes(len);
            }
        }
    }
}
