use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};

use super::*;
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{DigestAlgorithm, Hasher};
use crate::payload::source::Payload;
use crate::testing::bytes;
#[cfg(any(feature = "encryption", feature = "zstd"))]
use crate::transfer::part_source::PartSource;
use crate::transfer::upload::Measured;

/// The stored bytes, their encoding, and the payload's own length and digest.
async fn encode(codec: &Codec, payload: Payload) -> (Bytes, Encoding, Measured) {
    let encoded = codec.encode(payload.into(), DigestAlgorithm::Blake3).await.unwrap();
    let Encoded {
        mut source,
        encoding,
        original,
    } = encoded;
    let (declared, mut stored) = (source.declared(), Vec::new());
    while let Some(part) = source.next_piece(100_000).await.unwrap() {
        stored.extend(Bytes::from(part));
    }
    assert!(declared.is_none_or(|declared| declared == stored.len() as u64));
    let original = original.of(&measured(&stored)).unwrap();
    (stored.into(), encoding, original)
}

fn measured(content: &[u8]) -> Measured {
    let mut hasher = Hasher::new(DigestAlgorithm::Blake3);
    hasher.update(content);
    Measured {
        len: content.len() as u64,
        digest: hasher.finish(),
    }
}

/// Decodes the stored bytes in chunks of this length.
async fn decode(
    codec: &Codec,
    encoding: &Encoding,
    stored: &[u8],
    chunk: usize,
    limits: Limits,
) -> Result<Vec<u8>, Error> {
    let chunks: Vec<_> = stored
        .chunks(chunk)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    let decoder = codec.decoder(encoding).await?;
    let payload: Vec<Bytes> = decoder
        .decode(stream::iter(chunks).boxed(), limits)
        .try_collect()
        .await?;
    Ok(payload.concat())
}

#[tokio::test]
async fn a_default_codec_stores_the_payload_unchanged() {
    let codec = Codec::new();
    let (stored, encoding, original) = encode(&codec, Payload::from(bytes(3000))).await;
    assert!(encoding.is_plain());
    assert_eq!(stored, bytes(3000));
    assert_eq!((original.len, original.digest), (3000, measured(&bytes(3000)).digest));
    let decoded = decode(&codec, &encoding, &stored, 100, Limits::default()).await;
    assert_eq!(decoded.unwrap(), stored);
}

#[test]
fn an_unknown_encoding_is_unsupported() {
    let unsupported = |text| {
        let encoding: Encoding = serde_json::from_str(text).unwrap();
        assert_eq!(
            Codec::new().check(&encoding).unwrap_err().kind(),
            ErrorKind::UnsupportedEncoding,
            "{text}"
        );
    };
    unsupported(r#"{"compression":"snappy"}"#);
    unsupported(r#"{"compression":""}"#);
    unsupported(r#"{"encryption":{"scheme":"rot13","keyId":"","wrappedKey":""}}"#);
    // The feature or the keys are missing.
    unsupported(r#"{"encryption":{"scheme":"aes256gcm-stream-64k","keyId":"k","wrappedKey":""}}"#);
    #[cfg(not(feature = "zstd"))]
    unsupported(r#"{"compression":"zstd"}"#);
}

#[cfg(feature = "zstd")]
mod compressed;
#[cfg(any(feature = "encryption", feature = "zstd"))]
mod encoded;
#[cfg(feature = "encryption")]
mod encrypted;
