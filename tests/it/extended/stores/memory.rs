//! How much memory a fetch in parts takes, seen from outside of its process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::TryStreamExt as _;
use libtest_mimic::Trial;
use serde_json::json;
use sqs_client::types::MessageAttributeValue;
use sqs_extended::PayloadStore;
use sqs_extended::pointer::{ParsedMessage, PayloadLocation};
use tokio::time::timeout;

use super::super::store::BUCKET;
use super::scripted::{Request, Response, Scripted, Service};
use crate::child::{Orders, Report};
use crate::harness::{Harness, Outcome};

pub const TEST: &str = "fetch-in-parts";

const MIB: usize = 1024 * 1024;

const PAYLOAD: usize = 160 * MIB;

const PART: usize = 8 * MIB;

const REQUESTS: usize = 4;

/// What the connections' buffers take, and the allocator keeps.
const BESIDE: usize = 16 * MIB;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![harness.test(a_download_in_parts_stays_within_its_memory)]
}

fn object(request: &Request) -> Response {
    let respond = |status: &str, length: usize| {
        Response::new(status, vec![b'x'; length])
            .header("ETag", "\"e\"")
            .header("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT")
    };
    match request.range() {
        Some((first, last)) => respond("206 Partial Content", last + 1 - first)
            .header("Content-Range", format!("bytes {first}-{last}/{PAYLOAD}")),
        // The first payload, or a HEAD about the second.
        None if request.method == "GET" => respond("200 OK", PART),
        None => respond("200 OK", PAYLOAD),
    }
}

async fn a_download_in_parts_stays_within_its_memory() -> Outcome {
    let server = Scripted::start(object).await?;
    let endpoint = server.endpoint.clone();
    let (orders, mut lines) = Orders::of_several(TEST, endpoint, server.url(Service::S3)).await?;
    let child = orders.start()?;
    let mut took = Vec::new();
    for size in [PART, PAYLOAD] {
        let line = timeout(Duration::from_secs(120), lines.recv()).await?;
        ensure!(line.as_deref() == Some(&*size.to_string()), "{line:?}");
        took.extend(child.peak_memory());
    }
    if let [one_request, in_parts] = took[..] {
        let promised = (REQUESTS + 1) * PART;
        let took = in_parts - one_request;
        eprintln!("{} MiB may be held; {} MiB were", promised / MIB, took / 1024);
        ensure!(
            took < ((promised + BESIDE) / 1024) as u64,
            "{took} KiB beside {one_request} KiB"
        );
    }
    Ok(())
}

/// In a child: fetches two payloads from the store of this URL, more slowly than they come. The first fits into one
/// request, and shows what the process takes by itself.
pub async fn fetch(url: &str, report: Report) -> Outcome {
    let payloads = PayloadStore::from_url(url)?
        .download_concurrency(REQUESTS)
        .download_part_size(PART as u64)
        .build()?;
    for size in [PART, PAYLOAD] {
        let object = json!({"s3BucketName": BUCKET, "s3Key": "p/k"});
        let pointer = json!(["software.amazon.payloadoffloading.PayloadS3Pointer", object]);
        let size = MessageAttributeValue::number(size as u64);
        let size = BTreeMap::from([("ExtendedPayloadSize".to_owned(), size)]);
        let PayloadLocation::Offloaded(envelope) = ParsedMessage::new(pointer.to_string(), size)?.contents else {
            anyhow::bail!("it is a pointer");
        };
        let mut payload = payloads.open(&envelope, "q").await?;
        let (mut read, mut paused) = (0, 0);
        while let Some(chunk) = payload.try_next().await.context("the payload")? {
            read += chunk.len();
            if read - paused >= MIB {
                paused = read;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        report.tell(&read.to_string());
        // Until the parent has seen what this took.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    std::future::pending().await
}
