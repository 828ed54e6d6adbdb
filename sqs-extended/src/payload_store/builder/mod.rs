//! Builds a [`PayloadStore`].

mod transfers;

use std::fmt;
use std::sync::Arc;

use object_store::multipart::MultipartStore;
use object_store::{Attribute, Attributes, ObjectStore, TagSet};
use tokio_util::task::TaskTracker;

use crate::codec::Codec;
use crate::error::Error;
use crate::payload::digest::DigestAlgorithm;
use crate::payload_store::deletion::{Deleter, Deletion};
use crate::payload_store::location::{EmptySegments, Location};
use crate::payload_store::store::{Inner, NewId, PayloadStore, unguessable_id};
use crate::pointer::{PointerKeys, ReservedAttribute};
use crate::stores::OpenedStore;
#[cfg(feature = "s3")]
use crate::stores::SharedCredentials;
#[cfg(feature = "s3")]
use crate::stores::StoreConnector;
use crate::transfer::Resources;
use crate::transfer::download::DownloadSettings;
use crate::transfer::pressure::Pressure;
use crate::transfer::upload::UploadSettings;

/// The maximum length of a content type. RFC 6838 allows 127 bytes for each of two names.
const MAX_CONTENT_TYPE_BYTES: usize = 255;

impl PayloadStore {
    /// Creates a builder of a payload store on `store`. Keys in pointers start at the root of `store`, which must be the
    /// bucket. Pointers contain the name `bucket`. Payloads are fetched and deleted only if their pointer names the same
    /// bucket.
    ///
    /// An `Arc<dyn ObjectStore>` is an [`ObjectStore`] too. Settings of each object, such as SSE-KMS encryption, storage
    /// classes and checksums, belong to the object store's own builder.
    pub fn builder(store: impl ObjectStore, bucket: impl Into<String>) -> PayloadStoreBuilder {
        PayloadStoreBuilder::new(Arc::new(store), bucket.into())
    }

    /// Creates a builder of a payload store from a URL:
    ///
    /// | URL | store | feature |
    /// |---|---|---|
    /// | `s3://bucket/prefix` | Amazon S3 and compatible servers | `s3` |
    /// | `gs://bucket/prefix` | Google Cloud Storage | `gcs` |
    /// | `az://container/prefix`, `abfs://…`, `abfss://container@account.dfs.core.windows.net/prefix` | Azure Blob Storage | `azure` |
    /// | `file:///folder` | a local folder, which must exist | `fs` |
    /// | `memory:///prefix` | this process's memory, a new store for each call | |
    ///
    /// Keys begin with the prefix and a slash, whether or not the URL ends in one. With `file:`, the folder is the root.
    ///
    /// The query contains the store's options. Each is a configuration key of object_store's builder (`AmazonS3ConfigKey`,
    /// `GoogleConfigKey`, `AzureConfigKey`), with or without its `aws_`, `google_` or `azure_`. Options override the
    /// environment, which has the same keys in capitals, such as `AWS_REGION`. For example, for S3:
    ///
    /// | option | |
    /// |---|---|
    /// | `endpoint` | another server, such as `http://127.0.0.1:9000`; an `http:` URL allows plain HTTP |
    /// | `region` | default: `us-east-1` |
    /// | `virtual_hosted_style_request=true` | the bucket in the host name; an `endpoint` must then contain it |
    /// | `server_side_encryption=aws:kms`, `sse_kms_key_id`, `sse_bucket_key_enabled` | encryption by the store |
    /// | `checksum_algorithm` | the checksum that the store verifies: `crc64nvme` or `sha256` |
    /// | `unsigned_payload` | `true` skips hashing the payload for its signature, if TLS protects it; `false` signs it |
    /// | `disable_bulk_delete=true` | for servers without `DeleteObjects` |
    ///
    /// Over https, S3 payloads are sent unsigned and carry a CRC64NVME checksum, which the store verifies. If a store does
    /// not accept the checksum, a warning names it once and payloads are sent without. TLS and the digest in the message
    /// still protect them. Over http, payloads are signed and have no checksum. `checksum_algorithm` or `unsigned_payload`,
    /// in the URL or the environment, replace both defaults: the payload then has exactly what they say.
    ///
    /// Every store over HTTP has `connect_timeout` and `read_timeout`, such as `30s` (see `StoreConnector`). `file:` and
    /// `memory:` have one option: `bucket`, the bucket's name in pointers. Default: `file` or `memory`.
    ///
    /// S3 requests use the credentials of the client in [`ExtendedClient::builder`](crate::ExtendedClient::builder), so that
    /// queue and store share them. Without a client they use
    /// [`DefaultCredentials`](sqs_client::credentials::DefaultCredentials), or else the machine's role. The other stores read
    /// the environment. `access_key_id` and `secret_access_key` in the URL override them, with `+` and `&` percent-encoded.
    /// But URLs appear in logs and process lists. A URL with a user or a password before its host is refused.
    ///
    /// # Errors
    ///
    /// The URL is not one of the above, or its feature is disabled. Or an option is invalid or unknown to the store. No error
    /// contains an option's value.
    ///
    /// ```
    /// # fn main() -> Result<(), sqs_extended::Error> {
    /// let payloads = sqs_extended::PayloadStore::from_url("memory:///payloads/")?.build()?;
    /// # Ok(()) }
    /// ```
    pub fn from_url(url: &str) -> Result<PayloadStoreBuilder, Error> {
        Ok(PayloadStoreBuilder::from_opened(OpenedStore::open(url)?))
    }
}

