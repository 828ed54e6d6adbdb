//! Where payloads are stored, and how; queues are not known here.

mod builder;
mod deletion;
pub(crate) mod location;
mod reserved_key;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{Attribute, ObjectStore};
use tokio_util::task::TaskTracker;

use crate::codec::{Codec, Encoded, Encoding, Limits};
use crate::error::Error;
use crate::payload::digest::{Digest, DigestAlgorithm};
use crate::payload::stream::PayloadStream;
use crate::payload_store::location::Location;
use crate::pointer::{Envelope, Pointer, PointerKeys, ReservedAttribute};
use crate::stores::OpenedStore;
#[cfg(feature = "s3")]
use crate::stores::SharedCredentials;
use crate::sweep::Sweep;
use crate::transfer::download::{DownloadSettings, Expected, download};
use crate::transfer::lookup::{find, is_same_version};
use crate::transfer::upload::{Stored, Target, UploadSettings, upload};

pub use builder::PayloadStoreBuilder;
pub use deletion::Deletion;
pub(crate) use reserved_key::ReservedKey;

/// The place of large payloads: an object store, the bucket and prefix in it that are ours, and how payloads are written
/// and read there.
///
/// Cheap to clone; clones share everything.
///
/// ```
/// use object_store::memory::InMemory;
/// use sqs_extended::PayloadStore;
///
/// # fn main() -> Result<(), sqs_extended::Error> {
/// let payloads = PayloadStore::builder(InMemory::new(), "my-bucket")
///     .prefix("payloads/")
///     .part_size(16 * 1024 * 1024)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PayloadStore(Arc<Inner>);

struct Inner {
    store: Arc<dyn ObjectStore>,
    /// The store once more, for what only S3 can do.
    #[cfg(feature = "s3")]
    s3: Option<(object_store::aws::AmazonS3, crate::stores::StoreConnector)>,
    location: Location,
    attribute: ReservedAttribute,
    extras: bool,
    keys: Option<PointerKeys>,
    codec: Option<Codec>,
    upload: UploadSettings,
    download: DownloadSettings,
    max_payload: Option<u64>,
    deletion: Deletion,
    deleter: deletion::Deleter,
    new_id: NewId,
    /// What goes on in the background: the aborts of uploads that were broken off, and deletions.
    background: TaskTracker,
    #[cfg(feature = "s3")]
    credentials: Option<SharedCredentials>,
}

/// Where the ids of new payloads come from, so that a simulation can seed it.
pub(crate) type NewId = Arc<dyn Fn() -> String + Send + Sync>;

/// A stored payload that no message points to yet.
#[derive(Debug)]
pub(crate) struct StoredPayload {
    pub(crate) key: Path,
    pub(crate) pointer: Pointer,
    /// What the payload was before it was encoded.
    pub(crate) original: Stored,
}

/// A payload that a message points to, found to be one that we may touch.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) envelope: Box<Envelope>,
    key: Path,
}

/// What became of the payload of a message that was deleted.
#[derive(Debug)]
pub(crate) enum Removed {
    Deleted,
    /// By the store's [`Deletion`].
    Kept,
    Failed(Error),
}

impl PayloadStore {
    /// How many payloads wait for the end of their grace at most; those beyond are left to the sweep.
    pub const MAX_PENDING_DELETIONS: usize = 100_000;

    /// Begins to configure a place in `store`, which is rooted at the bucket, as object stores are; `bucket` is the name
    /// that is written into pointers. Payloads are fetched and deleted only if their pointer names the same bucket.
    ///
    /// An `Arc<dyn ObjectStore>` is an [`ObjectStore`] too. What the store does with each object, such as encryption by
    /// SSE-KMS, storage classes and checksums, is set where it is built.
    pub fn builder(store: impl ObjectStore, bucket: impl Into<String>) -> PayloadStoreBuilder {
        PayloadStoreBuilder::new(Arc::new(store), bucket.into())
    }

