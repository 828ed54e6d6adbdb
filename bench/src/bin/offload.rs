//! The offload path beside raw `object_store`: the same bytes to and from the same MinIO, with the same part size and
//! concurrency, in pairs that take turns. Ratios are of throughput, ours over the raw one's.
//!
//! ```sh
//! cd bench && cargo run --release --bin offload -- --size-mib 1024 --pairs 5
//! ```

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Parser;
use futures::{StreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use sqs_client::{Client, Credentials};
use sqs_extended::{ExtendedClient, Payload, PayloadStore, StoreConnector};
use sqs_tests::embedded::EmbeddedServer;
use sqs_tests::servers::{Server, Servers};
use tokio::time::Instant;

const BUCKET: &str = "bench";
const MIB: usize = 1024 * 1024;

#[derive(Clone, Copy, Parser)]
struct Options {
    #[arg(long, default_value_t = 1024)]
    size_mib: usize,
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    #[arg(long, default_value_t = 8)]
    part_mib: usize,
    #[arg(long, default_value_t = sqs_extended::DEFAULT_CONCURRENCY)]
    concurrency: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let servers = Servers::new();
    let minio = servers.minio().map_err(Clone::clone)?;
    minio.create_bucket(BUCKET)?;
    let store = bucket(minio)?;
    let queue_server = EmbeddedServer::start().await?;
    let client = Client::builder()
        .endpoint_url(queue_server.endpoint())
        .credentials(Credentials::new("test", "test"))
        .build()?;
    let queue = client.create_queue("bench").await?.queue_url;
    let payloads = PayloadStore::builder(store.clone(), BUCKET)
        .part_size((options.part_mib * MIB) as u64)
        .concurrency(options.concurrency)
        .build()?;
    let extended = ExtendedClient::builder(client).payload_store(payloads).build()?;

    let block = block(options.part_mib * MIB);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    // The first pair warms up.
    for pair in 0..=options.pairs {
        let raw = raw(&store, &block, options).await?;
        let ours = ours(&extended, &queue, &block, options).await?;
        let rate = |time: Duration| options.size_mib as f64 / time.as_secs_f64();
        println!(
            "pair {pair}: up raw {:.0} ours {:.0} MiB/s, down raw {:.0} ours {:.0} MiB/s{}",
            rate(raw.0),
            rate(ours.0),
            rate(raw.1),
            rate(ours.1),
            if pair == 0 { " (not counted)" } else { "" }
        );
        if pair > 0 {
            up.push(raw.0.as_secs_f64() / ours.0.as_secs_f64());
            down.push(raw.1.as_secs_f64() / ours.1.as_secs_f64());
        }
    }
    summary("upload", up);
    summary("download", down);
    Ok(())
}

fn summary(direction: &str, mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    let (min, median, max) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    println!(
        "{direction}: ours / raw object_store = {median:.3} (median of {}; {min:.3} to {max:.3})",
        ratios.len()
    );
}

fn bucket(minio: &Server) -> anyhow::Result<AmazonS3> {
    let builder = AmazonS3Builder::new()
        .with_http_connector(StoreConnector::new())
        .with_endpoint(minio.endpoint())
        .with_allow_http(true)
        .with_region(minio.region())
        .with_access_key_id(minio.access_key())
        .with_secret_access_key(minio.secret_key())
        .with_unsigned_payload(true)
        .with_bucket_name(BUCKET);
    Ok(builder.build()?)
}

/// Bytes that are not all alike; every part of a payload is this block.
fn block(size: usize) -> Bytes {
    (0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn blocks(block: &Bytes, options: Options) -> impl Iterator<Item = Bytes> + use<> {
    let block = block.clone();
    std::iter::repeat_with(move || block.clone()).take(options.size_mib / options.part_mib)
}

/// The times up and down.
async fn raw(store: &AmazonS3, block: &Bytes, options: Options) -> anyhow::Result<(Duration, Duration)> {
    let key = Path::from("raw");
    let begin = Instant::now();
    let upload = store.put_multipart(&key).await?;
    let mut parts = WriteMultipart::new_with_chunk_size(upload, options.part_mib * MIB);
    for block in blocks(block, options) {
        parts.wait_for_capacity(options.concurrency - 1).await?;
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
    anyhow::ensure!(length == options.size_mib * MIB);
    let down = begin.elapsed();
    store.delete(&key).await?;
    Ok((up, down))
}

async fn ours(
    extended: &ExtendedClient,
    queue: &str,
    block: &Bytes,
    options: Options,
) -> anyhow::Result<(Duration, Duration)> {
    let length = (options.size_mib * MIB) as u64;
    let begin = Instant::now();
    let source = stream::iter(blocks(block, options).map(Ok));
    extended.send(queue, Payload::from_stream(source, length)).await?;
    let up = begin.elapsed();

    let begin = Instant::now();
    let received = extended.receive(queue).wait_time(Duration::from_secs(5)).await?;
    let delivery = received.into_iter().next().context("a message")??;
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
