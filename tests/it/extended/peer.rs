//! Tests against AWS's extended clients. Each side reads the other's messages and deletes them by receipt handle.

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

/// The tests: name, the peer's language, the server of its queues, and that of its payloads.
///
/// The Python library cuts a receipt handle at its last hyphen. ElasticMQ's handles contain several, so Python uses moto.
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

/// Our client and the peer.
struct Pair {
    client: Client,
    store: AmazonS3,
    peer: Peer,
}

impl Pair {
    /// Runs all exchanges with one process, because the peer is slow to start.
    async fn exchange(mut self) -> Outcome {
        for attribute in [Attribute::Current, Attribute::Legacy] {
            self.receives_from_peer(attribute).await.context("the peer's message")?;
            self.sends_to_peer(attribute).await.context("our message")?;
            self.batch(attribute).await.context("the peer's batch")?;
            self.our_batch(attribute).await.context("our batch")?;
        }
        self.oversized().await.context("the peer's oversized batch")
    }

    /// The peer sends. We receive and delete.
    async fn receives_from_peer(&mut self, attribute: Attribute) -> Outcome {
        let (queue, extended) = self.queue(attribute).await?;
        let text = "grüße, 世界 🦀 ".repeat(20_000);
        self.peer.send(attribute, &queue, &text, 2).await?;
        let delivery = receive(&extended, &queue).await?.remove(0);
        let key = delivery.pointer().context("a pointer")?.key.clone();
        ensure!(keys(&self.store, "").await?.contains(&key));
        ensure!(delivery.message_attributes().is_empty());
        ensure!(delivery.text().await? == text.repeat(2), "the payload changed");
        delivery.ack().await?;
        ensure!(
            !keys(&self.store, "").await?.contains(&key),
            "the payload was not deleted"
        );
        self.is_empty(&queue).await
    }

    /// We send. The peer receives, and deletes by its own receipt handle alone.
    async fn sends_to_peer(&mut self, attribute: Attribute) -> Outcome {
        let (queue, extended) = self.queue(attribute).await?;
        let text = "schöne Grüße 🦀 ".repeat(40_000);
        let sent = extended.send(&queue, text.clone()).await?;
        let key = sent.pointer.context("a pointer")?.key;
        let [Received { body, handle }] = self.received(&queue).await?;
        ensure!(std::fs::read_to_string(body)? == text, "the payload changed");
        ensure!(handle.contains(&key), "the receipt handle has an unknown format");
        self.peer.delete(&queue, &handle).await?;
        ensure!(
            !keys(&self.store, "").await?.contains(&key),
            "the payload was not deleted"
        );
        self.is_empty(&queue).await
    }

    /// The peer sends bodies of 1.5 MB in total. All but a small one are offloaded.
    async fn batch(&mut self, attribute: Attribute) -> Outcome {
        let (queue, extended) = self.queue(attribute).await?;
        let texts: Vec<String> = ('a'..='e').map(|letter| letter.to_string().repeat(300_000)).collect();
        let texts = [texts, vec!["small".to_owned()]].concat();
        self.peer.send_batch(attribute, &queue, &texts).await?;
        let mut arrived = Vec::new();
        let mut offloaded = Vec::new();
        while arrived.len() < texts.len() {
            for delivery in receive(&extended, &queue).await? {
                arrived.push(delivery.text().await?);
                offloaded.extend(delivery.pointer().map(|pointer| pointer.key.clone()));
                delivery.ack().await?;
            }
        }
        arrived.sort();
        ensure!(arrived == texts, "the payloads changed");
        ensure!(offloaded.len() == 5);
        let remaining = keys(&self.store, "").await?;
        ensure!(
            !offloaded.iter().any(|key| remaining.contains(key)),
            "payloads were not deleted"
        );
        self.is_empty(&queue).await
    }

    /// We send messages that are each below the threshold, 1.25 MB in total.
    async fn our_batch(&mut self, attribute: Attribute) -> Outcome {
        let (queue, extended) = self.queue(attribute).await?;
        let texts: Vec<String> = ('a'..='e').map(|letter| letter.to_string().repeat(250_000)).collect();
        for sent in extended.send_messages(&queue, texts.clone()).await {
            sent?;
        }
        let mut arrived = Vec::new();
        while arrived.len() < texts.len() {
            let (_, received) = self.peer.receive(&queue).await?;
            ensure!(!received.is_empty(), "no message arrives");
            for Received { body, handle } in received {
                arrived.push(std::fs::read_to_string(body)?);
                self.peer.delete(&queue, &handle).await?;
            }
        }
        arrived.sort();
        ensure!(arrived == texts, "the payloads changed");
        self.is_empty(&queue).await
    }

    /// The peer sends the same. Its libraries check each message alone, and SQS refuses the whole batch.
    async fn oversized(&mut self) -> Outcome {
        let (queue, _) = self.queue(Attribute::Current).await?;
        let texts: Vec<String> = ('a'..='e').map(|letter| letter.to_string().repeat(250_000)).collect();
        let sent = self.peer.send_batch(Attribute::Current, &queue, &texts).await;
        let error = format!("{:#}", sent.err().context("the library now limits the whole batch")?);
        ensure!(error.contains("TooLong") || error.contains("too long"), "{error}");
        self.is_empty(&queue).await
    }

    /// Creates a queue and our client. The peers store their payloads at the bucket's root.
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
        received.try_into().map_err(|received: Vec<Received>| {
            anyhow::anyhow!("received {} messages instead of {COUNT}", received.len())
        })
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
    ensure!(!received.is_empty(), "no message arrives");
    Ok(received.into_iter().collect::<Result<_, _>>()?)
}
