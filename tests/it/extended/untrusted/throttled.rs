//! Tests a payload that arrives more slowly than the store's timeouts allow.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use libtest_mimic::Trial;
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use sqs_client::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::store::{Bucket, extended};
use crate::harness::{Backend, Harness, Outcome, name_of, unique};

/// The timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(500);

/// The store's timeout for retries.
const RETRY_TIMEOUT: Duration = Duration::from_secs(1);

/// The rate of all connections together in bytes per second.
const RATE: u32 = 2 * 1024 * 1024;

/// The payload's size. At this rate it takes three times as long as both timeouts together.
const PAYLOAD: usize = 9 * 1024 * 1024;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let name = name_of(&a_throttled_payload_outlasts_the_stores_timeouts);
    vec![harness.trial(name, |harness| {
        let minio = harness.servers.minio().map_err(Clone::clone)?;
        let bucket = Bucket::new(minio).expect("a bucket");
        let client = harness.client_for(Backend::Local)?.build().expect("a client");
        Ok(Box::pin(a_throttled_payload_outlasts_the_stores_timeouts(
            client, bucket,
        )))
    })]
}

async fn a_throttled_payload_outlasts_the_stores_timeouts(client: Client, bucket: Bucket) -> Outcome {
    let queue = client.create_queue(unique("throttled")).await?.queue_url;
    let prefix = format!("{}/", unique("throttled"));
    let payload: Vec<u8> = (0..PAYLOAD).map(|i| (i / 251 % 256) as u8).collect();
    extended(client.clone(), bucket.store()?, &prefix)
        .send(&queue, payload.clone())
        .await?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let slow = format!("http://{}", listener.local_addr()?);
    let server = bucket.endpoint.trim_start_matches("http://").to_owned();
    let mut proxy = JoinSet::new();
    proxy.spawn(throttle(listener, server));
    let extended = extended(client, bucket_with_short_timeouts(&bucket, slow)?, &prefix);
    let received = extended.receive(&queue).wait_time(Duration::from_secs(5)).await?;
    let delivery = received.into_iter().next().expect("a message")?;
    let begin = Instant::now();
    let bytes = delivery.bytes().await?;
    ensure!(bytes == payload, "the payload changed");
    ensure!(
        begin.elapsed() > REQUEST_TIMEOUT + RETRY_TIMEOUT,
        "nothing was throttled"
    );
    delivery.ack().await?;
    Ok(())
}

/// Returns the bucket behind this endpoint, for a client with short timeouts.
fn bucket_with_short_timeouts(bucket: &Bucket, endpoint: String) -> anyhow::Result<AmazonS3> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(10),
            max_backoff: Duration::from_millis(100),
            ..BackoffConfig::default()
        },
        max_retries: 10,
        retry_timeout: RETRY_TIMEOUT,
    };
    let builder = bucket.builder().with_endpoint(endpoint).with_retry(retry);
    Ok(builder.with_http_connector(ShortTimeouts).build()?)
}

/// A connector with a total timeout for each request. Like the library's own, it uses our TLS settings.
#[derive(Debug)]
struct ShortTimeouts;

impl HttpConnector for ShortTimeouts {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let builder = sqs_client::client::http_client_builder().expect("valid settings");
        let client = builder.timeout(REQUEST_TIMEOUT).build().expect("valid settings");
        Ok(HttpClient::new(client))
    }
}

/// A link that all connections share, however many the client opens. Its value is the time at which it is free.
#[derive(Clone)]
struct Link(Arc<Mutex<Instant>>);

impl Link {
    /// Waits until this many bytes have passed the link.
    async fn pass(&self, bytes: usize) {
        let time = Duration::from_secs(bytes as u64) / RATE;
        let mut free = self.0.lock().await;
        *free = (*free).max(Instant::now()) + time;
        tokio::time::sleep_until(*free).await;
    }
}

/// Forwards connections to this server, and its responses back at [`RATE`].
async fn throttle(listener: TcpListener, server: String) {
    let link = Link(Arc::new(Mutex::new(Instant::now())));
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (server, link) = (server.clone(), link.clone());
        connections.spawn(async move {
            // The client closes its connection on a timeout.
            let _ = forward(client, &server, &link).await;
        });
    }
}

async fn forward(client: TcpStream, server: &str, link: &Link) -> std::io::Result<()> {
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let back = async {
        let mut buffer = [0; 8 * 1024];
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            link.pass(read).await;
            to_client.write_all(&buffer[..read]).await?;
        }
    };
    tokio::select! {
        ended = tokio::io::copy(&mut from_client, &mut to_server) => ended.map(drop),
        ended = back => ended,
    }
}
