//! Tests a payload of a few KiB that decompresses to 1 GiB.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Client, OutgoingMessage};
use sqs_extended::codec::{Codec, Compression};
use sqs_extended::{ErrorKind, ExtendedClient, Payload, PayloadStore};

use super::super::store::{BUCKET, Counting};
use super::{GIB, ten};
use crate::harness::Outcome;

const MIB: usize = 1024 * 1024;

/// A receiver gets no more bytes than a false claim states. With a true claim, the payload is too large for memory but
/// can be streamed.
pub async fn is_found_out(client: &Client, store: &Counting, queue: &str) -> Outcome {
    let codec = Codec::new().compression(Compression::zstd(1));
    let payloads = PayloadStore::builder(store.clone(), BUCKET)
        .prefix("ours/")
        .codec(codec);
    let extended = ExtendedClient::builder(client.clone())
        .payload_store(payloads.build()?)
        .build()?;
    let zeros = Bytes::from(vec![0; MIB]);
    let zeros = stream::iter((0..GIB / MIB as u64).map(move |_| Ok(zeros.clone())));
    let sent = extended.send(queue, Payload::from_stream(zeros, None)).await?;
    let pointer = sent.pointer.context("a pointer")?;
    ensure!(pointer.length.is_some_and(|length| length < 100_000), "{pointer:?}");
    let false_claim = OutgoingMessage::new(pointer.to_string())
        .message_attribute("ExtendedPayloadSize", MessageAttributeValue::number(10));
    client.send_message(queue, false_claim).await?;

    let mut received = Vec::new();
    while received.len() < 2 {
        for delivery in ten(&extended, queue).await? {
            let delivery = delivery?;
            let in_memory = delivery.text().await.err().context("the bomb was read into memory")?;
            ensure!(in_memory.kind() == ErrorKind::TooLarge, "{in_memory:?}");
            let mut chunks = delivery.stream().await?;
            let (mut bytes, mut failed) = (0, None);
            while let Some(chunk) = chunks.next().await {
                match chunk {
                    Ok(chunk) => bytes += chunk.len() as u64,
                    Err(error) => failed = Some(error.kind()),
                }
            }
            received.push((delivery.size(), bytes, failed));
        }
    }
    received.sort_by_key(|(size, ..)| *size);
    let expected = [(Some(10), 0, Some(ErrorKind::TooLarge)), (Some(GIB), GIB, None)];
    ensure!(received == expected, "{received:?}");
    Ok(())
}
