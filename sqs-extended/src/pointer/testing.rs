//! Arbitrary pointers for property tests.

use proptest::prelude::*;

use crate::codec::{Encoding, EncryptionHeader};
use crate::pointer::format::Pointer;

pub(super) fn pointers() -> impl Strategy<Value = Pointer> {
    let digest = prop::option::of("(blake3|sha256):[0-9a-f]{64}".prop_map(|text| text.parse().unwrap()));
    let mac = prop::option::of("[a-zA-Z0-9._-]{1,32}:[0-9a-f]{64}".prop_map(|text| text.parse().unwrap()));
    (
        any::<(String, String, Option<u64>, Option<String>)>(),
        digest,
        encodings(),
        mac,
    )
        .prop_map(|((bucket, key, length, content_type), digest, encoding, mac)| Pointer {
            bucket,
            key,
            length,
            digest,
            encoding,
            content_type,
            mac,
        })
}

fn encodings() -> impl Strategy<Value = Encoding> {
    any::<(Option<String>, Option<[String; 3]>)>().prop_map(|(compression, encryption)| Encoding {
        compression,
        encryption: encryption.map(|[scheme, key_id, wrapped_key]| EncryptionHeader {
            scheme,
            key_id,
            wrapped_key,
        }),
    })
}
