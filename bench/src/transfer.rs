//! A payload's upload and download by raw `object_store` and by `sqs-extended`: the same bytes, MinIO server, part size
//! and concurrency.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use sqs_extended::store::StoreConnector;
use sqs_extended::{ExtendedClient, Payload, PayloadStore};
use sqs_tests::servers::Server;
use tokio::time::Instant;

pub const BUCKET: &str = "bench";
pub const MIB: usize = 1024 * 1024;

/// The size of a payload and of its parts.
#[derive(Clone, Copy, clap::Args)]
pub struct Shape {
    /// The payload's size in MiB
    #[arg(long, default_value_t = 1024)]
    pub size_mib: usize,
    /// The size of an uploaded part in MiB
    #[arg(long, default_value_t = 8)]
    pub part_mib: usize,
    /// The number of parts uploaded at a time
    #[arg(long, default_value_t = 8)]
    pub concurrency: usize,
}

/// Opens the [`BUCKET`] of the MinIO server at an endpoint.
///
/// # Errors
///
/// Returns an error if the store cannot be built.
pub fn bucket(endpoint: &str, access_key: &str, secret_key: &str) -> anyhow::Result<AmazonS3> {
    let builder = AmazonS3Builder::new()
        .with_http_connector(StoreConnector::new())
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id(access_key)
        .with_secret_access_key(secret_key)
        .with_unsigned_payload(true)
        .with_bucket_name(BUCKET);
    Ok(builder.build()?)
}

/// Opens the [`BUCKET`] of a MinIO server, and creates it if it does not exist.
///
/// # Errors
///
/// Returns an error if the bucket cannot be created.
pub fn create_bucket(minio: &Server) -> anyhow::Result<AmazonS3> {
    minio.create_bucket(BUCKET)?;
    bucket(minio.endpoint(), minio.access_key(), minio.secret_key())
}

/// Builds a client of sqs-local at an endpoint, with payloads in `store`.
///
/// # Errors
///
/// Returns an error if the client cannot be built.
pub fn extended(endpoint: &str, store: AmazonS3, shape: Shape) -> anyhow::Result<ExtendedClient> {
    let client = sqs_local::client_builder(endpoint).build()?;
    let payloads = PayloadStore::builder(store, BUCKET)
        .part_size((shape.part_mib * MIB) as u64)
        .concurrency(shape.concurrency)
        .build()?;
    Ok(ExtendedClient::builder(client).payload_store(payloads).build()?)
}

/// Returns a block of varying bytes. Every part of a payload is this block.
pub fn block(size: usize) -> Bytes {
    (0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn blocks(block: &Bytes, shape: Shape) -> impl Iterator<Item = Bytes> + use<> {
    let block = block.clone();
    std::iter::repeat_with(move || block.clone()).take(shape.size_mib / shape.part_mib)
}

/// Uploads and downloads a payload by raw `object_store`, and returns both times.
///
/// # Errors
///
/// Returns an error if a transfer fails.
pub async fn raw(store: &AmazonS3, block: &Bytes, shape: Shape) -> anyhow::Result<(Duration, Duration)> {
    let key = Path::from("raw");
    let begin = Instant::now();
    let upload = store.put_multipart(&key).await?;
    let mut parts = WriteMultipart::new_with_chunk_size(upload, shape.part_mib * MIB);
    for block in blocks(block, shape) {
        parts.wait_for_capacity(shape.concurrency - 1).await?;
        parts.put(block);
    }
    parts.finish().await?;
    let up = begin.elapsed();

    let begin = Instant::now();
    let mut chunks = store.get(&key).await?.into_stream();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        length += chunk?.len();
    }
    anyhow::ensure!(length == shape.size_mib * MIB);
    let down = begin.elapsed();
    store.delete(&key).await?;
    Ok((up, down))
}

/// Sends and receives a payload through a queue without other messages, and returns both times.
///
/// # Errors
///
/// Returns an error if a transfer fails.
pub async fn ours(
    extended: &ExtendedClient,
    queue: &str,
    block: &Bytes,
    shape: Shape,
) -> anyhow::Result<(Duration, Duration)> {
    let length = (shape.size_mib * MIB) as u64;
    let begin = Instant::now();
    let source = stream::iter(blocks(block, shape).map(Ok));
    extended.send(queue, Payload::from_stream(source, length)).await?;
    let up = begin.elapsed();

    let begin = Instant::now();
    let received = extended.receive(queue).wait_time(Duration::from_secs(5)).await?;
    let delivery = received.into_iter().next().context("no message was received")??;
    let mut chunks = delivery.stream().await?;
    let mut received = 0;
    while let Some(chunk) = chunks.next().await {
        received += chunk?.len() as u64;
    }
    anyhow::ensure!(received == length);
    let down = begin.elapsed();
    delivery.ack().await?;
    Ok((up, down))
}
