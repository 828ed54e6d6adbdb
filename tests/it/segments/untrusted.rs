//! Tests segments of untrusted senders. They use bounded resources and affect no other payload.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Client, OutgoingMessage};
use sqs_extended::ExtendedDelivery;
use sqs_extended::consumer::IncompleteAction;
use sqs_extended::payload::{Digest, DigestAlgorithm};
use sqs_local::Action;
use tokio::time::{Instant, sleep, timeout};

use super::forged::{Forged, SEGMENT, Scene};
use super::payloads::{Payload, encoding, report_payload};
use crate::child::{Orders, Report};
use crate::consumer::{fast_retries, until};
use crate::harness::{Harness, Outcome};

/// The test name of a child that writes all but small payloads to temporary files.
pub const SPILLING: &str = "spilling";
/// The test name of a child with a low limit of buffered bytes.
pub const FRUGAL: &str = "frugal";

const MIB: usize = 1024 * 1024;
const FRUGAL_BYTES: usize = 2 * MIB;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(incomplete_payloads_do_not_starve_complete_ones),
        harness.test(a_contradicting_segment_does_not_spoil_its_payload),
        harness.test(claimed_sizes_open_no_files),
        harness.test(payloads_wait_for_a_temporary_file),
        harness.test(a_missing_temporary_folder_is_not_retried_immediately),
        harness.test(attributes_count_as_buffered_bytes),
        harness.test(a_hanging_hook_blocks_no_other),
    ]
}

/// Consumes in a child, and reports every complete payload.
pub async fn consume(client: Client, queues: &[&str], report: Report, spills: bool) -> Outcome {
    let queue = *queues.first().context("a queue")?;
    let consumer = encoding(client)?.consumer(queue);
    let consumer = match spills {
        true => consumer.spill_threshold(3 * SEGMENT as u64),
        false => consumer.max_buffered_bytes(FRUGAL_BYTES as u64),
    };
    consumer
        .configure(|consumer| {
            consumer
                .concurrency(2)
                .wait_time(Duration::from_secs(1))
                .backoff(Duration::from_secs(30), Duration::from_secs(30))
        })
        .run(std::future::pending::<()>(), move |delivery| {
            report_payload(delivery, report.clone())
        })
        .await?;
    Ok(())
}

/// There is room for three payloads, all used by those of an untrusted sender.
async fn incomplete_payloads_do_not_starve_complete_ones() -> Outcome {
    const PAYLOADS: usize = 4;
    let scene = Scene::new().await?;
    for id in ["x", "y", "z"] {
        scene
            .client
            .send_message(&scene.queue, Forged::half(id, 2).message("a"))
            .await?;
    }
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = handled.clone();
    let begin = Instant::now();
    let sending = async {
        until(|| scene.in_flight().len() == 3).await?;
        for number in 0..PAYLOADS {
            scene.send(Payload { number, size: 20_000 }).await?;
            until(|| handled.load(Ordering::SeqCst) > number).await?;
        }
        anyhow::Ok(())
    };
    scene
        .consumer(Duration::ZERO)
        .max_buffered_payloads(3)
        .assembly_timeout(Duration::from_secs(2))
        .run(sending, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok::<(), std::convert::Infallible>(()) }
        })
        .await?;
    let handled = handled.load(Ordering::SeqCst);
    ensure!(handled == PAYLOADS, "{handled} were handled");
    ensure!(begin.elapsed() < Duration::from_secs(25), "{:?}", begin.elapsed());
    Ok(())
}

