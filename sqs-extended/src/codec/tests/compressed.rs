use super::*;

fn zstd() -> Encoding {
    serde_json::from_str(r#"{"compression":"zstd"}"#).unwrap()
}

/// The number of decoded bytes before the error.
async fn decode_until_error(stored: Vec<u8>, limits: Limits) -> (usize, Error) {
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
async fn a_decompression_bomb_ends_at_the_limit() {
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
        let (len, error) = decode_until_error(bomb.clone(), limits).await;
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(len <= 1_000_000, "{len}");
    }
}

#[tokio::test]
async fn a_too_large_window_is_corrupt() {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    std::io::Write::write_all(&mut encoder, &vec![0; 20 << 20]).unwrap();
    let (len, error) = decode_until_error(encoder.finish().unwrap(), Limits::default()).await;
    assert_eq!((len, error.kind()), (0, ErrorKind::Corrupt));
}

#[tokio::test]
async fn the_highest_level_is_readable_without_a_known_length() {
    let codec = Codec::new().compression(Compression::zstd(22));
    let zeros = stream::iter(vec![Bytes::from(vec![0; 1 << 20]); 10]).map(Ok);
    let (stored, encoding, _) = encode(&codec, Payload::from_stream(zeros, None)).await;
    let decoded = decode(&codec, &encoding, &stored, 1000, Limits::default()).await;
    assert_eq!(decoded.unwrap().len(), 10 << 20);
}

#[tokio::test]
async fn bytes_without_a_zstd_frame_are_corrupt() {
    for stored in [&b""[..], b"hello, this is text", &[0x28, 0xb5, 0x2f, 0xfd]] {
        let (len, error) = decode_until_error(stored.to_vec(), Limits::default()).await;
        assert_eq!((len, error.kind()), (0, ErrorKind::Corrupt));
    }
}
