use proptest::prelude::*;

use super::*;
use crate::pointer::testing::pointers;

const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
const SIZE: u64 = 12;

fn keys() -> PointerKeys {
    PointerKeys::new("new", &[1; 32]).unwrap()
}

fn signed(keys: &PointerKeys, mut pointer: Pointer, queue: &str) -> Envelope {
    keys.sign(&mut pointer, SIZE, queue);
    Envelope {
        pointer,
        size: Some(SIZE),
    }
}

fn plain() -> Pointer {
    Pointer::new("B", "K")
}

fn refusal(verified: Result<(), Error>) -> String {
    let error = verified.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RefusedPointer);
    error.to_string()
}

#[test]
fn only_the_name_of_the_queue_counts() {
    let envelope = signed(&keys(), plain(), QUEUE);
    for queue in [
        QUEUE,
        "orders",
        "http://localhost:9324/000000000000/orders",
        "http://localhost:9324/queue/orders/",
        "arn:aws:sqs:eu-west-1:123456789012:orders",
    ] {
        keys().verify(&envelope, queue).unwrap();
    }
}

#[test]
fn the_code_follows_the_documented_format() {
    let mut pointer = plain();
    pointer.length = Some(12);
    pointer.encoding.compression = Some("zstd".to_owned());
    let envelope = signed(&keys(), pointer, QUEUE);
    let fields: [&[u8]; 6] = [
        b"\x01\x06\0\0\0\0\0\0\0orders\x01\x01\0\0\0\0\0\0\0B\x01\x01\0\0\0\0\0\0\0K",
        b"\x01\x08\0\0\0\0\0\0\0\x0c\0\0\0\0\0\0\0",
        b"\x01\x08\0\0\0\0\0\0\0\x0c\0\0\0\0\0\0\0",
        b"\0",
        b"\0",
        b"\x01\x04\0\0\0\0\0\0\0zstd",
    ];
    let key = blake3::derive_key("sqs-extended pointer authentication v1", &[1; 32]);
    let code = blake3::keyed_hash(&key, &fields.concat());
    let text = envelope.pointer.to_string();
    assert!(text.ends_with(&format!(r#""payloadMac":"new:{code}"}}]"#)), "{text}");
    assert_eq!(text.parse(), Ok(envelope.pointer));
}

#[test]
fn pointers_of_untrusted_senders_are_refused() {
    let unsigned = Envelope {
        pointer: plain(),
        size: Some(SIZE),
    };
    assert!(refusal(keys().verify(&unsigned, QUEUE)).contains("not authenticated"));
    let same_id = PointerKeys::new("new", &[2; 32]).unwrap();
    assert!(refusal(keys().verify(&signed(&same_id, plain(), QUEUE), QUEUE)).contains("wrong"));
    let same_key = PointerKeys::new("other", &[1; 32]).unwrap();
    assert!(refusal(keys().verify(&signed(&same_key, plain(), QUEUE), QUEUE)).contains("unknown key"));
}

#[test]
fn a_pointer_is_valid_for_its_queue_and_where_that_is_accepted() {
    let envelope = signed(&keys(), plain(), QUEUE);
    assert!(refusal(keys().verify(&envelope, "orders-dlq")).contains("another queue"));
    let keys = keys().accept_queue("invoices").accept_queue(QUEUE);
    keys.verify(&envelope, "orders-dlq").unwrap();
    keys.verify(&signed(&keys, plain(), "orders-dlq"), "orders-dlq")
        .unwrap();
    assert!(keys.verify(&signed(&keys, plain(), "refunds"), "orders-dlq").is_err());
}

#[test]
fn a_key_can_be_rotated() {
    let old = PointerKeys::new("old", &[2; 32]).unwrap();
    let envelope = signed(&old, plain(), QUEUE);
    let rotated = keys().accept_key("old", &[2; 32]).unwrap();
    rotated.verify(&envelope, QUEUE).unwrap();
    assert!(rotated.verify(&signed(&rotated, plain(), QUEUE), QUEUE).is_ok());
    assert!(old.verify(&signed(&rotated, plain(), QUEUE), QUEUE).is_err());
}

#[test]
fn key_ids_are_well_formed_and_unique() {
    for id in ["", "a:b", "a b", "é", "\n", &"a".repeat(33)] {
        let error = PointerKeys::new(id, &[1; 32]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id}");
    }
    assert!(keys().accept_key("new", &[2; 32]).is_err());
    let twice = keys().accept_key("old", &[2; 32]).unwrap().accept_key("old", &[3; 32]);
    assert!(twice.is_err());
}

#[test]
fn debug_shows_no_key() {
    let key = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let text = format!("{:?}", PointerKeys::new("id", &key).unwrap().accept_queue("q"));
    assert_eq!(
        text,
        r#"PointerKeys { signing: "id", accepted: [], queues: ["q"], .. }"#
    );
}

#[test]
fn a_malformed_code_is_refused() {
    let hex = "0".repeat(64);
    for text in [
        String::new(),
        hex.clone(),
        format!(":{hex}"),
        "k:".to_owned(),
        format!("k:{hex}0"),
        format!("k:k:{hex}"),
        format!("k:{}", "g".repeat(64)),
        format!("{}:{hex}", "k".repeat(33)),
    ] {
        assert!(text.parse::<Mac>().is_err(), "{text}");
    }
}

/// A change to an authenticated field.
type Change = fn(&mut Envelope);

const CHANGES: [Change; 13] = [
    |e| e.pointer.bucket.push('x'),
    |e| e.pointer.key.push('x'),
    |e| e.pointer.key.insert(0, '/'),
    |e| std::mem::swap(&mut e.pointer.bucket, &mut e.pointer.key),
    |e| {
        let moved = e.pointer.key.remove(0);
        e.pointer.bucket.push(moved);
    },
    |e| e.size = e.size.map(|size| size + 1),
    |e| e.size = None,
    |e| e.pointer.length = Some(e.pointer.length.map_or(0, |length| length ^ 1)),
    |e| {
        let other = "ab".repeat(32);
        let digest = format!("blake3:{other}").parse().unwrap();
        let same = e.pointer.digest.as_ref() == Some(&digest);
        e.pointer.digest = (!same).then_some(digest);
    },
    |e| e.pointer.content_type = Some(e.pointer.content_type.take().map_or(String::new(), |t| t + "x")),
    |e| {
        let encoding = &mut e.pointer.encoding;
        encoding.compression = Some(encoding.compression.take().map_or(String::new(), |c| c + "x"));
    },
    |e| match &mut e.pointer.encoding.encryption {
        Some(header) => header.wrapped_key.push('x'),
        none => {
            *none = Some(EncryptionHeader {
                scheme: String::new(),
                key_id: String::new(),
                wrapped_key: String::new(),
            });
        }
    },
    |e| match &mut e.pointer.encoding.encryption {
        // The same bytes in other fields.
        Some(header) if !header.key_id.is_empty() => {
            let moved = header.key_id.remove(0);
            header.scheme.push(moved);
        }
        Some(header) => header.key_id.push('x'),
        none => {
            *none = Some(EncryptionHeader {
                scheme: "x".to_owned(),
                key_id: String::new(),
                wrapped_key: String::new(),
            });
        }
    },
];

proptest! {
    #[test]
    fn any_change_invalidates_the_code(mut pointer in pointers(), queue in "[a-zA-Z0-9_-]{1,80}", change in prop::sample::select(&CHANGES[..])) {
        // Ensures that every change has an effect.
        pointer.bucket.insert(0, 'b');
        pointer.key.insert(0, 'k');
        let envelope = signed(&keys(), pointer, &queue);
        keys().verify(&envelope, &queue).unwrap();
        let other = queue.clone() + "x";
        prop_assert!(keys().verify(&envelope, &other).is_err());
        let mut changed = envelope;
        change(&mut changed);
        prop_assert!(keys().verify(&changed, &queue).is_err());
    }

    #[test]
    fn a_code_with_any_bit_flipped_is_refused(pointer in pointers(), bit in 0..256_usize) {
        let mut envelope = signed(&keys(), pointer, QUEUE);
        let mac = envelope.pointer.mac.as_mut().unwrap();
        let mut code = *mac.code.as_bytes();
        code[bit / 8] ^= 1 << (bit % 8);
        mac.code = code.into();
        prop_assert!(keys().verify(&envelope, QUEUE).is_err());
    }

    #[test]
    fn a_signed_pointer_is_accepted_after_a_round_trip(pointer in pointers()) {
        let sent = signed(&keys(), pointer, QUEUE);
        let pointer = sent.pointer.to_string().parse().unwrap();
        let received = Envelope { pointer, ..sent };
        prop_assert!(keys().verify(&received, QUEUE).is_ok());
    }
}
