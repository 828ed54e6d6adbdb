//! Measures the memory of a consumer in a child process. Its buffers are bounded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::{Client, OutgoingMessage};
use tokio::time::timeout;

use super::payloads::{Payload, again, encoding, report_payload, send_all};
use crate::child::{Orders, Report};
use crate::consumer::fast_retries;
use crate::harness::{Harness, Outcome};

pub const TEST: &str = "bounded";

const MIB: usize = 1024 * 1024;
const PAYLOADS: usize = 24;
const SIZE: usize = 2 * MIB;
/// Room for eight payloads.
const BUFFERED: usize = 17 * MIB;
/// An allowance for the process itself, messages that are received but not yet buffered, and two copies of the payload
/// that is being handled. The process uses about 70 MiB in total, and twice as much without the bound.
const OVERHEAD: usize = 70 * MIB;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![harness.test(buffered_bytes_bound_the_memory)]
}

/// Consumes in a child, and reports every complete payload.
pub async fn consume(client: Client, queues: &[&str], report: Report) -> Outcome {
    let queue = *queues.first().context("a queue")?;
    encoding(client)?
        .consumer(queue)
        .max_buffered_bytes(BUFFERED as u64)
        .spill_threshold(u64::MAX)
        .configure(|consumer| {
            consumer
                .concurrency(1)
                .wait_time(Duration::from_secs(1))
                .backoff(Duration::ZERO, Duration::ZERO)
        })
        .run(std::future::pending::<()>(), move |delivery| {
            report_payload(delivery, report.clone())
        })
        .await?;
    Ok(())
}

async fn buffered_bytes_bound_the_memory() -> Outcome {
    let server = sqs_tests::strict().journal_capacity(0).start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    let sent_to = client.create_queue("sent-to").await?.queue_url;
    // Without compressed payloads.
    let numbers = (0..).filter(|number| number % 8 < 6).take(PAYLOADS);
    let payloads: Vec<Payload> = numbers.map(|number| Payload { number, size: SIZE }).collect();
    send_all(&client, &sent_to, &payloads).await?;
    let queue = client.create_queue("q").await?.queue_url;
    all_first_segments_first(&client, &sent_to, &queue).await?;

    let (orders, mut lines) = Orders::with_reports(TEST, server.endpoint(), queue).await?;
    let child = orders.start()?;
    let mut remaining: BTreeSet<String> = payloads.iter().map(|payload| payload.number.to_string()).collect();
    while !remaining.is_empty() {
        let line = timeout(Duration::from_secs(60), lines.recv()).await;
        let line = line
            .with_context(|| format!("{remaining:?} do not arrive"))?
            .context("the listener ended")?;
        ensure!(remaining.remove(&line), "{line}");
    }
    if let Some(peak) = child.peak_memory() {
        eprintln!(
            "{} MiB in segments, of which the consumer may buffer {} MiB: peak memory {} MiB",
            PAYLOADS * SIZE / MIB,
            BUFFERED / MIB,
            peak / 1024
        );
        ensure!(peak < ((BUFFERED + OVERHEAD) / 1024) as u64, "{peak} KiB");
    }
    Ok(())
}

/// Forwards the segments by index, so that no payload is complete before all of them nearly are.
async fn all_first_segments_first(client: &Client, from: &str, to: &str) -> Outcome {
    let mut segments: Vec<(u64, OutgoingMessage)> = Vec::new();
    loop {
        let receive = client.receive_message(from).max_messages(10);
        let messages = receive.message_attribute_names(["All"]).await?.messages;
        if messages.is_empty() {
            break;
        }
        for message in messages {
            let header = message.message_attributes.get("SQSExtendedSegment");
            let header = header.and_then(|header| header.as_str()).context("a segment")?;
            let header: serde_json::Value = serde_json::from_str(header)?;
            segments.push((header["index"].as_u64().context("its index")?, again(message)));
        }
    }
    segments.sort_by_key(|(index, _)| *index);
    let sent = client.send_messages(to, segments.into_iter().map(|(_, message)| message));
    for sent in sent.await {
        sent?;
    }
    Ok(())
}
