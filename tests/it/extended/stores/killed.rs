//! Kills a process that downloads a payload, and continues the download in another one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use sqs_client::Client;
use sqs_client::types::MessageAttributeValue;
use sqs_extended::payload::{Digest, DigestAlgorithm};
use sqs_extended::{ExtendedClient, ExtendedDelivery, PayloadStore};
use tempfile::TempDir;
use tokio::time::timeout;

use super::super::store::BUCKET;
use super::scripted::{Request, Response, Scripted, Service};
use crate::child::Orders;
use crate::harness::{Harness, Outcome};

pub const TEST: &str = "download-and-be-killed";

const MIB: usize = 1024 * 1024;

/// The payload's length, with a last granule that is short.
const PAYLOAD: usize = 200 * MIB + 12_345;

/// The number of bytes that the killed process gets.
const DONE: usize = 180 * MIB;

/// The number of bytes that it records. The last granule is written with the first byte of the next one.
const RECORDED: usize = DONE - MIB;

/// The limit of bytes that are fetched again: 15 %.
const LIMIT: usize = PAYLOAD / 100 * 15;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![harness.test(a_killed_download_continues_in_another_process)]
}

/// A store with one object.
struct Object {
    content: Vec<u8>,
    /// Responses end at [`DONE`].
    is_stuck: AtomicBool,
}

impl Object {
    fn new() -> Self {
        // No two granules are alike.
        let words = (0_u64..).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        Self {
            content: words.flatten().take(PAYLOAD).collect(),
            is_stuck: AtomicBool::new(true),
        }
    }

    fn respond(&self, request: &Request) -> Response {
        let (first, last) = request.range().unwrap_or((0, PAYLOAD - 1));
        let end = PAYLOAD.min(last + 1);
        let is_stuck = self.is_stuck.load(SeqCst);
        if is_stuck && first >= DONE {
            return Response::never();
        }
        let response = Response::new("206 Partial Content", &self.content[first..end])
            .header("Content-Range", format!("bytes {first}-{}/{PAYLOAD}", end - 1))
            .header("ETag", "\"e\"")
            .header("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT");
        match is_stuck && end > DONE {
            true => response.cut_after(DONE - first),
            false => response,
        }
    }
}

async fn a_killed_download_continues_in_another_process() -> Outcome {
    let object = Arc::new(Object::new());
    let store = {
        let object = Arc::clone(&object);
        Scripted::start(move |request| object.respond(request)).await?
    };
    let server = sqs_tests::strict().start().await?;
    let client = server.client()?;
    let queue = client.create_queue("killed").await?.queue_url;
    let folder = TempDir::new()?;
    let path = folder.path().join("payload");
    let url = store.url(Service::S3);

    send(&client, &queue, &object.content).await?;
    let (mut orders, _reports) = Orders::with_reports(TEST, server.endpoint().to_owned(), queue.clone()).await?;
    orders.queues.extend([url.clone(), path.display().to_string()]);
    let mut child = orders.start()?;
    let journal = folder.path().join(".payload.part.journal");
    timeout(Duration::from_secs(120), until_recorded(&journal)).await?;
    child.kill()?;
    ensure!(!path.exists(), "an incomplete file is published");

    object.is_stuck.store(false, SeqCst);
    let before = store.requests().len();
    send(&client, &queue, &object.content).await?;
    let written = receive(client, &queue, &url).await?.download_to(&path).await?;
    ensure!(written == PAYLOAD as u64, "{written} bytes");
    ensure!(std::fs::read(&path)? == object.content, "a wrong file");
    ensure!(folder.path().read_dir()?.count() == 1, "temporary files remain");
    let requests = store.requests().split_off(before);
    let ranges = requests.iter().map(Request::range);
    let again: usize = ranges
        .map(|range| range.map_or(PAYLOAD, |(first, last)| last + 1 - first))
        .sum();
    eprintln!("{again} of {PAYLOAD} bytes were requested by the second process");
    ensure!(again < LIMIT, "{again} bytes were requested again");
    Ok(())
}

/// Sends a message that points to the object.
async fn send(client: &Client, queue: &str, content: &[u8]) -> Outcome {
    let digest = Digest::compute(DigestAlgorithm::Blake3, content);
    let object = json!({"s3BucketName": BUCKET, "s3Key": "p/k", "payloadDigest": digest});
    let pointer = json!(["software.amazon.payloadoffloading.PayloadS3Pointer", object]);
    client
        .send_message(queue, pointer.to_string())
        .message_attribute("ExtendedPayloadSize", MessageAttributeValue::number(PAYLOAD as u64))
        .await?;
    Ok(())
}

/// Waits until a journal has [`RECORDED`] bytes.
async fn until_recorded(journal: &Path) {
    loop {
        let text = std::fs::read_to_string(journal).unwrap_or_default();
        let values = text
            .lines()
            .filter_map(|line| line.split_once(" granules ")?.1.split_once(' '));
        let granules: usize = values.map(|(_, values)| values.len() / 64).sum();
        if granules * MIB >= RECORDED {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn receive(client: Client, queue: &str, store: &str) -> anyhow::Result<ExtendedDelivery> {
    let payloads = PayloadStore::from_url(store)?.build()?;
    let extended = ExtendedClient::builder(client).payload_store(payloads).build()?;
    let received = extended.receive(queue).wait_time(Duration::from_secs(10)).await?;
    Ok(received.into_iter().next().context("a message")??)
}

/// Downloads in a child, which is killed before the payload is complete.
pub async fn download(client: Client, queue: &str, store: &str, path: &str) -> Outcome {
    receive(client, queue, store).await?.download_to(path).await?;
    anyhow::bail!("the store has not stopped responding")
}