/// The contradicting segment arrives before the payload's last one.
async fn a_contradicting_segment_does_not_spoil_its_payload() -> Outcome {
    let scene = Scene::new().await?;
    let payload = Payload {
        number: 0,
        size: 20_000,
    };
    let mut segments = scene.segments(payload).await?;
    let last = segments.pop().context("a last segment")?;
    let second = segments.get(1).context("a second segment")?;
    let header = second
        .message_attributes
        .get("SQSExtendedSegment")
        .and_then(|value| value.as_str());
    let mut header: serde_json::Value = serde_json::from_str(header.context("a header")?)?;
    let wrong = "wrong".repeat(100);
    let checksum = Digest::compute(DigestAlgorithm::Blake3, wrong.as_bytes());
    header["checksum"] = checksum.to_string().into();
    header["form"] = "text".into();
    let wrong = OutgoingMessage::new(wrong).message_attribute("SQSExtendedSegment", header.to_string());

    let others = segments.len();
    for segment in segments {
        scene.client.send_message(&scene.queue, segment).await?;
    }
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let noted = arrived.clone();
    let sending = async {
        until(|| scene.in_flight().len() == others).await?;
        let wrong = scene.client.send_message(&scene.queue, wrong).await?.message_id;
        let received = |id: &str| {
            scene
                .view
                .messages()
                .iter()
                .any(|message| message.id == id && message.receives > 0)
        };
        until(|| received(&wrong)).await?;
        sleep(Duration::from_millis(300)).await;
        scene.client.send_message(&scene.queue, last).await?;
        until(|| !arrived.lock().expect("no handler panics here").is_empty()).await
    };
    scene
        .consumer(Duration::ZERO)
        .spill_threshold(1)
        .run(sending, move |delivery| {
            let noted = noted.clone();
            async move {
                let received = Payload::received(&delivery).await;
                let received = received.map_err(|error| format!("{error:#}"));
                noted.lock().expect("no handler panics here").push(received);
                Ok::<(), std::convert::Infallible>(())
            }
        })
        .await?;
    let arrived = arrived.lock().expect("no handler panics here").clone();
    ensure!(arrived == [Ok(payload)], "{arrived:?}");
    Ok(())
}

/// Each of these messages is one byte long and claims to belong to a payload of 100 MiB.
async fn claimed_sizes_open_no_files() -> Outcome {
    const FILES: u32 = 128;
    let server = sqs_tests::strict().journal_capacity(0).start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    let claims = (0..400).map(|number| Forged::half(&format!("claim-{number}"), 100 << 20).message("a"));
    for sent in client.send_messages(&queue, claims).await {
        sent?;
    }
    let (orders, mut lines) = Orders::with_reports(SPILLING, server.endpoint(), queue.clone()).await?;
    let _child = orders.start_limited(FILES, &std::env::temp_dir())?;
    let view = server.queue("q").context("the queue exists")?;
    until(|| view.messages().iter().all(|message| message.receives > 0)).await?;
    let payload = Payload {
        number: 2,
        size: 10 * SEGMENT,
    };
    let extended = sqs_extended::ExtendedClient::builder(client)
        .segment_size(SEGMENT)
        .threshold(SEGMENT)
        .build()?;
    extended.send(&queue, payload.message()).await?;
    let line = timeout(Duration::from_secs(20), lines.recv()).await;
    let line = line.context("the payload does not arrive")?;
    ensure!(line.as_deref() == Some("2"), "{line:?}");
    Ok(())
}

/// The first payload uses the only temporary file that is allowed.
async fn payloads_wait_for_a_temporary_file() -> Outcome {
    let scene = Scene::new().await?;
    let [first, second] = [0, 1].map(|number| Payload { number, size: 20_000 });
    let mut halves = Vec::new();
    for payload in [first, second] {
        let mut segments = scene.segments(payload).await?;
        halves.push((segments.pop().context("a last segment")?, segments));
    }
    let handled = Arc::new(Mutex::new(Vec::new()));
    let noted = handled.clone();
    let sending = async {
        for (_, segments) in &halves {
            let before = scene.view.len();
            for segment in segments {
                scene.client.send_message(&scene.queue, segment.clone()).await?;
            }
            until(|| scene.in_flight().len() == before + segments.len()).await?;
        }
        let receives = || {
            scene
                .view
                .messages()
                .iter()
                .map(|message| message.receives)
                .collect::<Vec<_>>()
        };
        let of_first = halves[0].1.len();
        until(|| receives()[of_first..].iter().any(|receives| *receives > 1)).await?;
        ensure!(
            receives()[..of_first].iter().all(|receives| *receives == 1),
            "{:?}",
            receives()
        );
        for (last, _) in &halves {
            scene.client.send_message(&scene.queue, last.clone()).await?;
        }
        until(|| scene.view.is_empty()).await
    };
    let mut ended = None;
    scene
        .consumer(Duration::from_secs(2))
        .spill_threshold(1)
        .max_spill_files(1)
        .run(async { ended = Some(sending.await) }, move |delivery| {
            let noted = noted.clone();
            async move {
                let payload = Payload::received(&delivery).await?;
                noted.lock().expect("no handler panics here").push(payload);
                anyhow::Ok(())
            }
        })
        .await?;
    ended.context("the shutdown did not complete")??;
    ensure!(*handled.lock().expect("no handler panics here") == [first, second]);
    Ok(())
}

