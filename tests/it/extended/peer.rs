//! AWS's own extended client for Python at the other end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use object_store::aws::AmazonS3;
use sqs_client::Client;
use sqs_extended::{ExtendedClient, PayloadStore, ReservedAttribute};
use sqs_tests::servers::Server;
use tokio::process::Command;

use super::store::{BUCKET, bucket_of, keys};
use crate::bench::{Backend, Bench, Outcome, trial, unique};

/// `peer.py send|receive LEGACY SQS S3 BUCKET QUEUE`: sends standard input; or receives to standard output, and deletes.
const SCRIPT: &str = include_str!("peer.py");

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, legacy) in [("current", false), ("legacy", true)] {
        trials.push(trial(
            format!("extended::peer::python_on_moto_{name}_attribute"),
            bench,
            move |bench| {
                let python = bench.servers.python_extended_client().map_err(Clone::clone)?.to_owned();
                let moto = bench.servers.moto().map_err(Clone::clone)?;
                let client = bench.client_for(Backend::Moto)?.build().expect("a client");
                let store = bucket_of(moto).expect("a bucket");
                let peer = Peer::new(python, moto, legacy);
                Ok(Box::pin(both_ways(client, store, peer)))
            },
        ));
    }
    trials
}

struct Peer {
    python: std::path::PathBuf,
    endpoint: String,
    environment: [(&'static str, String); 3],
    legacy: bool,
}

impl Peer {
    fn new(python: std::path::PathBuf, server: &Server, legacy: bool) -> Self {
        Self {
            python,
            endpoint: server.endpoint().to_owned(),
            environment: [
                ("AWS_ACCESS_KEY_ID", server.access_key().to_owned()),
                ("AWS_SECRET_ACCESS_KEY", server.secret_key().to_owned()),
                ("AWS_DEFAULT_REGION", server.region().to_owned()),
            ],
            legacy,
        }
    }

    async fn run(&self, verb: &str, queue: &str, input: &str) -> anyhow::Result<String> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("input");
        tokio::fs::write(&file, input).await?;
        let output = Command::new(&self.python)
            .args(["-c", SCRIPT, verb, if self.legacy { "legacy" } else { "current" }])
            .args([&self.endpoint, &self.endpoint, BUCKET, queue])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(std::fs::File::open(&file)?)
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).context("text")
    }
}

async fn both_ways(client: Client, store: AmazonS3, peer: Peer) -> Outcome {
    let queue = client.create_queue(unique("peer")).await?.queue_url;
    let attribute = if peer.legacy {
        ReservedAttribute::SqsLargePayloadSize
    } else {
        ReservedAttribute::ExtendedPayloadSize
    };
    // The Python library puts its objects at the bucket's root.
    let payloads = PayloadStore::builder(store.clone(), BUCKET).reserved_attribute(attribute);
    let extended = ExtendedClient::builder(client)
        .payload_store(payloads.build()?)
        .build()?;
    let text = "grüße, 世界 🦀 ".repeat(40_000);

    peer.run("send", &queue, &text).await?;
    let received = extended.receive(&queue).wait_time(Duration::from_secs(5)).await?;
    let delivery = received.into_iter().next().context("a message")??;
    let key = delivery.pointer().context("a pointer")?.key.clone();
    assert!(keys(&store, "").await?.contains(&key));
    assert!(delivery.message_attributes().is_empty());
    assert!(delivery.text().await? == text, "what Python sent came back changed");
    delivery.ack().await?;
    assert!(!keys(&store, "").await?.contains(&key), "the payload is still there");

    let sent = extended.send(&queue, text.clone()).await?;
    let key = sent.pointer.context("a pointer")?.key;
    assert!(
        peer.run("receive", &queue, "").await? == text,
        "what Python received is changed"
    );
    assert!(!keys(&store, "").await?.contains(&key), "Python deleted our payload");
    assert!(extended.receive(&queue).wait_time(Duration::ZERO).await?.is_empty());
    Ok(())
}
