//! The turns of sqs-extended and of raw object_store. Each is a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bench::child;
use bench::measure::{cpu_time, peak_memory_mib};
use bench::shaped_store::{ACCESS_KEY_ID, MAX_PIECE, Pattern, REGION, SECRET_ACCESS_KEY};
use bench::transfer::{BUCKET, MIB};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStoreExt as _, PutPayload};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sqs_extended::store::StoreConnector;
use sqs_extended::{ExtendedClient, ExtendedDelivery, Payload, PayloadStore};
use tokio::time::Instant;
use tokio_util::io::StreamReader;

use crate::options::{Contender, Direction};
use crate::peers;

/// The object that contenders without a queue download.
pub const DOWNLOAD_KEY: &str = "download";

/// The time in which messages in a turn stay hidden.
const TURN: Duration = Duration::from_secs(3_600);

/// One turn of a contender.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Turn {
    pub contender: Contender,
    pub direction: Direction,
    /// The store behind the link.
    pub store: String,
    /// The store without limits, for preparations.
    pub open_store: String,
    /// The certificate to trust.
    pub certificate: Option<PathBuf>,
    /// The SQS server, and the queue of the messages to download or to send.
    pub queues: String,
    pub queue: String,
    /// The length of each transfer in bytes.
    pub size: u64,
    pub transfers: usize,
    /// The file to write or to send.
    pub file: PathBuf,
}

/// The result of a turn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub seconds: f64,
    pub cpu_ms: f64,
    pub peak_mib: f64,
}

impl Turn {
    /// Runs the turn in this process and reports its result.
    pub async fn run(&self) -> anyhow::Result<()> {
        let measured = match (self.contender, self.direction) {
            (Contender::Ours | Contender::OursFile | Contender::OursReader, direction) => match direction {
                Direction::Down => self.download().await?,
                Direction::Up => self.upload().await?,
            },
            (Contender::Raw { ranges, part_mib }, direction) => {
                let store = raw_store(&self.store)?;
                let part = part_mib * MIB as u64;
                match direction {
                    Direction::Down => measure(download_raw(&store, self.size, part, ranges)).await?,
                    Direction::Up => measure(upload_raw(&store, "raw", self.size, part, ranges)).await?,
                }
            }
            (Contender::OneStream, _) => measure(one_stream(&raw_store(&self.store)?, self.size, |_| ())).await?,
            (Contender::OneStreamHashed, _) => {
                let mut hasher = blake3::Hasher::new();
                let hash = |chunk: &[u8]| {
                    hasher.update(chunk);
                };
                measure(one_stream(&raw_store(&self.store)?, self.size, hash)).await?
            }
            (Contender::AwsPython | Contender::AwsJava, _) => peers::run_extended_client(self).await?,
            (contender, _) => anyhow::bail!("{contender} is another program"),
        };
        child::report(&measured)
    }

    async fn download(&self) -> anyhow::Result<Measured> {
        let client = extended(&self.store, &self.queues)?;
        let deliveries = receive(&client, &self.queue, self.transfers).await?;
        let downloads = deliveries.iter().enumerate().map(async |(number, delivery)| {
            let length = match self.contender {
                Contender::OursFile => delivery.download_to(self.target(number)).await?,
                _ => {
                    let mut chunks = delivery.stream().await?;
                    let mut length = 0;
                    while let Some(chunk) = chunks.next().await {
                        length += chunk?.len() as u64;
                    }
                    length
                }
            };
            anyhow::ensure!(length == self.size, "{length} bytes were downloaded");
            Ok(())
        });
        let measured = measure(async { try_join_all(downloads).await.map(drop) }).await?;
        for delivery in deliveries {
            delivery.nack(Duration::ZERO).await?;
        }
        Ok(measured)
    }

    async fn upload(&self) -> anyhow::Result<Measured> {
        let client = extended(&self.store, &self.queues)?;
        let pattern = Pattern::new();
        let uploads = (0..self.transfers).map(async |_| {
            let payload = match self.contender {
                Contender::OursFile => Payload::from_path(&self.file).await?,
                Contender::OursReader => Payload::from_reader(StreamReader::new(pattern.stream(self.size)), None),
                _ => Payload::from_stream(pattern.stream(self.size), self.size),
            };
            client.send(&self.queue, payload).await?;
            Ok(())
        });
        measure(async { try_join_all(uploads).await.map(drop) }).await
    }

    /// Returns the file that a download writes.
    pub fn target(&self, number: usize) -> PathBuf {
        self.file.with_extension(number.to_string())
    }
}

