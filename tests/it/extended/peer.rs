//! AWS's own extended clients at the other end: each reads what the other sent, and deletes it by its handle.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use object_store::aws::AmazonS3;
use sqs_client::Client;
use sqs_extended::pointer::ReservedAttribute;
use sqs_extended::{ExtendedClient, ExtendedDelivery, PayloadStore};
use sqs_tests::peers::{Attribute, Peer, Received};
use sqs_tests::servers::Unavailable;
use tokio::process::Command;

use super::store::{BUCKET, bucket_of, keys};
use crate::harness::{Backend, Harness, Outcome, unique};

/// A library, the server of its queues, and that of its payloads.
///
/// The Python library cuts a receipt handle at its last hyphen, of which ElasticMQ's have several: so it has moto's.
const CASES: [(&str, Language, Backend, Store); 3] = [
    ("python_on_moto", Language::Python, Backend::Moto, Store::Moto),
    (
        "python_on_minio_and_moto",
        Language::Python,
        Backend::Moto,
        Store::Minio,
    ),
    (
        "java_on_minio_and_elasticmq",
        Language::Java,
        Backend::ElasticMq,
        Store::Minio,
    ),
];

#[derive(Clone, Copy)]
enum Language {
    Java,
    Python,
}

#[derive(Clone, Copy)]
enum Store {
    Minio,
    Moto,
}

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let trials = CASES.map(|(name, language, backend, store)| {
        harness.trial(format!("extended::peer::{name}"), move |harness| {
            let program = program(harness, language)?;
            let servers = &harness.servers;
            let queues = match backend {
                Backend::Moto => servers.moto(),
                _ => servers.elasticmq(),
            };
            let queues = queues.map_err(Clone::clone)?.endpoint().to_owned();
            let server = match store {
                Store::Minio => servers.minio(),
                Store::Moto => servers.moto(),
            };
            let server = server.map_err(Clone::clone)?;
            let store = bucket_of(server).expect("a bucket");
            let client = harness.client_for(backend)?.build().expect("a client");
            let _runtime = harness.runtime.enter();
            let peer = Peer::start(program, &queues, server, BUCKET).expect("the peer starts");
            let pair = Pair { client, store, peer };
            Ok(Box::pin(pair.exchange()))
        })
    });
    trials.into()
}

