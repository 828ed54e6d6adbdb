//! A child process that can be killed: this test binary, started again with [`ORDERS`] in its environment. Its store
//! asks the parent for permission before and after each operation.

use std::fmt;
use std::path::{Path as File, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use serde::{Deserialize, Serialize};
use sqs_extended::{ExtendedClient, PayloadStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::runtime::Runtime;

use super::super::store::{BUCKET, Bucket};

/// The environment variable that makes this binary a child process.
const ORDERS: &str = "SQS_TEST_CRASH_ORDERS";

/// The part size, which is the smallest that S3 allows.
pub const PART: usize = 5 * 1024 * 1024;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The endpoint of the queue.
    pub endpoint: String,
    pub queue: String,
    /// The address of the parent's gate.
    pub gate: String,
    pub bucket: Bucket,
    pub prefix: String,
    pub task: Task,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Sends a payload of this size.
    Send(usize),
    /// Receives a message, downloads it to this file, and acknowledges it.
    Consume(PathBuf),
    /// Removes old payloads.
    Sweep,
}

/// Returns the key of an object that the child's store reports as two days older.
pub fn old_key(prefix: &str, name: &str, number: usize) -> Path {
    Path::from(format!("{prefix}{OLD}{name}-{number}"))
}

pub fn is_old(key: &str) -> bool {
    key.contains(OLD)
}

/// The visibility timeout of a consumer. If it is killed before the response arrives, nobody knows the receipt handle.
pub const HIDDEN_FOR: Duration = Duration::from_secs(10);

const OLD: &str = "old-";
const DAY: Duration = Duration::from_secs(86_400);

/// Returns text whose parts are all different.
pub fn payload(size: usize) -> String {
    let line = "no part begins where this line does, as its length divides none of theirs\n";
    let mut text = line.repeat(size / line.len() + 1);
    text.truncate(size);
    text
}

impl Orders {
    pub fn start(&self) -> anyhow::Result<Child> {
        let orders = serde_json::to_string(self)?;
        let mut program = Command::new(std::env::current_exe()?);
        Ok(program.env(ORDERS, orders).kill_on_drop(true).spawn()?)
    }

    async fn follow(self) -> anyhow::Result<()> {
        let client = sqs_local::client_builder(&self.endpoint).build()?;
        let gate = Gate(self.gate.into());
        let store = Gated {
            store: self.bucket.store()?,
            gate: gate.clone(),
        };
        let payloads = PayloadStore::builder(store, BUCKET)
            .prefix(self.prefix)
            .part_size(PART as u64)
            .build()?;
        let extended = ExtendedClient::builder(client).payload_store(payloads).build()?;
        match self.task {
            Task::Send(size) => {
                extended.send(&self.queue, payload(size)).await?;
            }
            Task::Sweep => {
                let report = extended
                    .payload_store()
                    .context("a store")?
                    .sweep(DAY)?
                    .remove()
                    .await?;
                anyhow::ensure!(report.failed == 0, "{report:?}");
            }
            Task::Consume(file) => consume(&extended, &self.queue, &file, &gate).await?,
        }
        Ok(())
    }
}

async fn consume(extended: &ExtendedClient, queue: &str, file: &File, gate: &Gate) -> anyhow::Result<()> {
    let received = extended
        .receive(queue)
        .wait_time(Duration::ZERO)
        .visibility_timeout(HIDDEN_FOR)
        .await?;
    let delivery = received.into_iter().next().context("a message")??;
    delivery.download_to(file).await?;
    gate.pass("downloaded").await;
    delivery.ack().await?;
    Ok(())
}

/// Follows the orders in a child, until the process is killed or done. Returns `None` in the parent.
pub fn run_if_ordered() -> Option<anyhow::Result<()>> {
    let orders = std::env::var(ORDERS).ok()?;
    let follow = |orders: Orders| Runtime::new()?.block_on(orders.follow());
    Some(serde_json::from_str(&orders).map_err(Into::into).and_then(follow))
}

/// The connection to the parent's gate. Each step opens one.
#[derive(Clone, Debug)]
struct Gate(Arc<str>);

impl Gate {
    /// Waits for the parent's permission. Without a parent the process exits.
    async fn pass(&self, step: &str) {
        if self.ask(step).await.is_err() {
            std::process::exit(1);
        }
    }

    async fn ask(&self, step: &str) -> std::io::Result<()> {
        let mut parent = TcpStream::connect(&*self.0).await?;
        parent.write_all(format!("{step}\n").as_bytes()).await?;
        parent.read_u8().await.map(drop)
    }

    async fn around<T>(&self, step: &str, work: impl Future<Output = T>) -> T {
        self.pass(&format!("before {step}")).await;
        let output = work.await;
        self.pass(&format!("after {step}")).await;
        output
    }
}

#[derive(Clone, Debug)]
struct Gated {
    store: AmazonS3,
    gate: Gate,
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a gated store")
    }
}

#[async_trait]
impl ObjectStore for Gated {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let put = self.store.put_opts(key, payload, options);
        self.gate.around("put", put).await
    }

    async fn put_multipart_opts(&self, key: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let begin = self.store.put_multipart_opts(key, options);
        let upload = self.gate.around("begin", begin).await?;
        let gate = self.gate.clone();
        Ok(Box::new(GatedUpload { upload, gate }))
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        let get = self.store.get_opts(key, options);
        let mut got = self.gate.around("get", get).await?;
        got.meta = aged(got.meta);
        if let GetResultPayload::Stream(chunks) = got.payload {
            // One step for each object, at its first chunk.
            let gate = self.gate.clone();
            let first = async move { gate.pass("chunk").await }.into_stream();
            let first = first.filter_map(|()| async { None });
            got.payload = GetResultPayload::Stream(first.chain(chunks).boxed());
        }
        Ok(got)
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        keys.and_then(move |key| {
            let this = this.clone();
            async move {
                this.gate.around("delete", this.store.delete(&key)).await?;
                Ok(key)
            }
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (gate, objects) = (self.gate.clone(), self.store.list(prefix));
        let begin = async move {
            gate.pass("list").await;
            objects
        };
        stream::once(begin).flatten().map_ok(aged).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// Makes the objects that are to be swept older.
fn aged(mut object: ObjectMeta) -> ObjectMeta {
    if is_old(object.location.as_ref()) {
        object.last_modified -= 2 * DAY;
    }
    object
}

#[derive(Debug)]
struct GatedUpload {
    upload: Box<dyn MultipartUpload>,
    gate: Gate,
}

#[async_trait]
impl MultipartUpload for GatedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (gate, part) = (self.gate.clone(), self.upload.put_part(data));
        async move { gate.around("part", part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.gate.around("complete", self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.gate.around("abort", self.upload.abort()).await
    }
}
