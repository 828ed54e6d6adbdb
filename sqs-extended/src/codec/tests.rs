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

/// What is stored of the payload, and what is said of it.
async fn encode(codec: &Codec, payload: Payload) -> (Bytes, Encoding, Measured) {
    let encoded = codec.encode(payload.into(), DigestAlgorithm::Blake3).await.unwrap();
    let Encoded {
        mut source,
        encoding,
        original,
    } = encoded;
    let (declared, mut stored) = (source.declared(), Vec::new());
    while let Some(part) = source.next_part(100_000).await.unwrap() {
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

/// Decodes what arrives in chunks of this length.
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
async fn without_settings_the_payload_is_stored_as_it_is() {
    let codec = Codec::new();
    let (stored, encoding, original) = encode(&codec, Payload::from(bytes(3000))).await;
    assert!(encoding.is_plain());
    assert_eq!(stored, bytes(3000));
    assert_eq!((original.len, original.digest), (3000, measured(&bytes(3000)).digest));
    let decoded = decode(&codec, &encoding, &stored, 100, Limits::default()).await;
    assert_eq!(decoded.unwrap(), stored);
}

#[test]
fn what_cannot_be_read_here_is_refused_by_its_name() {
    let refused = |text| {
        let encoding: Encoding = serde_json::from_str(text).unwrap();
        assert_eq!(
            Codec::new().check(&encoding).unwrap_err().kind(),
            ErrorKind::UnsupportedEncoding,
            "{text}"
        );
    };
    refused(r#"{"compression":"snappy"}"#);
    refused(r#"{"compression":""}"#);
    refused(r#"{"encryption":{"scheme":"rot13","keyId":"","wrappedKey":""}}"#);
    // For want of the feature, or of keys.
    refused(r#"{"encryption":{"scheme":"aes256gcm-stream-64k","keyId":"k","wrappedKey":""}}"#);
    #[cfg(not(feature = "zstd"))]
    refused(r#"{"compression":"zstd"}"#);
}

#[cfg(any(feature = "encryption", feature = "zstd"))]
mod encoded {
    use proptest::prelude::*;

    use super::*;

    /// Every codec that changes something.
    fn codecs() -> Vec<Codec> {
        Vec::from([
            #[cfg(feature = "zstd")]
            Codec::new().compression(Compression::zstd(1)),
            #[cfg(feature = "encryption")]
            Codec::new().encryption(super::encrypted::keys()),
            #[cfg(all(feature = "encryption", feature = "zstd"))]
            Codec::new()
                .compression(Compression::zstd(3))
                .encryption(super::encrypted::keys()),
        ])
    }

    #[tokio::test]
    async fn a_source_that_fails_fails_the_encoding_with_its_own_error() {
        for codec in codecs() {
            let short = Payload::from_stream(stream::iter([Ok(bytes(10))]), 11);
            let encoded = codec.encode(short.into(), DigestAlgorithm::Blake3).await.unwrap();
            let mut source: PartSource = encoded.source;
            let error = loop {
                match source.next_part(10).await {
                    Ok(part) => assert!(part.is_some()),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::PayloadSource);
            assert!(error.to_string().contains("shorter"), "{error}");
            assert!(encoded.original.of(&measured(b"")).is_err());
        }
    }

    #[tokio::test]
    async fn a_payload_of_another_length_than_is_said_is_an_error() {
        for codec in codecs() {
            let (stored, encoding, _) = encode(&codec, Payload::from(bytes(200_000))).await;
            for (len, max, kind) in [
                (Some(199_999), None, ErrorKind::TooLarge),
                (None, Some(199_999), ErrorKind::TooLarge),
                (Some(200_001), None, ErrorKind::Corrupt),
            ] {
                let decoded = decode(&codec, &encoding, &stored, 8192, Limits { len, max }).await;
                assert_eq!(decoded.unwrap_err().kind(), kind);
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_compressed_is_hardly_longer_when_stored() {
        for len in [0, 1, 1000, 65_536, 1_000_000] {
            // BLAKE3's output is as good as random.
            let mut noise = vec![0; len];
            blake3::Hasher::new().finalize_xof().fill(&mut noise);
            for codec in codecs() {
                let (stored, encoding, _) = encode(&codec, Payload::from(noise.clone())).await;
                let decoder = codec.decoder(&encoding).await.unwrap();
                assert!(
                    stored.len() as u64 <= decoder.max_stored(len as u64),
                    "{len}: {}",
                    stored.len()
                );
            }
        }
        let plain = Codec::new().decoder(&Encoding::default()).await.unwrap();
        assert_eq!(plain.max_stored(1000), 1000);
    }

    fn lengths() -> impl Strategy<Value = usize> {
        let borders = (0_usize..4, -2_isize..3).prop_map(|(n, by)| (n * 65_536).saturating_add_signed(by));
        prop_oneof![0_usize..200_000, borders]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_payload_comes_back_in_any_chunks(
            len in lengths(), read in 1_usize..150_000, chunk in 1_usize..150_000, declared: bool,
        ) {
            let content = bytes(len);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                for codec in codecs() {
                    let pieces: Vec<_> = content.chunks(read).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
                    let payload = Payload::from_stream(stream::iter(pieces), declared.then_some(len as u64));
                    let (stored, encoding, original) = encode(&codec, payload).await;
                    assert!(!encoding.is_plain());
                    assert_eq!(original.len, len as u64);
                    assert_eq!(original.digest, measured(&content).digest);
                    let limits = Limits { len: Some(len as u64), max: Some(len as u64) };
                    let decoded = decode(&codec, &encoding, &stored, chunk, limits).await;
                    assert_eq!(decoded.unwrap(), content);
                }
            });
        }

        #[test]
        fn what_is_cut_off_or_goes_on_is_corrupt(
            len in lengths(), cut in any::<prop::sample::Index>(), more in 1_usize..100_000, chunk in 1_usize..150_000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                for codec in codecs() {
                    let (stored, encoding, _) = encode(&codec, Payload::from(bytes(len))).await;
                    let longer = [&stored[..], &vec![0; more]].concat();
                    for wrong in [&stored[..cut.index(stored.len())], &longer] {
                        let decoded = decode(&codec, &encoding, wrong, chunk, Limits::default()).await;
                        assert_eq!(decoded.unwrap_err().kind(), ErrorKind::Corrupt);
                    }
                }
            });
        }
    }
}

#[cfg(feature = "encryption")]
mod encrypted {
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

    /// Computed by Python's `cryptography`, from the description of the format.
    #[tokio::test]
    async fn known_answers_are_read() {
        #[derive(Debug)]
        struct Known;
        impl KeyProvider for Known {
            fn generate(&self) -> BoxFuture<'_, Result<DataKey, KeyProviderError>> {
                Box::pin(async { Err("not asked for".into()) })
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
    async fn chunks_that_change_places_are_corrupt() {
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
    async fn what_the_message_says_of_it_cannot_be_changed() {
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
    async fn keys_are_changed_one_after_the_other() {
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
    async fn no_two_payloads_are_sealed_alike_even_by_one_data_key() {
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
    fn keys_are_not_shown() {
        let shown = format!("{:?} {:?} {:?}", codec(), keys(), SecretKey::from([0xab; 32]));
        assert!(
            !shown.contains("171") && !shown.contains("ab,") && !shown.contains("[1"),
            "{shown}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_damage_is_found(
            len in 0_usize..140_000, place in any::<prop::sample::Index>(), flip in 1_u8..=255, chunk in 1_usize..70_000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (stored, encoding, _) = encode(&codec(), Payload::from(bytes(len))).await;
                let mut damaged = stored.to_vec();
                damaged[place.index(stored.len())] ^= flip;
                let decoded = decode(&codec(), &encoding, &damaged, chunk, Limits::default()).await;
                assert_eq!(decoded.unwrap_err().kind(), ErrorKind::Corrupt);
            });
        }
    }
}

#[cfg(feature = "zstd")]
mod compressed {
    use super::*;

    fn zstd() -> Encoding {
        serde_json::from_str(r#"{"compression":"zstd"}"#).unwrap()
    }

    /// As much as comes of it until it is stopped.
    async fn taken(stored: Vec<u8>, limits: Limits) -> (usize, Error) {
        let chunks = stream::iter([Ok(Bytes::from(stored))]).boxed();
        let mut payload = Codec::new().decoder(&zstd()).await.unwrap().decode(chunks, limits);
        let mut len = 0;
        loop {
            match payload.try_next().await {
                Ok(chunk) => len += chunk.unwrap().len(),
                Err(error) => return (len, error),
            }
        }
    }

    #[tokio::test]
    async fn a_bomb_ends_at_the_limit() {
        let zeros = std::io::Read::take(std::io::repeat(0), 64 << 20);
        let bomb = ::zstd::stream::encode_all(zeros, 1).unwrap();
        assert!(bomb.len() < 20_000);
        for limits in [
            Limits {
                len: None,
                max: Some(1_000_000),
            },
            Limits {
                len: Some(10),
                max: Some(1_000_000),
            },
        ] {
            let (len, error) = taken(bomb.clone(), limits).await;
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert!(len <= 1_000_000, "{len}");
        }
    }

    #[tokio::test]
    async fn a_window_that_takes_too_much_memory_is_refused() {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(24).unwrap();
        std::io::Write::write_all(&mut encoder, &vec![0; 20 << 20]).unwrap();
        let (len, error) = taken(encoder.finish().unwrap(), Limits::default()).await;
        assert_eq!((len, error.kind()), (0, ErrorKind::Corrupt));
    }

    #[tokio::test]
    async fn the_highest_level_of_unknown_length_can_still_be_read() {
        let codec = Codec::new().compression(Compression::zstd(22));
        let zeros = stream::iter(vec![Bytes::from(vec![0; 1 << 20]); 10]).map(Ok);
        let (stored, encoding, _) = encode(&codec, Payload::from_stream(zeros, None)).await;
        let decoded = decode(&codec, &encoding, &stored, 1000, Limits::default()).await;
        assert_eq!(decoded.unwrap().len(), 10 << 20);
    }

    #[tokio::test]
    async fn what_no_compressor_wrote_is_corrupt() {
        for stored in [&b""[..], b"hello, this is text", &[0x28, 0xb5, 0x2f, 0xfd]] {
            let (len, error) = taken(stored.to_vec(), Limits::default()).await;
            assert_eq!((len, error.kind()), (0, ErrorKind::Corrupt));
        }
    }
}