    /// Begins to configure the place that a URL names:
    ///
    /// | URL | store | feature |
    /// |---|---|---|
    /// | `s3://bucket/prefix` | Amazon S3, and what speaks its protocol | `s3` |
    /// | `gs://bucket/prefix` | Google Cloud Storage | `gcs` |
    /// | `az://container/prefix`, `abfs://…`, `abfss://container@account.dfs.core.windows.net/prefix` | Azure Blob Storage | `azure` |
    /// | `file:///folder` | a local folder, which must exist | `fs` |
    /// | `memory:///prefix` | this process's memory, a new one each time | |
    ///
    /// Keys begin with the prefix and a slash, whether or not the URL ends in one; of `file:`, the folder takes its place.
    ///
    /// The query is the store's options, each a configuration key of object_store's builder (`AmazonS3ConfigKey`,
    /// `GoogleConfigKey`, `AzureConfigKey`), with or without its `aws_`, `google_` or `azure_`. They win over those of the
    /// environment, which are the same keys in capitals, such as `AWS_REGION`. For S3, for example:
    ///
    /// | option | |
    /// |---|---|
    /// | `endpoint` | of another server, such as `http://127.0.0.1:9000`; plain HTTP is allowed where it says so |
    /// | `region` | `us-east-1` unless set |
    /// | `virtual_hosted_style_request=true` | the bucket in the host's name; an `endpoint` must then have it there |
    /// | `server_side_encryption=aws:kms`, `sse_kms_key_id`, `sse_bucket_key_enabled` | encryption by the store |
    /// | `checksum_algorithm=sha256` | a checksum that the store verifies |
    /// | `unsigned_payload=true` | spares hashing what is sent; for where TLS protects it |
    /// | `disable_bulk_delete=true` | for servers without `DeleteObjects` |
    ///
    /// and for every store over HTTP `connect_timeout` and `read_timeout`, such as `30s` (see `StoreConnector`).
    /// `file:` and `memory:` have one option: `bucket`, the name that pointers call it by (`file` and `memory` otherwise).
    ///
    /// S3 is asked with the credentials of the client in [`ExtendedClient::builder`](crate::ExtendedClient::builder), so
    /// that queue and store share them. Without a client they are those of
    /// [`DefaultCredentials`](sqs_client::credentials::DefaultCredentials), or else the machine's role. The other stores read the
    /// environment. `access_key_id` and `secret_access_key` in the URL win, with `+` and `&` percent-encoded, but URLs end
    /// up in logs and process lists. A URL with a user or a password before its host is refused.
    ///
    /// # Errors
    ///
    /// The URL is not one of the above, its feature is off, it has an option that the store does not know, or the
    /// settings cannot work. No message repeats an option's value.
    ///
    /// ```
    /// # fn main() -> Result<(), sqs_extended::Error> {
    /// let payloads = sqs_extended::PayloadStore::from_url("memory:///payloads/")?.build()?;
    /// # Ok(()) }
    /// ```
    pub fn from_url(url: &str) -> Result<PayloadStoreBuilder, Error> {
        Ok(PayloadStoreBuilder::opened(OpenedStore::open(url)?))
    }

    /// Signs with this client's credentials, where the store has none of its own.
    #[cfg(feature = "s3")]
    pub(crate) fn use_client(&self, client: &sqs_client::Client) {
        if let Some(credentials) = &self.0.credentials {
            credentials.use_client(client);
        }
    }

    /// Makes a sweep of what is stored here, to remove payloads that are older than this, as no message can point to them
    /// any more; see [`Sweep`]. It finds [unfinished uploads](Sweep::unfinished_uploads) if the store is an S3 that was
    /// opened by [`from_url`](Self::from_url).
    ///
    /// # Errors
    ///
    /// As for [`Sweep::new`].
    pub fn sweep(&self, older_than: Duration) -> Result<Sweep, Error> {
        let sweep = Sweep::new(Arc::clone(&self.0.store), self.0.location.prefix(), older_than)?;
        #[cfg(feature = "s3")]
        let sweep = sweep.with_s3(self.0.s3.clone());
        Ok(sweep)
    }

    /// The message attribute that marks the pointers that are sent.
    pub(crate) fn attribute(&self) -> ReservedAttribute {
        self.0.attribute
    }

    /// The place of a payload under this key after the prefix, or a new one.
    ///
    /// # Errors
    ///
    /// The key is not a plain path, or too long.
    pub(crate) fn place(
        &self,
        key: Option<String>,
        queue_url: &str,
        encoding: &Encoding,
    ) -> Result<ReservedKey, Error> {
        let inner = &*self.0;
        let is_fresh = key.is_none();
        let key = inner.location.key(&key.unwrap_or_else(|| (inner.new_id)()))?;
        let longest = Stored {
            len: u64::MAX,
            digest: Digest::compute(inner.upload.digest, b""),
        };
        Ok(ReservedKey {
            widest: self.pointer(&key, queue_url, encoding, &longest, u64::MAX),
            target: Target { key, is_fresh },
            queue_url: queue_url.to_owned(),
            attribute: inner.attribute,
        })
    }

