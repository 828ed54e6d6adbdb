//! The queue and the store that the payload goes through.

use anyhow::{Context, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use sqs_client::credentials::{EnvironmentCredentials, ProvideCredentials as _};
use sqs_client::types::QueueAttributeName;
use sqs_client::{Client, ClientBuilder, ErrorCode};
use sqs_extended::store::StoreConnector;
use sqs_extended::{ExtendedClient, PayloadStore};
use sqs_tests::embedded::EmbeddedServer;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::options::{Options, Wrong};

const DEFAULT_BUCKET: &str = "large-payload";

/// A client, its queue and its store; what was made for this run is removed by [`clear_up`](Self::clear_up).
pub(crate) struct Places {
    pub(crate) extended: ExtendedClient,
    client: Client,
    store: Arc<dyn ObjectStore>,
    store_name: String,
    /// What all objects of this run begin with, so that those of others are left alone.
    prefix: String,
    queue_name: String,
    keep_queue: bool,
    queue: OnceCell<String>,
    _server: Option<EmbeddedServer>,
    _folder: Option<TempDir>,
}

impl Places {
    pub(crate) async fn open(options: &Options) -> Result<Self, Wrong> {
        let (client, server) = client(options).await?;
        let bucket = options.bucket.clone().unwrap_or_else(|| DEFAULT_BUCKET.to_owned());
        let (store, store_name, folder) = store(options, &bucket)?;
        let run = Uuid::new_v4();
        let prefix = format!("large-payload/{run}/");
        let mut payloads = PayloadStore::builder(store.clone(), bucket)
            .prefix(&prefix)
            .part_size(options.part_size.as_u64());
        if let Some(concurrency) = options.concurrency {
            payloads = payloads.concurrency(concurrency);
        }
        let extended = ExtendedClient::builder(client.clone()).payload_store(payloads.build()?);
        Ok(Self {
            extended: extended.build()?,
            client,
            store,
            store_name,
            prefix,
            queue_name: options.queue.clone().unwrap_or_else(|| format!("large-payload-{run}")),
            keep_queue: options.queue.is_some(),
            queue: OnceCell::new(),
            _server: server,
            _folder: folder,
        })
    }

    pub(crate) fn store_name(&self) -> &str {
        &self.store_name
    }

    /// The queue's URL.
    pub(crate) async fn queue(&self) -> anyhow::Result<String> {
        let url = self.queue.get_or_try_init(|| async {
            let found = self.client.get_queue_url(&self.queue_name).await;
            match found {
                Err(error) if error.code() == Some(&ErrorCode::QueueDoesNotExist) => {
                    let created = self.client.create_queue(&self.queue_name).await;
                    created.map(|created| created.queue_url)
                }
                found => found.map(|found| found.queue_url),
            }
        });
        url.await.cloned().context("the queue cannot be used")
    }

    /// Fails if there is anything left of this run: in the store, and in a queue that is its own.
    pub(crate) async fn check_empty(&self, queue: &str) -> anyhow::Result<()> {
        if !self.keep_queue {
            let names = [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            ];
            let counts = self.client.get_queue_attributes(queue, names).await?.attributes;
            let (visible, hidden) = (
                counts.approximate_number_of_messages,
                counts.approximate_number_of_messages_not_visible,
            );
            ensure!(
                visible == Some(0) && hidden == Some(0),
                "the queue is not empty: {visible:?} messages, {hidden:?} in flight"
            );
        }
        let left = self.objects().await?;
        ensure!(left.is_empty(), "the store is not empty: {left:?}");
        Ok(())
    }

    /// What this run has in the store.
    async fn objects(&self) -> object_store::Result<Vec<Path>> {
        let prefix = Path::from(self.prefix.as_str());
        let listed = self.store.list_with_delimiter(Some(&prefix)).await?;
        Ok(listed.objects.into_iter().map(|object| object.location).collect())
    }

    /// Waits for uploads that were broken off to be aborted, and removes what was made for this run: its objects where
    /// their message is gone too, with the queue that was its own.
    pub(crate) async fn clear_up(&self) {
        self.extended.flush().await;
        if let Err(error) = self.remove_objects().await {
            eprintln!("objects under {} may be left: {}", self.prefix, first_line(&error));
        }
        if let (false, Some(queue)) = (self.keep_queue, self.queue.get()) {
            let deleted = self.client.delete_queue(queue).await;
            if let Err(error) = deleted {
                eprintln!("the queue {queue} is left: {error}");
            }
        }
    }

    async fn remove_objects(&self) -> object_store::Result<()> {
        // In a queue of others, a message of ours may still be there, and points to what it needs.
        if self.keep_queue {
            return Ok(());
        }
        let objects = self.objects().await?;
        let deleted = self.store.delete_stream(stream::iter(objects).map(Ok).boxed());
        deleted.map_ok(drop).try_collect().await
    }
}

/// A store's error repeats its answer on several lines.
pub(crate) fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

async fn client(options: &Options) -> Result<(Client, Option<EmbeddedServer>), Wrong> {
    let Some(endpoint) = &options.endpoint else {
        let server = EmbeddedServer::start().await?;
        return Ok((server.client()?, Some(server)));
    };
    // Missing keys are wrong input, and should not show only on the first request.
    let credentials = EnvironmentCredentials::new().provide_credentials().await?;
    let builder = ClientBuilder::from_env().endpoint_url(endpoint);
    Ok((builder.credentials(credentials).build()?, None))
}

type Store = (Arc<dyn ObjectStore>, String, Option<TempDir>);

fn store(options: &Options, bucket: &str) -> Result<Store, Wrong> {
    if options.s3_endpoint.is_none() && options.bucket.is_none() {
        let folder = tempfile::Builder::new().prefix("large-payload").tempdir()?;
        let store = LocalFileSystem::new_with_prefix(folder.path())?;
        let name = format!("{} (temporary)", folder.path().display());
        return Ok((Arc::new(store), name, Some(folder)));
    }
    // A payload's digest is verified at the end, so that over TLS nothing is gained by signing every part's too.
    let mut builder = AmazonS3Builder::from_env()
        .with_http_connector(StoreConnector::new())
        .with_bucket_name(bucket)
        .with_unsigned_payload(true);
    let mut name = format!("s3://{bucket}");
    if let Some(endpoint) = &options.s3_endpoint {
        builder = builder
            .with_endpoint(endpoint)
            .with_allow_http(endpoint.starts_with("http://"));
        name = format!("{name} at {endpoint}");
    }
    Ok((Arc::new(builder.build()?), name, None))
}
