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
async fn a_failing_source_keeps_its_own_error() {
    for codec in codecs() {
        let short = Payload::from_stream(stream::iter([Ok(bytes(10))]), 11);
        let encoded = codec.encode(short.into(), DigestAlgorithm::Blake3).await.unwrap();
        let mut source: PartSource = encoded.source;
        let error = loop {
            match source.next_piece(10).await {
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
async fn a_wrong_length_is_an_error() {
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
async fn an_incompressible_payload_stays_within_the_maximum_stored_length() {
    for len in [0, 1, 1000, 65_536, 1_000_000] {
        // BLAKE3's output is incompressible.
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
    fn any_payload_is_decoded_from_any_chunks(
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
    fn a_shorter_or_longer_object_is_corrupt(
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
