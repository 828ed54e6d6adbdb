//! What can be set, each setting at work on a server: most on an embedded one, with a store in memory.

mod authentication;
mod batches;
mod codec;
mod consumer;
mod deletion;
mod elsewhere;
mod hooks;
mod limits;
mod missing;
mod not_found;
mod travel;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use libtest_mimic::Trial;
use sqs_client::client::RetryPolicy;
use sqs_client::{Client, QueueAttributes};
use sqs_extended::receive::Rejected;
use sqs_extended::store::PayloadStoreBuilder;
use sqs_extended::{ExtendedClient, ExtendedClientBuilder, ExtendedDelivery, PayloadStore};
use sqs_tests::embedded::{EmbeddedServer, MessageView};

use super::store::{BUCKET, Counting, keys};
use crate::bench::{Bench, Outcome, client_of_embedded, trial};

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let modules = [
        authentication::trials(bench),
        batches::trials(bench),
        codec::trials(bench),
        consumer::trials(bench),
        deletion::trials(bench),
        elsewhere::trials(bench),
        hooks::trials(bench),
        limits::trials(bench),
        missing::trials(bench),
        not_found::trials(bench),
        travel::trials(bench),
    ];
    modules.into_iter().flatten().collect()
}

/// A server of the test's own, a client of it that never repeats, a queue and a store.
struct Setting {
    server: EmbeddedServer,
    client: Client,
    queue: String,
    store: Counting,
}

impl Setting {
    async fn new() -> anyhow::Result<Self> {
        let server = EmbeddedServer::start().await?;
        let client = client_of_embedded(&server).retry(RetryPolicy::never()).build()?;
        let queue = client.create_queue("q").await?.queue_url;
        Ok(Self {
            server,
            client,
            queue,
            store: Counting::default(),
        })
    }

    /// Another queue.
    async fn queue(&self, name: &str) -> anyhow::Result<String> {
        let mut attributes = QueueAttributes::default();
        attributes.content_based_deduplication = name.ends_with(".fifo").then_some(true);
        let created = self.client.create_queue(name).attributes(attributes).await?;
        Ok(created.queue_url)
    }

    /// The place of payloads in the store, under `p/`.
    fn payloads(&self) -> PayloadStoreBuilder {
        PayloadStore::builder(self.store.clone(), BUCKET).prefix("p/")
    }

    /// A client whose payloads are in this place.
    fn with(&self, payloads: PayloadStoreBuilder) -> anyhow::Result<ExtendedClientBuilder> {
        Ok(ExtendedClient::builder(self.client.clone()).payload_store(payloads.build()?))
    }

    fn extended(&self) -> anyhow::Result<ExtendedClientBuilder> {
        self.with(self.payloads())
    }

    /// The messages of a queue, as the server has them.
    fn messages(&self, queue: &str) -> Vec<MessageView> {
        let name = queue.rsplit('/').next().unwrap_or_default();
        self.server.queue(name).expect("a queue").messages()
    }

    /// The keys of what is stored.
    async fn stored(&self) -> anyhow::Result<Vec<String>> {
        Ok(keys(&self.store, "p").await?)
    }
}

/// A test with a setting of its own.
fn set<F>(name: impl fmt::Display, bench: &Arc<Bench>, test: F) -> Trial
where
    F: FnOnce(Setting) -> BoxFuture<'static, Outcome> + Send + 'static,
{
    trial(format!("extended::settings::{name}"), bench, |_| {
        Ok(Box::pin(async { test(Setting::new().await?).await }))
    })
}

/// The next message with all its attributes, whether or not it is taken.
async fn next(extended: &ExtendedClient, queue: &str) -> anyhow::Result<Result<ExtendedDelivery, Rejected>> {
    let received = extended
        .receive(queue)
        .wait_time(Duration::from_secs(5))
        .message_attribute_names(["All"])
        .await?;
    received.into_iter().next().context("no message comes")
}

/// The next message, which is taken.
async fn delivery(extended: &ExtendedClient, queue: &str) -> anyhow::Result<ExtendedDelivery> {
    Ok(next(extended, queue).await??)
}

/// Text that is offloaded.
fn large() -> String {
    "large ".repeat(50_000)
}
