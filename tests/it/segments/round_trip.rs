//! Tests that payloads are sent in segments, assembled by a consumer, and deleted by the acknowledgement.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use libtest_mimic::Trial;
use sqs_client::types::QueueAttributeName;
use sqs_client::{Protocol, QueueAttributes};
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedMessage};
use tokio::sync::Notify;

use crate::harness::{Backend, Context, Harness, Outcome, name_of};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for backend in Backend::ALL {
        for (kind, suffix) in [("standard", ""), ("fifo", ".fifo")] {
            let name = format!("{}::{}_{kind}", name_of(&payloads_arrive_unchanged), backend.name());
            trials.push(harness.trial(name, move |harness| {
                let context = Context::new(harness, backend, Protocol::Json)?;
                Ok(Box::pin(payloads_arrive_unchanged(context, suffix)))
            }));
        }
    }
    trials
}

/// The arrived payloads, with the caller's attribute.
type Received = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

fn payload(number: usize, bytes: usize) -> Vec<u8> {
    let number = number as u8;
    (0..bytes).map(|i| (i % 251) as u8 ^ number).collect()
}

async fn payloads_arrive_unchanged(context: Context, suffix: &'static str) -> Outcome {
    let fifo = !suffix.is_empty();
    let mut attributes = QueueAttributes::default();
    attributes.content_based_deduplication = fifo.then_some(true);
    let queue = context.queue_with(suffix, attributes).await?;
    let extended = ExtendedClient::builder(context.client.clone()).build()?;
    let sizes = [1, 262_144, 300_000, 1_048_576, 2_500_000];
    let mut sent = BTreeMap::new();
    for (number, size) in sizes.into_iter().enumerate() {
        for text in [true, false] {
            let payload = match text {
                true => "ü".repeat(size / 2 + 1).into_bytes(),
                false => payload(number, size),
            };
            let mut message = ExtendedMessage::new(payload.clone()).message_attribute("size", size.to_string());
            if fifo {
                message = message.message_group_id("g");
            }
            let output = extended.send(&queue, message).await?;
            assert!(output.pointer.is_none());
            assert_eq!(output.segments > 1, payload.len() >= 262_144, "{size}");
            sent.insert((size.to_string(), text), payload);
        }
    }
    if fifo {
        let too_large = ExtendedMessage::new(payload(0, 11 * 262_144)).message_group_id("g");
        let error = extended.send(&queue, too_large).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    }

    let received: Received = Arc::default();
    let all = Arc::new(Notify::new());
    let (seen, notifier, total) = (received.clone(), all.clone(), sent.len());
    let consumer = extended.consumer(&queue).configure(|consumer| {
        consumer
            .visibility_timeout(Duration::from_secs(10))
            .wait_time(Duration::from_secs(1))
    });
    let run = consumer.run(all.notified(), move |delivery| {
        let (seen, notifier) = (seen.clone(), notifier.clone());
        async move {
            let size = delivery.message_attributes().get("size").and_then(|size| size.as_str());
            let size = size.context("the caller's attribute")?.to_owned();
            assert_eq!(
                delivery.message_attributes().len(),
                1,
                "the layer's own attributes are visible"
            );
            let bytes = delivery.bytes().await?;
            assert_eq!(delivery.size(), Some(bytes.len() as u64));
            delivery.ack().await?;
            let mut seen = seen.lock().expect("no handler panics here");
            seen.push((size, bytes.to_vec()));
            if seen.len() == total {
                notifier.notify_one();
            }
            anyhow::Ok(())
        }
    });
    tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .context("not all payloads arrived within 60 s")??;
    let received = received.lock().expect("no handler panics here").clone();
    for (size, bytes) in &received {
        let text = std::str::from_utf8(bytes).is_ok_and(|text| text.starts_with('ü'));
        assert!(sent.get(&(size.clone(), text)) == Some(bytes), "{size} {text} changed");
    }
    if fifo {
        let order: Vec<&String> = received.iter().map(|(size, _)| size).collect();
        let expected: Vec<String> = sizes
            .iter()
            .flat_map(|size| [size.to_string(), size.to_string()])
            .collect();
        assert_eq!(order, expected.iter().collect::<Vec<_>>());
    }
    let remaining = context
        .client
        .get_queue_attributes(&queue, [QueueAttributeName::All])
        .await?
        .attributes;
    assert_eq!(
        (
            remaining.approximate_number_of_messages,
            remaining.approximate_number_of_messages_not_visible
        ),
        (Some(0), Some(0))
    );
    Ok(())
}