async fn a_missing_temporary_folder_is_not_retried_immediately() -> Outcome {
    let scene = Scene::new().await?;
    let payload = Payload {
        number: 2,
        size: 10 * SEGMENT,
    };
    let segments = scene.send(payload).await?;
    let (orders, mut lines) = Orders::with_reports(SPILLING, scene.server.endpoint(), scene.queue.clone()).await?;
    let folder = tempfile::tempdir()?;
    let temporary = folder.path().join("temporary");
    let _child = orders.start_limited(1024, &temporary)?;
    until(|| scene.receives() as usize >= segments).await?;
    sleep(Duration::from_secs(3)).await;
    let receives = scene.receives() as usize;
    ensure!(
        receives <= 4 * segments,
        "{segments} segments were received {receives} times"
    );
    std::fs::create_dir(&temporary)?;
    let line = timeout(Duration::from_secs(60), lines.recv()).await;
    ensure!(line.context("the payload does not arrive")?.as_deref() == Some("2"));
    Ok(())
}

/// Each message is one byte of a payload with nearly 1 MiB of attributes.
async fn attributes_count_as_buffered_bytes() -> Outcome {
    const MESSAGES: usize = 100;
    /// An allowance for the process itself and messages that are received but not yet buffered.
    const OVERHEAD: usize = 80 * MIB;
    let server = sqs_tests::strict().journal_capacity(0).start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    for number in 0..MESSAGES {
        let attribute = MessageAttributeValue::binary(vec![7; MIB - 2_000]);
        let message = Forged::half(&format!("heavy-{number}"), 2).message("a");
        client
            .send_message(&queue, message.message_attribute("heavy", attribute))
            .await?;
    }
    let (orders, _lines) = Orders::with_reports(FRUGAL, server.endpoint(), queue).await?;
    let child = orders.start()?;
    let view = server.queue("q").context("the queue exists")?;
    let receives = || view.messages().iter().map(|message| message.receives).sum::<u32>();
    until(|| receives() as usize >= MESSAGES).await?;
    sleep(Duration::from_millis(500)).await;
    if let Some(peak) = child.peak_memory() {
        eprintln!(
            "{MESSAGES} MiB of attributes, of which {FRUGAL_BYTES} bytes may be buffered: peak memory {} MiB",
            peak / 1024
        );
        ensure!(peak < ((FRUGAL_BYTES + OVERHEAD) / 1024) as u64, "{peak} KiB");
    }
    Ok(())
}

/// The first payload's hook never ends. The second payload's hook must still be called.
async fn a_hanging_hook_blocks_no_other() -> Outcome {
    let scene = Scene::new().await?;
    scene
        .client
        .send_message(&scene.queue, Forged::half("hangs", 2).message("a"))
        .await?;
    let hook_calls = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = hook_calls.clone();
    let hook_calls = |id: &str| hook_calls.lock().expect("no hook panics").contains(id);
    let sending = async {
        until(|| hook_calls("hangs")).await?;
        scene
            .client
            .send_message(&scene.queue, Forged::half("passes", 2).message("a"))
            .await?;
        timeout(Duration::from_secs(15), until(|| hook_calls("passes")))
            .await
            .context("the other payload was not reported")?
    };
    let mut ended = None;
    let run = scene
        .consumer(Duration::ZERO)
        .assembly_timeout(Duration::from_secs(1))
        .on_incomplete(move |payload| {
            noted.lock().expect("no hook panics").insert(payload.payload_id.clone());
            async move {
                if payload.payload_id == "hangs" {
                    std::future::pending::<()>().await;
                }
                IncompleteAction::Delete
            }
        })
        .run(async { ended = Some(sending.await) }, |_: ExtendedDelivery| async {
            Ok::<(), std::convert::Infallible>(())
        });
    let begin = Instant::now();
    run.await?;
    ended.context("the shutdown did not complete")??;
    ensure!(
        begin.elapsed() < Duration::from_secs(25),
        "the consumer did not end in time: {:?}",
        begin.elapsed()
    );
    ensure!(scene.server.count(Action::ReceiveMessage) > 0);
    Ok(())
}