/// Builds a [`PayloadStore`], on an object store or from a URL.
///
/// ```
/// use object_store::memory::InMemory;
/// use sqs_extended::PayloadStore;
///
/// # fn main() -> Result<(), sqs_extended::Error> {
/// let payloads = PayloadStore::builder(InMemory::new(), "my-bucket").prefix("payloads/").build()?;
/// # Ok(()) }
/// ```
#[must_use = "nothing happens before `build`"]
#[derive(Clone)]
pub struct PayloadStoreBuilder {
    store: Arc<dyn ObjectStore>,
    #[cfg(feature = "s3")]
    s3: Option<(object_store::aws::AmazonS3, StoreConnector)>,
    multipart: Option<Arc<dyn MultipartStore>>,
    bucket: String,
    prefix: String,
    attribute: ReservedAttribute,
    extras: bool,
    keys: Option<PointerKeys>,
    codec: Option<Codec>,
    max_payload: Option<u64>,
    upload: UploadSettings,
    download: DownloadSettings,
    transfer_memory: u64,
    deletion: Deletion,
    new_id: NewId,
    #[cfg(feature = "s3")]
    credentials: Option<SharedCredentials>,
    pressure: Option<Pressure>,
}

impl PayloadStoreBuilder {
    fn new(store: Arc<dyn ObjectStore>, bucket: String) -> Self {
        Self {
            store,
            #[cfg(feature = "s3")]
            s3: None,
            multipart: None,
            bucket,
            prefix: String::new(),
            attribute: ReservedAttribute::default(),
            extras: true,
            keys: None,
            codec: None,
            max_payload: None,
            upload: UploadSettings {
                part_size: None,
                concurrency: None,
                digest: DigestAlgorithm::default(),
                attributes: Attributes::new(),
                tags: TagSet::default(),
            },
            download: DownloadSettings::default(),
            transfer_memory: Self::DEFAULT_TRANSFER_MEMORY,
            deletion: Deletion::default(),
            new_id: Arc::new(unguessable_id),
            #[cfg(feature = "s3")]
            credentials: None,
            pressure: None,
        }
    }

    /// Creates the builder of a store that was opened by its URL.
    fn from_opened(opened: OpenedStore) -> Self {
        Self {
            prefix: opened.prefix,
            #[cfg(feature = "s3")]
            s3: opened.s3,
            multipart: opened.multipart,
            #[cfg(feature = "s3")]
            credentials: opened.credentials,
            pressure: opened.pressure,
            ..Self::new(opened.store, opened.bucket)
        }
    }

    /// Signs the store's requests with this client's credentials, if the store was opened by an `s3:` URL without
    /// credentials. Default: the credentials of the first [`ExtendedClient`](crate::ExtendedClient) that uses the store. Without
    /// such a client, they come from [`DefaultCredentials`](sqs_client::credentials::DefaultCredentials).
    #[cfg(feature = "s3")]
    pub fn credentials_from(self, client: &sqs_client::Client) -> Self {
        if let Some(credentials) = &self.credentials {
            credentials.use_client(client);
        }
        self
    }

    /// Sets the prefix of the keys of stored payloads, such as `payloads/`. Default: none.
    ///
    /// Payloads are fetched and deleted only under this prefix. An untrusted sender can name any object there, so store
    /// nothing else under it.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the message attribute that marks pointers. Default: [`ReservedAttribute::default`]. Receives recognize both
    /// attributes, and hide both.
    pub fn reserved_attribute(mut self, attribute: ReservedAttribute) -> Self {
        self.attribute = attribute;
        self
    }

