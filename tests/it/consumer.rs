//! Tests the consumer on every server: handling, leases, returned messages and shutdown.

mod blocking;
pub mod child;
mod ending;
mod handling;
mod killed;
mod leases;
mod naming;
mod poison;
mod polling;
mod refused;
mod rejected;

use std::collections::BTreeMap;
use std::future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::bail;
use libtest_mimic::Trial;
use sqs_client::client::RetryPolicy;
use sqs_client::{Client, Consumer, Delivery, OutgoingMessage};
use sqs_local::{LocalSqs, QueueView};
use tokio::time::Instant;

use crate::harness::Harness;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let modules = [
        blocking::trials(harness),
        ending::trials(harness),
        handling::trials(harness),
        killed::trials(harness),
        leases::trials(harness),
        naming::trials(harness),
        poison::trials(harness),
        polling::trials(harness),
        refused::trials(harness),
        rejected::trials(harness),
    ];
    modules.into_iter().flatten().collect()
}

/// Starts sqs-local with a queue, and builds a client with short retry delays.
async fn local() -> anyhow::Result<(LocalSqs, Client, String)> {
    let server = sqs_tests::strict().start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    Ok((server, client, queue))
}

/// Returns a retry policy with short delays.
pub fn fast_retries() -> RetryPolicy {
    let moment = Duration::from_millis(10);
    RetryPolicy::standard()
        .max_attempts(6)
        .base_delay(moment)
        .throttled_base_delay(moment)
}

/// Returns a consumer with short timeouts that makes failed messages visible immediately.
fn fast_consumer(client: &Client, queue: &str) -> Consumer {
    client
        .consumer(queue)
        .visibility_timeout(Duration::from_secs(4))
        .wait_time(Duration::from_secs(1))
        .shutdown_timeout(Duration::from_secs(5))
        .backoff(Duration::ZERO, Duration::ZERO)
}

async fn send(client: &Client, queue: &str, messages: Vec<OutgoingMessage>) -> anyhow::Result<()> {
    for result in client.send_messages(queue, messages).await {
        result?;
    }
    Ok(())
}

fn numbered(count: usize) -> Vec<OutgoingMessage> {
    (0..count)
        .map(|number| OutgoingMessage::new(number.to_string()))
        .collect()
}

/// Returns messages of a FIFO queue. The body is the number within its group.
fn grouped(groups: usize, each: usize) -> Vec<OutgoingMessage> {
    let of_group = |group: usize| {
        (0..each).map(move |number| {
            OutgoingMessage::new(number.to_string())
                .message_group_id(format!("group-{group}"))
                .message_deduplication_id(format!("{group}-{number}"))
        })
    };
    // The first message of each group, then the second of each, and so on.
    let mut messages: Vec<_> = (0..groups).flat_map(|group| of_group(group).enumerate()).collect();
    messages.sort_by_key(|(number, _)| *number);
    messages.into_iter().map(|(_, message)| message).collect()
}

/// Waits until `done` returns `true`.
pub async fn until(done: impl Fn() -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        if Instant::now() > deadline {
            bail!("the condition was not met within 60 s");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn view(server: &LocalSqs, name: &str) -> QueueView {
    server.queue(name).expect("the queue was created")
}

/// The values that handlers noted, by key.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Seen {
    fn note(&self, key: &str, value: &str) {
        let mut seen = self.0.lock().expect("no handler panics here");
        seen.entry(key.to_owned()).or_default().push(value.to_owned());
    }

    /// Returns a handler that notes each body and succeeds.
    fn handler(&self) -> impl Fn(Delivery) -> future::Ready<Result<(), ()>> + Send + Sync + 'static {
        let seen = self.clone();
        move |delivery| {
            seen.note(&delivery.message().body, "");
            future::ready(Ok(()))
        }
    }

    /// Returns the number of keys and the number of values.
    fn counts(&self) -> (usize, usize) {
        let seen = self.0.lock().expect("no handler panics here");
        (seen.len(), seen.values().map(Vec::len).sum())
    }

    fn all(&self) -> BTreeMap<String, Vec<String>> {
        self.0.lock().expect("no handler panics here").clone()
    }
}