    /// Stores a payload.
    ///
    /// # Errors
    ///
    /// The source's and the store's; nothing is left of the payload.
    pub(crate) async fn put(&self, place: ReservedKey, encoded: Encoded) -> Result<StoredPayload, Error> {
        let inner = &*self.0;
        let ReservedKey { target, queue_url, .. } = place;
        let stored = upload(&inner.store, &target, encoded.source, &inner.upload, &inner.background).await?;
        let original = encoded.original.of(&stored)?;
        let key = target.key;
        Ok(StoredPayload {
            pointer: self.pointer(&key, &queue_url, &encoded.encoding, &stored, original.len),
            key,
            original,
        })
    }

    fn pointer(&self, key: &Path, queue_url: &str, encoding: &Encoding, stored: &Stored, size: u64) -> Pointer {
        let inner = &*self.0;
        let mut pointer = Pointer::new(inner.location.bucket(), key.as_ref());
        pointer.encoding = encoding.clone();
        let content_type = inner.upload.attributes.get(&Attribute::ContentType);
        if inner.extras {
            pointer.length = Some(stored.len);
            pointer.digest = Some(stored.digest.clone());
            pointer.content_type = content_type.map(|value| value.as_ref().to_owned());
        }
        if let Some(keys) = &inner.keys {
            keys.sign(&mut pointer, size, queue_url);
        }
        pointer
    }

    /// The digest that payloads are sent with.
    pub(crate) fn digest_algorithm(&self) -> DigestAlgorithm {
        self.0.upload.digest
    }

    /// How payloads are encoded, if that was set.
    pub(crate) fn codec(&self) -> Option<&Codec> {
        self.0.codec.as_ref()
    }

    /// Sees whether this is a payload of ours; no I/O.
    ///
    /// # Errors
    ///
    /// The pointer names what we must not touch, or is not authenticated as it has to be for a message of this queue.
    pub(crate) fn locate(&self, envelope: Box<Envelope>, queue: &str) -> Result<Located, Error> {
        let key = self.0.location.resolve(&envelope.pointer)?;
        if let Some(keys) = &self.0.keys {
            keys.verify(&envelope, queue)?;
        }
        Ok(Located { envelope, key })
    }

    /// The payload of a message that came another way than by a receive of ours: from SNS, to a Lambda function, or by
    /// another client; see [`ParsedMessage`](crate::pointer::ParsedMessage). `queue` is the URL, the ARN or the name of
    /// the queue that it is from, which counts where pointers are [authenticated](PayloadStoreBuilder::pointer_keys).
    ///
    /// # Errors
    ///
    /// The pointer names what we must not touch, or is not authenticated as it has to be: then the store was not called.
    /// Otherwise the store fails, does not have the payload, or has one of another length.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// ```
    /// # async fn example(payloads: sqs_extended::PayloadStore, event: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::TryStreamExt;
    /// use sqs_extended::pointer::{LambdaRecord, ParsedMessage, PayloadLocation};
    ///
    /// let record: LambdaRecord = serde_json::from_str(event)?;
    /// match ParsedMessage::from_message(&record.message)?.contents {
    ///     PayloadLocation::Inline(body) => println!("{body}"),
    ///     PayloadLocation::Offloaded(envelope) => {
    ///         let mut payload = payloads.open(&envelope, &record.queue_arn).await?;
    ///         while let Some(chunk) = payload.try_next().await? {
    ///             println!("{} bytes", chunk.len());
    ///         }
    ///     }
    ///     _ => {}
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn open(&self, envelope: &Envelope, queue: &str) -> Result<PayloadStream, Error> {
        let located = self.locate(Box::new(envelope.clone()), queue)?;
        let codec = self.0.codec.clone().unwrap_or_default();
        self.fetch(&located, &codec).await
    }

    /// Begins to fetch a payload.
    ///
    /// # Errors
    ///
    /// The codec cannot read it; or the store fails, does not have the payload, or has one of another length.
    pub(crate) async fn fetch(&self, located: &Located, codec: &Codec) -> Result<PayloadStream, Error> {
        let Envelope { pointer, size } = &*located.envelope;
        let decoder = codec.decoder(&pointer.encoding).await?;
        let as_stored = size.filter(|_| pointer.encoding.is_plain());
        let expected = Expected {
            len: pointer.length.or(as_stored),
            digest: pointer.digest.clone(),
            max: self.0.max_payload.map(|max| decoder.max_stored(max)),
        };
        let download = download(&self.0.store, &located.key, expected, &self.0.download).await?;
        let limits = Limits {
            len: *size,
            max: self.0.max_payload,
        };
        let len = if pointer.encoding.is_plain() {
            Some(download.len)
        } else {
            *size
        };
        Ok(PayloadStream::new(decoder.decode(download.chunks, limits), len))
    }

