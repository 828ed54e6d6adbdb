//! Tests compressed and encrypted payloads, and a store that is configured by its URL.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqs_client::OutgoingMessage;
use sqs_client::types::MessageAttributeValue;
use sqs_extended::codec::{Codec, Compression, SecretKey, StaticKeys};
use sqs_extended::{ErrorKind, Payload, PayloadStore};
use sqs_tests::servers::Server;

use super::super::store::{BUCKET, Bucket};
use super::{Fixture, delivery, test};
use crate::harness::{Harness, Outcome, name_of, unique};

const MIB: usize = 1024 * 1024;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.trial(name_of(&a_store_by_url_compresses_and_encrypts), |harness| {
            let minio = harness.servers.minio().map_err(Clone::clone)?;
            let bucket = Bucket::new(minio).expect("a bucket");
            let prefix = unique("codec");
            let url = url(minio, &prefix);
            Ok(Box::pin(a_store_by_url_compresses_and_encrypts(bucket, url, prefix)))
        }),
        test(harness, nothing_is_fetched_without_the_right_key),
        test(harness, decompression_bombs_are_detected),
    ]
}

fn url(server: &Server, prefix: &str) -> String {
    let encoded = |value| utf8_percent_encode(value, NON_ALPHANUMERIC);
    format!(
        "s3://{BUCKET}/{prefix}?endpoint={}&region={}&access_key_id={}&secret_access_key={}",
        encoded(server.endpoint()),
        encoded(server.region()),
        encoded(server.access_key()),
        encoded(server.secret_key())
    )
}

fn secret(key: u8) -> Codec {
    let keys = StaticKeys::new("k", SecretKey::from([key; 32]));
    Codec::new().compression(Compression::zstd(1)).encryption(keys)
}

/// Returns incompressible bytes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

async fn a_store_by_url_compresses_and_encrypts(bucket: Bucket, url: String, prefix: String) -> Outcome {
    let fixture = Fixture::new().await?;
    let payloads = PayloadStore::from_url(&url)?.codec(secret(1)).part_size(5 * MIB as u64);
    let extended = fixture.with(payloads)?.build()?;
    let payload = noise(20 * MIB);
    let sent = extended.send(&fixture.queue, payload.clone()).await?;
    let pointer = sent.pointer.context("a pointer")?;
    ensure!(pointer.key.starts_with(&format!("{prefix}/")), "{pointer:?}");

    let (bucket, key) = (bucket.store()?, Path::from(&*pointer.key));
    let object = bucket.get(&key).await?;
    let parts = object.meta.e_tag.clone().unwrap_or_default();
    ensure!(
        parts.trim_matches('"').ends_with("-5"),
        "the payload was not stored in parts: {parts}"
    );
    let stored = object.bytes().await?;
    ensure!(pointer.length == Some(stored.len() as u64));
    for piece in payload.chunks(MIB) {
        let piece = &piece[..32];
        ensure!(
            !stored.windows(32).any(|window| window == piece),
            "the payload is readable"
        );
    }

    let delivery = delivery(&extended, &fixture.queue).await?;
    ensure!(delivery.size() == Some(payload.len() as u64));
    ensure!(delivery.bytes().await? == payload, "the payload changed");
    delivery.ack().await?;
    ensure!(bucket.head(&key).await.is_err(), "the payload was not deleted");
    Ok(())
}

async fn nothing_is_fetched_without_the_right_key(fixture: Fixture) -> Outcome {
    let sender = fixture.with(fixture.payloads().codec(secret(1)))?.build()?;
    sender.send(&fixture.queue, "secret ".repeat(100_000)).await?;
    let none = fixture.extended()?.build()?;
    let wrong = fixture.with(fixture.payloads().codec(secret(2)))?.build()?;
    let calls = fixture.store.calls();
    for (reader, kind) in [(none, ErrorKind::UnsupportedEncoding), (wrong, ErrorKind::Key)] {
        let delivery = delivery(&reader, &fixture.queue).await?;
        let error = delivery.text().await.unwrap_err();
        ensure!(error.kind() == kind, "{error:?}");
        ensure!(fixture.store.calls() == calls, "the store was called");
        delivery.nack(std::time::Duration::ZERO).await?;
    }
    let delivery = delivery(&sender, &fixture.queue).await?;
    ensure!(delivery.text().await?.starts_with("secret secret"));
    Ok(())
}

/// 64 MiB of zeros compress to a few KiB. No receiver gets more than the message claims or the store's limit allows.
async fn decompression_bombs_are_detected(fixture: Fixture) -> Outcome {
    const MAX: u64 = 1_000_000;
    let sender = Codec::new().compression(Compression::zstd(1));
    let sender = fixture.with(fixture.payloads().codec(sender))?.build()?;
    let zeros = Bytes::from(vec![0; MIB]);
    let zeros = stream::iter((0..64).map(move |_| Ok(zeros.clone())));
    let sent = sender.send(&fixture.queue, Payload::from_stream(zeros, None)).await?;
    let pointer = sent.pointer.context("a pointer")?;
    ensure!(pointer.length.is_some_and(|length| length < 100_000), "{pointer:?}");
    let false_claim = OutgoingMessage::new(pointer.to_string())
        .message_attribute("ExtendedPayloadSize", MessageAttributeValue::number(10));
    fixture.client.send_message(&fixture.queue, false_claim).await?;

    let careful = fixture.with(fixture.payloads().max_payload(MAX))?.build()?;
    for (reader, most) in [(&careful, MAX), (&sender, 10)] {
        let delivery = delivery(reader, &fixture.queue).await?;
        let mut chunks = delivery.stream().await?;
        let (mut bytes, mut error) = (0, None);
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => bytes += chunk.len() as u64,
                Err(failed) => error = Some(failed),
            }
        }
        let error = error.context("the bomb was accepted")?;
        ensure!(error.kind() == ErrorKind::TooLarge, "{error:?}");
        ensure!(bytes <= most, "received {bytes} bytes of at most {most}");
        let folder = tempfile::tempdir()?;
        let file = delivery.download_to(folder.path().join("file")).await;
        ensure!(file.err().context("the bomb was accepted")?.kind() == ErrorKind::TooLarge);
        ensure!(std::fs::read_dir(folder.path())?.next().is_none(), "a file remains");
    }
    Ok(())
}
