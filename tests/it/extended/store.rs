//! The stores of the tests: buckets of real servers, and a store in memory that counts its calls.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use serde::{Deserialize, Serialize};
use sqs_client::Client;
use sqs_extended::store::StoreConnector;
use sqs_extended::{ExtendedClient, PayloadStore};
use sqs_tests::servers::Server;

/// The bucket of all tests. Each test uses a prefix of its own.
pub const BUCKET: &str = "payloads";

/// Returns the [`BUCKET`] of this server, and creates it if it does not exist.
pub fn bucket_of(server: &Server) -> anyhow::Result<AmazonS3> {
    server.create_bucket(BUCKET)?;
    bucket_with(server, server.secret_key())
}

/// Returns the [`BUCKET`] of this server for a client with another secret.
pub fn bucket_with(server: &Server, secret: &str) -> anyhow::Result<AmazonS3> {
    any_bucket(server, BUCKET, secret)
}

/// Returns a bucket that does not exist.
pub fn missing_bucket(server: &Server) -> anyhow::Result<AmazonS3> {
    any_bucket(server, "no-such-bucket", server.secret_key())
}

fn any_bucket(server: &Server, bucket: &str, secret: &str) -> anyhow::Result<AmazonS3> {
    let builder = Bucket::with_secret(server, secret).builder();
    Ok(builder.with_bucket_name(bucket).build()?)
}

/// The address and keys of the [`BUCKET`], which can be passed to another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bucket {
    pub endpoint: String,
    region: String,
    keys: (String, String),
}

impl Bucket {
    /// Returns the [`BUCKET`] of this server, and creates it if it does not exist.
    pub fn new(server: &Server) -> anyhow::Result<Self> {
        server.create_bucket(BUCKET)?;
        Ok(Self::with_secret(server, server.secret_key()))
    }

    /// Returns the [`BUCKET`] of a server that has it, in its default region.
    pub fn at(endpoint: String, (access_key, secret_key): (&str, &str)) -> Self {
        Self {
            endpoint,
            region: "us-east-1".to_owned(),
            keys: (access_key.to_owned(), secret_key.to_owned()),
        }
    }

    fn with_secret(server: &Server, secret: &str) -> Self {
        Self {
            endpoint: server.endpoint().to_owned(),
            region: server.region().to_owned(),
            keys: (server.access_key().to_owned(), secret.to_owned()),
        }
    }

    /// Returns the options of its URL, without the secret.
    pub fn url_options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("endpoint", self.endpoint.clone()),
            ("region", self.region.clone()),
            ("access_key_id", self.keys.0.clone()),
        ]
    }

    pub fn secret(&self) -> &str {
        &self.keys.1
    }

    pub fn store(&self) -> anyhow::Result<AmazonS3> {
        Ok(self.builder().build()?)
    }

    pub fn builder(&self) -> AmazonS3Builder {
        let (access_key, secret_key) = &self.keys;
        AmazonS3Builder::new()
            .with_http_connector(StoreConnector::new())
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region(&self.region)
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key)
            .with_bucket_name(BUCKET)
    }
}

/// Returns a client with payloads in this store, under this prefix of [`BUCKET`].
pub fn extended(client: Client, store: impl ObjectStore, prefix: &str) -> ExtendedClient {
    let payloads = PayloadStore::builder(store, BUCKET).prefix(prefix).build();
    let builder = ExtendedClient::builder(client).payload_store(payloads.expect("valid settings"));
    builder.build().expect("valid settings")
}

/// Returns the keys of all objects under this prefix.
pub async fn keys(store: &impl ObjectStore, prefix: &str) -> Result<Vec<String>> {
    let prefix = Path::from(prefix);
    let objects: Vec<ObjectMeta> = store.list(Some(&prefix)).try_collect().await?;
    Ok(objects.into_iter().map(|object| object.location.to_string()).collect())
}

/// A store in memory that counts its calls.
#[derive(Clone, Debug, Default)]
pub struct Counting {
    pub objects: Arc<InMemory>,
    calls: Arc<AtomicUsize>,
    /// Makes deletes fail.
    pub fails_deletes: bool,
    /// The duration of a delete request.
    pub delete_delay: Duration,
}

impl Counting {
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn called(&self) -> &InMemory {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &self.objects
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a counting store")
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.called().put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(&self, key: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.called().put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.called().get_opts(key, options).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if self.fails_deletes {
            let refused = |_| {
                Err(object_store::Error::NotImplemented {
                    operation: "delete".to_owned(),
                    implementer: "a store that fails deletes".to_owned(),
                })
            };
            return keys.map(refused).boxed();
        }
        let (deleted, time) = (self.called().delete_stream(keys), self.delete_delay);
        let later = async move {
            tokio::time::sleep(time).await;
            deleted
        };
        later.flatten_stream().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.called().copy_opts(from, to, options).await
    }
}