    /// Deletes the payload of a message that was surely deleted, if that is what is to be done with it.
    pub(crate) async fn remove(&self, located: &Located) -> Removed {
        match self.0.deletion {
            Deletion::Keep => Removed::Kept,
            Deletion::After(grace) => {
                self.delete_later(located.key.clone(), grace);
                Removed::Kept
            }
            Deletion::WithMessage => match self.delete(&located.key).await {
                Ok(()) => Removed::Deleted,
                Err(error) => Removed::Failed(error),
            },
        }
    }

    /// Deletes the payload of a message that was surely not sent.
    pub(crate) async fn discard(&self, key: &Path) {
        if let Err(error) = self.delete(key).await {
            tracing::warn!(
                key = key.as_ref(),
                error = &error as &dyn std::error::Error,
                "the payload of a message that was not sent could not be deleted, and stays in the store"
            );
        }
    }

    /// One that is gone already is as good as deleted.
    async fn delete(&self, key: &Path) -> Result<(), Error> {
        let inner = &*self.0;
        inner.deleter.delete(&inner.store, key.clone(), &inner.background).await
    }

    /// For as long as the runtime lives; the sweep does it otherwise.
    fn delete_later(&self, key: Path, grace: Duration) {
        if self.0.background.len() >= PayloadStore::MAX_PENDING_DELETIONS {
            tracing::warn!(
                key = key.as_ref(),
                "too many payloads wait for their deletion; this one is left to the sweep"
            );
            return;
        }
        let this = self.clone();
        self.0.background.spawn(async move {
            if let Err(error) = this.delete_after(&key, grace).await {
                tracing::warn!(
                    key = key.as_ref(),
                    error = &error as &dyn std::error::Error,
                    "a payload could not be deleted after its grace"
                );
            }
        });
    }

    /// Leaves alone what is stored under the key during the grace: another message points to it.
    async fn delete_after(&self, key: &Path, grace: Duration) -> Result<(), Error> {
        let failed = |error| Error::store("the payload could not be looked up before its deletion", error);
        let store = &*self.0.store;
        let Some(before) = find(store, key).await.map_err(failed)? else {
            return Ok(());
        };
        tokio::time::sleep(grace).await;
        match find(store, key).await.map_err(failed)? {
            Some(now) if is_same_version(&before, &now) => self.delete(key).await,
            _ => Ok(()),
        }
    }

    /// Waits until what goes on in the background has come to its end: the aborts of uploads that were broken off, and
    /// deletions, those after a grace among them. Call it before the process ends, so that no parts of unfinished
    /// uploads are left behind. Uploads that are still under way are not waited for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&self) {
        // A tracker has to be closed to be waited for; it takes further tasks all the same.
        self.0.background.close();
        self.0.background.wait().await;
    }
}

impl fmt::Debug for PayloadStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store: its settings hold its credentials.
        f.debug_struct("PayloadStore")
            .field("location", &self.0.location)
            .field("attribute", &self.0.attribute)
            .field("extras", &self.0.extras)
            .field("upload", &self.0.upload)
            .field("deletion", &self.0.deletion)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;
    use crate::testing::{TestStore, payloads};

    #[tokio::test(start_paused = true)]
    async fn what_was_stored_again_during_its_grace_stays() {
        let store = TestStore::default();
        let payloads = payloads(&store);
        let keys = [Path::from("again"), Path::from("old")];
        for key in &keys {
            store.objects.put(key, "x".into()).await.unwrap();
            payloads.delete_later(key.clone(), Duration::from_secs(60));
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        store.objects.put(&keys[0], "y".into()).await.unwrap();
        payloads.flush().await;
        assert!(store.object(&keys[0]).await.is_some(), "another message points to it");
        assert!(store.object(&keys[1]).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_wait_for_their_grace() {
        let store = TestStore::default();
        let payloads = payloads(&store);
        let keys = [Path::from("within"), Path::from("beyond")];
        for key in &keys {
            store.objects.put(key, "x".into()).await.unwrap();
        }
        let [within, beyond] = keys;
        payloads.delete_later(within.clone(), Duration::from_secs(60));
        for i in 1..PayloadStore::MAX_PENDING_DELETIONS {
            payloads.delete_later(Path::from(format!("gone-{i}")), Duration::from_secs(60));
        }
        payloads.delete_later(beyond.clone(), Duration::from_secs(60));
        payloads.flush().await;
        assert!(store.object(&within).await.is_none());
        assert!(store.object(&beyond).await.is_some(), "left to the sweep");
    }
}
