//! Tests how strategies and sizes decide the way a payload is sent, and how a plain receive treats segments.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use object_store::memory::InMemory;
use sqs_client::types::RedrivePolicy;
use sqs_client::{Client, QueueAttributes};
use sqs_extended::send::SendOutput;
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedClientBuilder, Strategy};
use sqs_local::LocalSqs;

use super::payloads::{DESCRIPTION, Payload, encoding};
use crate::harness::{Harness, Outcome};

/// The threshold and segment size.
const SEGMENT: usize = 4096;
/// The size of the longest payload that is split.
const SPLIT_LIMIT: usize = 20_000;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(size_and_strategy_decide_how_a_payload_is_sent),
        harness.test(a_plain_receive_rejects_a_segment),
        harness.test(a_plain_receive_accepts_a_single_segment),
        harness.test(a_low_max_receive_count_stops_competing_consumers),
    ]
}

async fn server() -> anyhow::Result<(LocalSqs, Client, String)> {
    let server = sqs_tests::strict().start().await?;
    let client = server.client()?;
    let queue = client.create_queue("q").await?.queue_url;
    Ok((server, client, queue))
}

fn small(client: &Client, strategy: Strategy) -> ExtendedClientBuilder {
    ExtendedClient::builder(client.clone())
        .strategy(strategy)
        .threshold(SEGMENT)
        .segment_size(SEGMENT)
        .split_limit(SPLIT_LIMIT)
}

/// Returns a payload of text or of bytes.
fn payload(size: usize, text: bool) -> Payload {
    let number = usize::from(!text);
    Payload { number, size }
}

async fn size_and_strategy_decide_how_a_payload_is_sent() -> Outcome {
    let (server, client, queue) = server().await?;
    let inline = small(&client, Strategy::Inline).build()?;
    let split = small(&client, Strategy::Split).build()?;
    let auto = small(&client, Strategy::Auto)
        .offload_to(InMemory::new(), "bucket")
        .build()?;
    let storeless = small(&client, Strategy::Auto).build()?;
    for (extended, size, text, expected) in [
        (&inline, 1_000, true, Some(1)),
        (&inline, 1_000, false, None),
        (&inline, 5_000, true, None),
        (&split, 1_000, true, Some(1)),
        (&split, 1_000, false, Some(1)),
        (&split, 10_000, true, Some(3)),
        (&split, SPLIT_LIMIT, true, Some(6)),
        (&split, SPLIT_LIMIT + 1, true, None),
        (&storeless, SPLIT_LIMIT + 1, true, None),
        (&auto, 1_000, true, Some(1)),
        (&auto, 10_000, false, Some(3)),
        (&auto, SPLIT_LIMIT + 1, true, Some(0)),
    ] {
        let before = server.queue("q").context("the queue exists")?.len();
        let sent = extended.send(&queue, payload(size, text).message()).await;
        let messages = server.queue("q").context("the queue exists")?.len() - before;
        let case = format!("{size} {text} {expected:?}: {sent:?}");
        match (expected, sent) {
            (None, Err(error)) => {
                ensure!(error.kind() == ErrorKind::TooLarge && messages == 0, "{case}");
                ensure!(!error.is_retryable() && !error.may_have_been_sent(), "{case}");
            }
            // No segments, because the payload is in the store.
            (Some(0), Ok(SendOutput { pointer: Some(_), .. })) => ensure!(messages == 1, "{case}"),
            (Some(count), Ok(sent)) if sent.pointer.is_none() => {
                ensure!(count == sent.segments && count == messages, "{case}")
            }
            _ => anyhow::bail!("{case}"),
        }
    }

    let mut attributes = QueueAttributes::default();
    attributes.fifo_queue = Some(true);
    let fifo = client.create_queue("q.fifo").attributes(attributes).await?.queue_url;
    let secret = || payload(10_000, true).message().message_group_id("g");
    let error = encoding(client.clone())?.send(&fifo, secret()).await.unwrap_err();
    ensure!(error.kind() == ErrorKind::InvalidInput, "{error:?}");
    let sent = encoding(client)?
        .send(&fifo, secret().message_deduplication_id("mine"))
        .await?;
    ensure!(sent.segments == 1);
    Ok(())
}

async fn a_plain_receive_rejects_a_segment() -> Outcome {
    let (server, client, queue) = server().await?;
    let extended = small(&client, Strategy::Split).build()?;
    extended.send(&queue, payload(10_000, true).message()).await?;
    let received = extended.receive(&queue).max_messages(10).await?;
    ensure!(received.len() == 3);
    for received in received {
        let rejected = received.err().context("a single segment was accepted")?;
        ensure!(
            rejected.error().kind() == ErrorKind::UnexpectedSegment,
            "{:?}",
            rejected.error()
        );
        ensure!(rejected.error().receipt_handle() == Some(rejected.receipt_handle()));
        client
            .change_message_visibility(&queue, rejected.receipt_handle(), Duration::ZERO)
            .await?;
    }
    ensure!(server.queue("q").context("the queue exists")?.counts().visible == 3);
    Ok(())
}

async fn a_plain_receive_accepts_a_single_segment() -> Outcome {
    let (server, client, queue) = server().await?;
    let extended = encoding(client)?;
    let sent = payload(1_000, true);
    ensure!(extended.send(&queue, sent.message()).await?.segments == 1);
    let received = extended.receive(&queue).message_attribute_names([DESCRIPTION]).await?;
    let delivery = received.into_iter().next().context("a message")??;
    ensure!(Payload::received(&delivery).await? == sent);
    delivery.ack().await?;
    ensure!(server.queue("q").context("the queue exists")?.is_empty());
    Ok(())
}

async fn a_low_max_receive_count_stops_competing_consumers() -> Outcome {
    let (server, client, _) = server().await?;
    client.create_queue("dead").await?;
    let mut attributes = QueueAttributes::default();
    attributes.redrive_policy = Some(RedrivePolicy::new(server.queue_arn("dead"), 5));
    let queue = client.create_queue("redriven").attributes(attributes).await?.queue_url;
    let consumer = || {
        let extended = small(&client, Strategy::Split).build();
        extended.map(|extended| extended.consumer(&queue))
    };
    let run = |consumer: sqs_extended::ExtendedConsumer| {
        let moment = tokio::time::sleep(Duration::from_millis(50));
        consumer
            .configure(|consumer| consumer.wait_time(Duration::ZERO))
            .run(moment, |_| async { Ok::<(), std::convert::Infallible>(()) })
    };
    let error = run(consumer()?.competing_consumers(4)).await.unwrap_err();
    ensure!(error.kind() == ErrorKind::InvalidInput, "{error:?}");
    ensure!(error.to_string().contains("maxReceiveCount is 5"), "{error}");
    run(consumer()?.competing_consumers(4).skip_redrive_check(true)).await?;
    run(consumer()?.competing_consumers(1)).await?;
    run(consumer()?).await?;
    Ok(())
}
