use proptest::prelude::*;
use sqs_client::credentials::BoxFuture;

use super::*;

const CHUNK: usize = 64 * 1024 + 16;
const SALT: usize = 32;

pub(super) fn keys() -> StaticKeys {
    StaticKeys::new("k1", [1; 32].into())
}

fn codec() -> Codec {
    Codec::new().encryption(keys())
}

/// The stored bytes were computed with Python's `cryptography` from the description of the format.
#[tokio::test]
async fn bytes_of_another_implementation_are_decoded() {
    #[derive(Debug)]
    struct Known;
    impl KeyProvider for Known {
        fn generate(&self) -> BoxFuture<'_, Result<DataKey, KeyProviderError>> {
            Box::pin(async { Err("unexpected call".into()) })
        }
        fn unwrap_key<'a>(
            &'a self,
            key_id: &'a str,
            wrapped: &'a [u8],
        ) -> BoxFuture<'a, Result<SecretKey, KeyProviderError>> {
            assert_eq!((key_id, wrapped), ("k1", &b"wrapped"[..]));
            let key: Vec<u8> = (0..32).collect();
            Box::pin(async move { Ok(SecretKey::try_from(&key[..])?) })
        }
    }
    let encoding = serde_json::from_str(
        r#"{"encryption":{"scheme":"aes256gcm-stream-64k","keyId":"k1","wrappedKey":"d3JhcHBlZA=="}}"#,
    );
    let hex = "893cceafdb2b9760725ea6e7193c7fb1610f534921";
    let sealed: Vec<u8> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    let stored = [&[9; SALT], &sealed[..]].concat();
    let codec = Codec::new().encryption(Known);
    let decoded = decode(&codec, &encoding.unwrap(), &stored, 7, Limits::default()).await;
    assert_eq!(decoded.unwrap(), b"hello");
}

#[tokio::test]
async fn reordered_chunks_are_corrupt() {
    let (stored, encoding, _) = encode(&codec(), Payload::from(bytes(3 * 65_536))).await;
    let (salt, chunks) = stored.split_at(SALT);
    let of = |order: &[usize]| {
        let chunks: Vec<&[u8]> = chunks.chunks(CHUNK).collect();
        [salt.to_vec(), order.iter().flat_map(|i| chunks[*i].to_vec()).collect()].concat()
    };
    assert_eq!(of(&[0, 1, 2]), stored);
    for order in [
        &[1, 0, 2][..],
        &[0, 0, 2],
        &[0, 1, 1, 2],
        &[0, 2],
        &[0, 1],
        &[2],
        &[0, 1, 2, 2],
        &[],
    ] {
        let decoded = decode(&codec(), &encoding, &of(order), 9000, Limits::default()).await;
        assert_eq!(decoded.unwrap_err().kind(), ErrorKind::Corrupt, "{order:?}");
    }
}

#[tokio::test]
async fn a_changed_encoding_is_an_error() {
    let keys = || StaticKeys::new("k1", [1; 32].into()).also_read("k2", [1; 32].into());
    let codec = Codec::new().encryption(keys());
    let (stored, encoding, _) = encode(&codec, Payload::from(bytes(1000))).await;
    let mut other = encoding.clone();
    other.encryption.as_mut().unwrap().key_id = "k2".to_owned();
    let error = decode(&codec, &other, &stored, 100, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    let mut other = encoding.clone();
    other.encryption.as_mut().unwrap().wrapped_key = "no base64".to_owned();
    let error = decode(&codec, &other, &stored, 100, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    #[cfg(feature = "zstd")]
    {
        let codec = Codec::new().compression(Compression::zstd(1)).encryption(keys());
        let (stored, mut encoding, _) = encode(&codec, Payload::from(bytes(1000))).await;
        encoding.compression = None;
        let error = decode(&codec, &encoding, &stored, 100, Limits::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn an_old_key_decrypts_after_a_key_change() {
    let old = Codec::new().encryption(keys());
    let new = Codec::new().encryption(StaticKeys::new("k2", [2; 32].into()).also_read("k1", [1; 32].into()));
    let (stored, encoding, _) = encode(&old, Payload::from(bytes(100))).await;
    let decoded = decode(&new, &encoding, &stored, 100, Limits::default()).await;
    assert_eq!(decoded.unwrap(), bytes(100));
    let (stored, encoding, _) = encode(&new, Payload::from(bytes(100))).await;
    let error = decode(&old, &encoding, &stored, 100, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
}

#[tokio::test]
async fn payloads_with_one_data_key_are_sealed_differently() {
    #[derive(Debug)]
    struct Cached(DataKey);
    impl KeyProvider for Cached {
        fn generate(&self) -> BoxFuture<'_, Result<DataKey, KeyProviderError>> {
            Box::pin(async { Ok(self.0.clone()) })
        }
        fn unwrap_key<'a>(&'a self, _: &'a str, _: &'a [u8]) -> BoxFuture<'a, Result<SecretKey, KeyProviderError>> {
            Box::pin(async { Ok(self.0.key.clone()) })
        }
    }
    let codec = Codec::new().encryption(Cached(keys().generate().await.unwrap()));
    let (one, encoding, _) = encode(&codec, Payload::from(bytes(100))).await;
    let (other, same, _) = encode(&codec, Payload::from(bytes(100))).await;
    assert_eq!(encoding, same);
    assert_ne!(one[SALT..], other[SALT..]);
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?} {:?} {:?}", codec(), keys(), SecretKey::from([0xab; 32]));
    assert!(
        !shown.contains("171") && !shown.contains("ab,") && !shown.contains("[1"),
        "{shown}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_damage_is_detected(
        len in 0_usize..140_000, position in any::<prop::sample::Index>(), flip in 1_u8..=255, chunk in 1_usize..70_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (stored, encoding, _) = encode(&codec(), Payload::from(bytes(len))).await;
            let mut damaged = stored.to_vec();
            damaged[position.index(stored.len())] ^= flip;
            let decoded = decode(&codec(), &encoding, &damaged, chunk, Limits::default()).await;
            assert_eq!(decoded.unwrap_err().kind(), ErrorKind::Corrupt);
        });
    }
}