    /// Sets whether pointers carry the payload's length and digest, as further members of the pointer's object.
    /// Default: `true`.
    ///
    /// The readers of AWS's Java, Python and Go libraries skip these members. Without a digest a payload can be
    /// verified by its length only. With `false`, pointers equal those of AWS's Java library to the byte.
    pub fn pointer_extras(mut self, on: bool) -> Self {
        self.extras = on;
        self
    }

    /// Authenticates pointers that are sent, and follows only authenticated ones, for fetching and for deleting.
    /// Default: no authentication. Without keys, an untrusted sender can name any payload under the prefix.
    ///
    /// It requires [pointer extras](Self::pointer_extras).
    pub fn pointer_keys(mut self, keys: PointerKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets how payloads are compressed and encrypted. Default: neither.
    ///
    /// A client with its own [codec](crate::ExtendedClientBuilder::codec) uses that instead.
    /// [`PayloadStore::open`] always uses this one.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Limits the length of a payload that is accepted on receive, in bytes before and after decompression. Default: no
    /// limit. Range: any.
    ///
    /// A compressed payload never exceeds the length that its message states. But an untrusted sender can state any length.
    pub fn max_payload(mut self, bytes: u64) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// Sets the digest that payloads are sent with. Default: BLAKE3.
    pub fn digest(mut self, algorithm: DigestAlgorithm) -> Self {
        self.upload.digest = algorithm;
        self
    }

    /// Sets the attributes of every object: content type, cache control, metadata, and so on. Default: none.
    ///
    /// The content type is written into the pointer as well. A store without such attributes refuses the payload, and
    /// sending returns that error.
    pub fn object_attributes(mut self, attributes: Attributes) -> Self {
        self.upload.attributes = attributes;
        self
    }

    /// Sets the tags of every object. Default: none.
    ///
    /// S3 and Azure have tags. `DynamoDbStore` refuses the payload, as it does with attributes. Most other stores, Google Cloud
    /// Storage among them, drop the tags.
    pub fn object_tags(mut self, tags: TagSet) -> Self {
        self.upload.tags = tags;
        self
    }

    /// Sets when the payload of an acknowledged message is deleted. Default: [`Deletion::default`], which deletes it with the
    /// message.
    pub fn deletion(mut self, deletion: Deletion) -> Self {
        self.deletion = deletion;
        self
    }

    /// Sets the source of the ids that follow the prefix in the keys of new payloads. Default: random UUIDs.
    ///
    /// No two payloads may have the same id. An id may contain slashes, for example to begin with the date. An id of up to 64
    /// bytes always fits. The key, which is the prefix and the id, has up to 1,024 bytes.
    pub fn key_ids(mut self, new_id: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.new_id = Arc::new(new_id);
        self
    }

    /// Builds the payload store.
    ///
    /// # Errors
    ///
    /// A setting is out of its range.
    pub fn build(self) -> Result<PayloadStore, Error> {
        self.check_transfers()?;
        let content_type = self.upload.attributes.get(&Attribute::ContentType);
        if content_type.is_some_and(|value| value.len() > MAX_CONTENT_TYPE_BYTES) {
            return Err(Error::invalid("the content type is longer than 255 bytes"));
        }
        if self.keys.is_some() && !self.extras {
            return Err(Error::invalid(
                "pointer keys require pointer extras; enable `pointer_extras`",
            ));
        }
        Ok(PayloadStore(Arc::new(Inner {
            location: Location::new(self.bucket, self.prefix)?.with_empty_segments(EmptySegments::detect(&*self.store)),
            store: self.store,
            #[cfg(feature = "s3")]
            s3: self.s3,
            multipart: self.multipart,
            attribute: self.attribute,
            extras: self.extras,
            keys: self.keys,
            codec: self.codec,
            max_payload: self.max_payload,
            upload: self.upload,
            download: self.download,
            resources: Resources::new(self.transfer_memory, self.pressure.unwrap_or_default()),
            deletion: self.deletion,
            deleter: Deleter::default(),
            new_id: self.new_id,
            background: TaskTracker::new(),
            #[cfg(feature = "s3")]
            credentials: self.credentials,
        })))
    }
}

impl fmt::Debug for PayloadStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store, whose settings contain credentials.
        f.debug_struct("PayloadStoreBuilder")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("upload", &self.upload)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn defaults_are_in_range_and_other_values_are_refused() {
        let builder = || PayloadStore::builder(InMemory::new(), "bucket");
        assert!(builder().build().is_ok());
        for wrong in [builder().prefix("../"), PayloadStore::builder(InMemory::new(), "")] {
            assert!(wrong.build().is_err());
        }
    }

    #[test]
    fn a_shared_object_store_is_accepted() {
        let shared: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        assert!(PayloadStore::builder(shared, "bucket").build().is_ok());
    }
}
