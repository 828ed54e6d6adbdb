//! Tests each setting against a server, in most tests sqs-local with a store in memory.

mod authentication;
mod batches;
mod codec;
mod consumer;
mod deletion;
mod hooks;
mod interop;
mod limits;
mod missing;
mod not_found;
mod strategy;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use libtest_mimic::Trial;
use sqs_client::client::RetryPolicy;
use sqs_client::{Client, QueueAttributes};
use sqs_extended::receive::Rejected;
use sqs_extended::store::PayloadStoreBuilder;
use sqs_extended::{ExtendedClient, ExtendedClientBuilder, ExtendedDelivery, PayloadStore};
use sqs_local::{LocalSqs, MessageView};

use super::store::{BUCKET, Counting, keys};
use crate::harness::{Harness, Outcome, name_of};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let modules = [
        authentication::trials(harness),
        batches::trials(harness),
        codec::trials(harness),
        consumer::trials(harness),
        deletion::trials(harness),
        hooks::trials(harness),
        interop::trials(harness),
        limits::trials(harness),
        missing::trials(harness),
        not_found::trials(harness),
        strategy::trials(harness),
    ];
    modules.into_iter().flatten().collect()
}

/// A server of the test's own, a client that never retries, a queue and a store.
struct Fixture {
    server: LocalSqs,
    client: Client,
    queue: String,
    store: Counting,
}

impl Fixture {
    async fn new() -> anyhow::Result<Self> {
        let server = sqs_tests::strict().start().await?;
        let client = server.client_builder().retry(RetryPolicy::never()).build()?;
        let queue = client.create_queue("q").await?.queue_url;
        Ok(Self {
            server,
            client,
            queue,
            store: Counting::default(),
        })
    }

    /// Creates another queue.
    async fn queue(&self, name: &str) -> anyhow::Result<String> {
        let mut attributes = QueueAttributes::default();
        attributes.content_based_deduplication = name.ends_with(".fifo").then_some(true);
        let created = self.client.create_queue(name).attributes(attributes).await?;
        Ok(created.queue_url)
    }

    /// Returns a builder of the payload store, with the prefix `p/`.
    fn payloads(&self) -> PayloadStoreBuilder {
        PayloadStore::builder(self.store.clone(), BUCKET).prefix("p/")
    }

    /// Returns a builder of a client with this payload store.
    fn with(&self, payloads: PayloadStoreBuilder) -> anyhow::Result<ExtendedClientBuilder> {
        Ok(ExtendedClient::builder(self.client.clone()).payload_store(payloads.build()?))
    }

    fn extended(&self) -> anyhow::Result<ExtendedClientBuilder> {
        self.with(self.payloads())
    }

    /// Returns the messages of a queue as the server stores them.
    fn messages(&self, queue: &str) -> Vec<MessageView> {
        let name = queue.rsplit('/').next().unwrap_or_default();
        self.server.queue(name).expect("a queue").messages()
    }

    /// Returns the keys of the stored payloads.
    async fn stored(&self) -> anyhow::Result<Vec<String>> {
        Ok(keys(&self.store, "p").await?)
    }
}

/// Returns a test with a fixture of its own.
fn test<F, T>(harness: &Arc<Harness>, test: F) -> Trial
where
    F: FnOnce(Fixture) -> T + Send + 'static,
    T: Future<Output = Outcome> + Send + 'static,
{
    harness.trial(name_of(&test), |_| {
        Ok(Box::pin(async { test(Fixture::new().await?).await }))
    })
}

/// Receives the next message with all its attributes, accepted or rejected.
async fn next(extended: &ExtendedClient, queue: &str) -> anyhow::Result<Result<ExtendedDelivery, Rejected>> {
    let received = extended
        .receive(queue)
        .wait_time(Duration::from_secs(5))
        .message_attribute_names(["All"])
        .await?;
    received.into_iter().next().context("no message arrives")
}

/// Receives the next message, which must be accepted.
async fn delivery(extended: &ExtendedClient, queue: &str) -> anyhow::Result<ExtendedDelivery> {
    Ok(next(extended, queue).await??)
}

/// Returns text that is offloaded.
fn large() -> String {
    "large ".repeat(50_000)
}
