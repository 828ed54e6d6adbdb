//! Measures the memory of a process that downloads a payload in parts.

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

/// The memory that all transfers of the store may use.
const MEMORY: usize = 32 * MIB;

/// An allowance for what the allocator retains, and for the part that the reader is at.
const OVERHEAD: usize = 24 * MIB;

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
        // The first payload.
        None => respond("200 OK", PART),
    }
}

async fn a_download_in_parts_stays_within_its_memory() -> Outcome {
    let server = Scripted::start(object).await?;
    let endpoint = server.endpoint.clone();
    let (orders, mut lines) = Orders::with_reports(TEST, endpoint, server.url(Service::S3)).await?;
    let child = orders.start()?;
    let mut used = Vec::new();
    for size in [PART, PAYLOAD] {
        let line = timeout(Duration::from_secs(120), lines.recv()).await?;
        ensure!(line.as_deref() == Some(&*size.to_string()), "{line:?}");
        used.extend(child.peak_memory());
    }
    if let [one_request, in_parts] = used[..] {
        let used = in_parts - one_request;
        eprintln!(
            "the limit is {} MiB; the download used {} MiB",
            MEMORY / MIB,
            used / 1024
        );
        ensure!(
            used < ((MEMORY + OVERHEAD) / 1024) as u64,
            "{used} KiB above the {one_request} KiB of a single request"
        );
    }
    Ok(())
}

/// Downloads two payloads in a child, from the store at this URL and more slowly than they arrive. The first fits into
/// one request and shows the memory of the process itself.
pub async fn fetch(url: &str, report: Report) -> Outcome {
    let payloads = PayloadStore::from_url(url)?
        .download_concurrency(REQUESTS)
        .download_part_size(PART as u64)
        .transfer_memory(MEMORY as u64)
        .build()?;
    for size in [PART, PAYLOAD] {
        let object = json!({"s3BucketName": BUCKET, "s3Key": "p/k"});
        let pointer = json!(["software.amazon.payloadoffloading.PayloadS3Pointer", object]);
        let size = MessageAttributeValue::number(size as u64);
        let size = BTreeMap::from([("ExtendedPayloadSize".to_owned(), size)]);
        let PayloadLocation::Offloaded(envelope) = ParsedMessage::new(pointer.to_string(), size)?.contents else {
            anyhow::bail!("the pointer was not recognized");
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
        report.send(&read.to_string());
        // Wait until the parent has read the peak memory.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    std::future::pending().await
}
