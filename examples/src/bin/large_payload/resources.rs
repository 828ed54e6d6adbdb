//! The queue and the store for the payload.

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
use sqs_local::LocalSqs;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::options::{InvalidInput, Options};

const DEFAULT_BUCKET: &str = "large-payload";

/// A client, its queue and its store. [`clean_up`](Self::clean_up) removes the resources created for this run.
pub(crate) struct Resources {
    pub(crate) extended: ExtendedClient,
    client: Client,
    store: Arc<dyn ObjectStore>,
    store_name: String,
    /// The prefix of this run's objects, so that clean-up deletes no other objects.
    prefix: String,
    queue_name: String,
    keep_queue: bool,
    queue: OnceCell<String>,
    _server: Option<LocalSqs>,
    _folder: Option<TempDir>,
}

impl Resources {
    pub(crate) async fn open(options: &Options) -> Result<Self, InvalidInput> {
        let (client, server) = client(options).await?;
        let bucket = options.bucket.clone().unwrap_or_else(|| DEFAULT_BUCKET.to_owned());
        // Without a connector, the transfers would not see that the store asks them to slow down.
        let connector = StoreConnector::new();
        let (store, store_name, folder) = store(options, &bucket, &connector)?;
        let run = Uuid::new_v4();
        let prefix = format!("large-payload/{run}/");
        let mut payloads = PayloadStore::builder(store.clone(), bucket)
            .prefix(&prefix)
            .connector(&connector)
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

    /// Returns the queue's URL. Creates the queue if it does not exist.
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
        url.await
            .cloned()
            .with_context(|| format!("cannot use the queue \"{}\"", self.queue_name))
    }

    /// Fails if objects of this run remain in the store, or messages in the run's own queue.
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
                "the queue is not empty: {visible:?} visible messages, {hidden:?} in flight"
            );
        }
        let objects = self.objects().await?;
        ensure!(objects.is_empty(), "the store is not empty: {objects:?}");
        Ok(())
    }

    /// Lists this run's objects in the store.
    async fn objects(&self) -> object_store::Result<Vec<Path>> {
        let prefix = Path::from(self.prefix.as_str());
        let listed = self.store.list_with_delimiter(Some(&prefix)).await?;
        Ok(listed.objects.into_iter().map(|object| object.location).collect())
    }

    /// Waits until interrupted uploads are aborted. If the queue was created for this run, removes the queue and the run's
    /// objects.
    pub(crate) async fn clean_up(&self) {
        self.extended.flush().await;
        if let Err(error) = self.remove_objects().await {
            eprintln!(
                "cannot remove the objects under {}: {}",
                self.prefix,
                first_line(&error)
            );
        }
        if let (false, Some(queue)) = (self.keep_queue, self.queue.get()) {
            let deleted = self.client.delete_queue(queue).await;
            if let Err(error) = deleted {
                eprintln!("cannot delete the queue {queue}: {error}");
            }
        }
    }

    async fn remove_objects(&self) -> object_store::Result<()> {
        // A message of ours may still be in a queue that we keep, and its pointer needs the object.
        if self.keep_queue {
            return Ok(());
        }
        let objects = self.objects().await?;
        let deleted = self.store.delete_stream(stream::iter(objects).map(Ok).boxed());
        deleted.map_ok(drop).try_collect().await
    }
}

/// Returns the first line of an error, because a store's error contains its whole response.
pub(crate) fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

async fn client(options: &Options) -> Result<(Client, Option<LocalSqs>), InvalidInput> {
    let Some(endpoint) = &options.endpoint else {
        let server = LocalSqs::start().await?;
        return Ok((server.client()?, Some(server)));
    };
    // Missing keys are invalid input, so report them before the first request.
    let credentials = EnvironmentCredentials::new().provide_credentials().await?;
    let builder = ClientBuilder::from_env().endpoint_url(endpoint);
    Ok((builder.credentials(credentials).build()?, None))
}

type Store = (Arc<dyn ObjectStore>, String, Option<TempDir>);

fn store(options: &Options, bucket: &str, connector: &StoreConnector) -> Result<Store, InvalidInput> {
    if options.s3_endpoint.is_none() && options.bucket.is_none() {
        let folder = tempfile::Builder::new().prefix("large-payload").tempdir()?;
        let store = LocalFileSystem::new_with_prefix(folder.path())?;
        let name = format!("{} (temporary)", folder.path().display());
        return Ok((Arc::new(store), name, Some(folder)));
    }
    // The payload's digest is verified at the end, so signing each part's digest would add nothing over TLS.
    let mut builder = AmazonS3Builder::from_env()
        .with_http_connector(connector.clone())
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