fn program(harness: &Harness, language: Language) -> Result<Command, Unavailable> {
    let servers = &harness.servers;
    Ok(match language {
        Language::Java => Peer::java(
            servers.java_extended_client().map_err(Clone::clone)?,
            &["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
        ),
        Language::Python => Peer::python(servers.python_extended_client().map_err(Clone::clone)?),
    })
}

/// We and the peer.
struct Pair {
    client: Client,
    store: AmazonS3,
    peer: Peer,
}

impl Pair {
    /// One process for all, as it takes its time to start.
    async fn exchange(mut self) -> Outcome {
        for attribute in [Attribute::Current, Attribute::Legacy] {
            self.theirs(attribute).await.context("what the peer sent")?;
            self.ours(attribute).await.context("what we sent")?;
            self.batch(attribute).await.context("the peer's batch")?;
            self.our_batch(attribute).await.context("our batch")?;
        }
        self.oversized().await.context("the peer's oversized batch")
    }

    /// They send, we receive and delete.
    async fn theirs(&mut self, attribute: Attribute) -> Outcome {
        let (queue, extended) = self.queue(attribute).await?;
        let text = "grüße, 世界 🦀 ".repeat(20_000);
        self.peer.send(attribute, &queue, &text, 2).await?;
        let delivery = receive(&extended, &queue).await?.remove(0);
        let key = delivery.pointer().context("a pointer")?.key.clone();
        ensure!(keys(&self.store, "").await?.contains(&key));
        ensure!(delivery.message_attributes().is_empty());
        ensure!(delivery.text().await? == text.repeat(2), "it came changed");
        delivery.ack().await?;
        ensure!(
            !keys(&self.store, "").await?.contains(&key),
            "its payload is still there"
        );
        self.is_empty(&queue).await
    }

    /// We send, they receive, and delete by nothing but the handle that they give.
    async fn ours(&mut self, attribute: Attribute) -> Outcome {
        let (queue, extended) = self.queue(attribute).await?;
        let text = "schöne Grüße 🦀 ".repeat(40_000);
        let sent = extended.send(&queue, text.clone()).await?;
        let key = sent.pointer.context("a pointer")?.key;
        let [Received { body, handle }] = self.received(&queue).await?;
        ensure!(std::fs::read_to_string(body)? == text, "it came changed");
        ensure!(handle.contains(&key), "the handle is not of the form that we know");
        self.peer.delete(&queue, &handle).await?;
        ensure!(
            !keys(&self.store, "").await?.contains(&key),
            "its payload is still there"
        );
        self.is_empty(&queue).await
    }

    /// Their bodies are 1.5 MB together, and go to the store; only one is small.
    async fn batch(&mut self, attribute: Attribute) -> Outcome {
        let (queue, extended) = self.queue(attribute).await?;
        let texts: Vec<String> = ('a'..='e').map(|letter| letter.to_string().repeat(300_000)).collect();
        let texts = [texts, vec!["small".to_owned()]].concat();
        self.peer.send_batch(attribute, &queue, &texts).await?;
        let mut came = Vec::new();
        let mut offloaded = Vec::new();
        while came.len() < texts.len() {
            for delivery in receive(&extended, &queue).await? {
                came.push(delivery.text().await?);
                offloaded.extend(delivery.pointer().map(|pointer| pointer.key.clone()));
                delivery.ack().await?;
            }
        }
        came.sort();
        ensure!(came == texts, "they came changed");
        ensure!(offloaded.len() == 5);
        let left = keys(&self.store, "").await?;
        ensure!(
            !offloaded.iter().any(|key| left.contains(key)),
            "payloads are still there"
        );
        self.is_empty(&queue).await
    }

    /// Messages that are below the threshold each, and 1.25 MB together.
    async fn our_batch(&mut self, attribute: Attribute) -> Outcome {
        let (queue, extended) = self.queue(attribute).await?;
        let texts: Vec<String> = ('a'..='e').map(|letter| letter.to_string().repeat(250_000)).collect();
        for sent in extended.send_messages(&queue, texts.clone()).await {
            sent?;
        }
        let mut came = Vec::new();
        while came.len() < texts.len() {
            let (_, received) = self.peer.receive(&queue).await?;
            ensure!(!received.is_empty(), "no message comes");
            for Received { body, handle } in received {
                came.push(std::fs::read_to_string(body)?);
                self.peer.delete(&queue, &handle).await?;
            }
        }
        came.sort();
        ensure!(came == texts, "they came changed");
        self.is_empty(&queue).await
    }

    /// The same from them: the libraries look at each message alone, and SQS refuses all.
    async fn oversized(&mut self) -> Outcome {
        let (queue, _) = self.queue(Attribute::Current).await?;
        let texts: Vec<String> = ('a'..='e').map(|letter| letter.to_string().repeat(250_000)).collect();
        let sent = self.peer.send_batch(Attribute::Current, &queue, &texts).await;
        let error = format!("{:#}", sent.err().context("the library has learned to count")?);
        ensure!(error.contains("TooLong") || error.contains("too long"), "{error}");
        self.is_empty(&queue).await
    }

    /// A queue, and our side of it. The peers put their payloads at the bucket's root.
    async fn queue(&self, attribute: Attribute) -> anyhow::Result<(String, ExtendedClient)> {
        let queue = self.client.create_queue(unique("peer")).await?.queue_url;
        let payloads = PayloadStore::builder(self.store.clone(), BUCKET)
            .reserved_attribute(match attribute {
                Attribute::Current => ReservedAttribute::ExtendedPayloadSize,
                Attribute::Legacy => ReservedAttribute::SqsLargePayloadSize,
            })
            .build()?;
        let extended = ExtendedClient::builder(self.client.clone())
            .payload_store(payloads)
            .build()?;
        Ok((queue, extended))
    }

    async fn received<const COUNT: usize>(&mut self, queue: &str) -> anyhow::Result<[Received; COUNT]> {
        let (_, received) = self.peer.receive(queue).await?;
        received
            .try_into()
            .map_err(|received: Vec<Received>| anyhow::anyhow!("{} messages instead of {COUNT}", received.len()))
    }

    async fn is_empty(&self, queue: &str) -> Outcome {
        let name = sqs_client::types::QueueAttributeName::ApproximateNumberOfMessages;
        let hidden = sqs_client::types::QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let counts = self
            .client
            .get_queue_attributes(queue, [name, hidden])
            .await?
            .attributes;
        let counts = (
            counts.approximate_number_of_messages,
            counts.approximate_number_of_messages_not_visible,
        );
        ensure!(counts == (Some(0), Some(0)), "the queue has messages: {counts:?}");
        Ok(())
    }
}

async fn receive(extended: &ExtendedClient, queue: &str) -> anyhow::Result<Vec<ExtendedDelivery>> {
    let received = extended
        .receive(queue)
        .max_messages(10)
        .wait_time(Duration::from_secs(5))
        .await?;
    ensure!(!received.is_empty(), "no message comes");
    Ok(received.into_iter().collect::<Result<_, _>>()?)
}