async fn measure(transfer: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Measured> {
    let (begin, cpu) = (Instant::now(), cpu_time()?);
    transfer.await?;
    Ok(Measured {
        seconds: begin.elapsed().as_secs_f64(),
        cpu_ms: (cpu_time()? - cpu).as_secs_f64() * 1e3,
        peak_mib: peak_memory_mib("self")? as f64,
    })
}

/// Builds a client with default settings.
pub fn extended(store: &str, queues: &str) -> anyhow::Result<ExtendedClient> {
    let secret = utf8_percent_encode(SECRET_ACCESS_KEY, NON_ALPHANUMERIC);
    let url = format!(
        "s3://{BUCKET}/?endpoint={store}&access_key_id={ACCESS_KEY_ID}&secret_access_key={secret}&region={REGION}"
    );
    let payloads = PayloadStore::from_url(&url)?.build()?;
    let client = sqs_local::client_builder(queues).build()?;
    Ok(ExtendedClient::builder(client).payload_store(payloads).build()?)
}

async fn receive(client: &ExtendedClient, queue: &str, count: usize) -> anyhow::Result<Vec<ExtendedDelivery>> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        let received = client
            .receive(queue)
            .max_messages((count - deliveries.len()).min(10) as u8)
            .visibility_timeout(TURN)
            .wait_time(Duration::from_secs(5))
            .await?;
        anyhow::ensure!(!received.is_empty(), "a message to download is missing");
        for delivery in received {
            deliveries.push(delivery?);
        }
    }
    Ok(deliveries)
}

/// Opens the bucket as `from_url` does over HTTP, where payloads are signed. Over HTTPS payloads are unsigned.
pub fn raw_store(url: &str) -> anyhow::Result<AmazonS3> {
    let builder = AmazonS3Builder::new()
        .with_http_connector(StoreConnector::new())
        .with_endpoint(url)
        .with_allow_http(true)
        .with_region(REGION)
        .with_access_key_id(ACCESS_KEY_ID)
        .with_secret_access_key(SECRET_ACCESS_KEY)
        .with_unsigned_payload(url.starts_with("https:"))
        .with_bucket_name(BUCKET);
    Ok(builder.build()?)
}

async fn download_raw(store: &AmazonS3, size: u64, part: u64, ranges: usize) -> anyhow::Result<()> {
    let pattern = Pattern::new();
    let starts = (0..size).step_by(usize::try_from(part)?);
    let parts = starts.map(|start| {
        let (store, range) = (store.clone(), start..(start + part).min(size));
        // In tasks, so that they use all cores.
        async move {
            let fetched = tokio::spawn(async move {
                let bytes = store.get_range(&Path::from(DOWNLOAD_KEY), range).await?;
                anyhow::Ok((start, bytes))
            });
            fetched.await?
        }
    });
    let mut parts = stream::iter(parts).buffered(ranges);
    let mut received = 0;
    while let Some((start, part)) = parts.try_next().await? {
        anyhow::ensure!(
            pattern.matches(start, &part[..part.len().min(64)]),
            "a part is misplaced"
        );
        received += part.len() as u64;
    }
    anyhow::ensure!(received == size, "{received} bytes were downloaded");
    Ok(())
}

/// Uploads the pattern in parts, from memory that all parts share.
pub async fn upload_raw(store: &AmazonS3, key: &str, size: u64, part: u64, ranges: usize) -> anyhow::Result<()> {
    let (pattern, key) = (Pattern::new(), Path::from(key));
    let payload = |start| -> PutPayload {
        let length = part.min(size - start);
        pattern.pieces(start, length, MAX_PIECE as u64).collect()
    };
    if size <= part {
        store.put(&key, payload(0)).await?;
        return Ok(());
    }
    let mut upload = store.put_multipart(&key).await?;
    {
        let starts = (0..size).step_by(usize::try_from(part)?);
        let parts = starts.map(|start| {
            let part = upload.put_part(payload(start));
            async move { anyhow::Ok(tokio::spawn(part).await??) }
        });
        let mut parts = stream::iter(parts).buffer_unordered(ranges);
        while parts.try_next().await?.is_some() {}
    }
    upload.complete().await?;
    Ok(())
}

async fn one_stream(store: &AmazonS3, size: u64, mut read: impl FnMut(&[u8])) -> anyhow::Result<()> {
    let mut chunks = store.get(&Path::from(DOWNLOAD_KEY)).await?.into_stream();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.context("the stream failed")?;
        read(&chunk);
        length += chunk.len() as u64;
    }
    anyhow::ensure!(length == size, "{length} bytes were downloaded");
    Ok(())
}
