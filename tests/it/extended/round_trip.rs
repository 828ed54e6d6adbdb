//! Tests that payloads of every source and size arrive unchanged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::stream;
use libtest_mimic::Trial;
use object_store::aws::AmazonS3;
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Client, Protocol, QueueAttributes};
use sqs_extended::receive::PayloadOutcome;
use sqs_extended::{ExtendedClient, ExtendedDelivery, Payload};
use tokio::io::AsyncReadExt as _;

use super::store::{Counting, bucket_of, extended, keys};
use crate::harness::{Backend, Context, Harness, Outcome, name_of, unique};

/// Large enough for about 32 parts and small enough for CI. The example does the same with gigabytes.
const LARGE: usize = 256 * 1024 * 1024;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for backend in Backend::ALL {
        let name = format!("{}::{}", name_of(&a_large_file_arrives_unchanged), backend.name());
        trials.push(harness.trial(name, move |harness| {
            let client = harness.client_for(backend)?.build().expect("a client");
            let store = bucket_of(harness.servers.minio().map_err(Clone::clone)?).expect("a bucket");
            Ok(Box::pin(a_large_file_arrives_unchanged(client, store)))
        }));
        trials.push(harness.server_test(backend, Protocol::Json, every_source_arrives_unchanged));
    }
    trials.push(harness.trial(name_of(&moto_serves_queue_and_store), |harness| {
        let moto = harness.servers.moto().map_err(Clone::clone)?;
        let client = harness.client_for(Backend::Moto)?.build().expect("a client");
        let store = bucket_of(moto).expect("a bucket");
        Ok(Box::pin(moto_serves_queue_and_store(client, store)))
    }));
    trials.push(harness.server_test(
        Backend::Local,
        Protocol::Json,
        fifo_payloads_are_deduplicated_by_content,
    ));
    trials
}

async fn receive_one(extended: &ExtendedClient, queue: &str) -> anyhow::Result<ExtendedDelivery> {
    let received = extended
        .receive(queue)
        .wait_time(Duration::from_secs(10))
        .message_attribute_names(["All"])
        .await?;
    Ok(received.into_iter().next().context("a message")??)
}

/// Sends and restores a file that does not fit into one part. Other tests check the memory.
async fn a_large_file_arrives_unchanged(client: Client, store: AmazonS3) -> Outcome {
    let queue = client.create_queue(unique("large")).await?.queue_url;
    let prefix = format!("{}/", unique("large"));
    let extended = extended(client, store.clone(), &prefix);
    let folder = tempfile::tempdir()?;
    let (original, restored) = (folder.path().join("original"), folder.path().join("restored"));
    let block: Vec<u8> = (0..=255).cycle().take(1024 * 1024 + 1).collect();
    let content: Vec<u8> = block.iter().copied().cycle().take(LARGE).collect();
    tokio::fs::write(&original, &content).await?;

    extended.send(&queue, Payload::from_path(&original).await?).await?;
    let delivery = receive_one(&extended, &queue).await?;
    assert_eq!(delivery.size(), Some(LARGE as u64));
    delivery.download_to(&restored).await?;
    assert!(tokio::fs::read(&restored).await? == content, "the file changed");
    assert!(matches!(delivery.ack().await?, PayloadOutcome::PayloadDeleted));
    assert_eq!(keys(&store, &prefix).await?, Vec::<String>::new());
    Ok(())
}

async fn every_source_arrives_unchanged(Context { client, .. }: Context) -> Outcome {
    let queue = client.create_queue(unique("sources")).await?.queue_url;
    let store = Counting::default();
    let extended = extended(client, store.clone(), "p/");
    let sizes = [1, 262_143, 262_144, 262_145, 1_048_577, 9 * 1024 * 1024 + 1];
    for size in sizes {
        let bytes = Bytes::from("x".repeat(size));
        let chunks = |size: usize| {
            let chunks: Vec<_> = bytes
                .chunks(size)
                .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
                .collect();
            stream::iter(chunks)
        };
        let payloads = [
            Payload::from(bytes.clone()),
            Payload::from_reader(std::io::Cursor::new(bytes.clone()), Some(size as u64)),
            Payload::from_reader(std::io::Cursor::new(bytes.clone()), None),
            Payload::from_stream(chunks(100_000), Some(size as u64)),
            Payload::from_stream(chunks(7_777), None),
        ];
        for payload in payloads {
            let sent = extended
                .send(&queue, payload)
                .message_attribute("n", MessageAttributeValue::number(size))
                .await?;
            assert_eq!(
                sent.pointer.is_some(),
                size + "n".len() + "Number".len() + size.to_string().len() > 262_144
            );
            let delivery = receive_one(&extended, &queue).await?;
            assert_eq!(delivery.size(), Some(size as u64));
            let names: Vec<&String> = delivery.message_attributes().keys().collect();
            assert_eq!(names, ["n"]);
            let mut read = Vec::new();
            delivery.reader().await?.read_to_end(&mut read).await?;
            assert!(read == bytes, "{size} bytes changed");
            delivery.ack().await?;
        }
    }
    // Binary payloads of any size are offloaded.
    let sent = extended.send(&queue, vec![0, 159, 146, 150]).await?;
    assert!(sent.pointer.is_some());
    let delivery = receive_one(&extended, &queue).await?;
    assert_eq!(delivery.bytes().await?, vec![0, 159, 146, 150]);
    delivery.ack().await?;
    assert_eq!(keys(&store, "p").await?, Vec::<String>::new());
    Ok(())
}

async fn moto_serves_queue_and_store(client: Client, store: AmazonS3) -> Outcome {
    let queue = client.create_queue(unique("one")).await?.queue_url;
    let prefix = format!("{}/", unique("one"));
    let extended = extended(client, store.clone(), &prefix);
    let text = "grüße ".repeat(100_000);
    extended.send(&queue, text.clone()).await?;
    let delivery = receive_one(&extended, &queue).await?;
    assert!(delivery.text().await? == text);
    delivery.ack().await?;
    assert_eq!(keys(&store, &prefix).await?, Vec::<String>::new());
    Ok(())
}

async fn fifo_payloads_are_deduplicated_by_content(context: Context) -> Outcome {
    let mut attributes = QueueAttributes::default();
    attributes.content_based_deduplication = Some(true);
    let queue = context.queue_with(".fifo", attributes).await?;
    let store = Counting::default();
    let extended = extended(context.client, store.clone(), "p/");
    for payload in ["a".repeat(300_000), "a".repeat(300_000), "b".repeat(300_000)] {
        extended.send(&queue, payload).message_group_id("g").await?;
    }
    for letter in ["a", "b"] {
        let delivery = receive_one(&extended, &queue).await?;
        assert_eq!(delivery.text().await?, letter.repeat(300_000));
        delivery.ack().await?;
    }
    let remaining = extended.receive(&queue).wait_time(Duration::ZERO).await?;
    assert!(remaining.is_empty(), "the repeated payload was delivered twice");
    // The payload of the dropped message remains until a sweep.
    assert_eq!(keys(&store, "p").await?.len(), 1);
    Ok(())
}
