//! The client and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{Attributes, ObjectStore, ObjectStoreExt, TagSet};
use sqs_client::limits;
use tokio_util::task::TaskTracker;

use crate::digest::DigestAlgorithm;
use crate::envelope::ReservedAttribute;
use crate::error::{Error, is_missing_object};
use crate::offload::location::Location;
use crate::offload::plan::{MAX_PART_SIZE, MIN_PART_SIZE};
use crate::offload::upload::UploadSettings;
use crate::payload::Payload;
use crate::policy::Policy;
use crate::receive::ReceiveRequest;
use crate::send::SendRequest;

/// The threshold unless [set](ExtendedClientBuilder::threshold): 262,144 bytes, as in AWS's libraries.
pub const DEFAULT_THRESHOLD: usize = 262_144;

/// The size of parts unless [set](ExtendedClientBuilder::part_size): 8 MiB, enough for payloads of 78 GiB.
pub const DEFAULT_PART_SIZE: u64 = 8 * 1024 * 1024;

/// How many parts are in flight unless [set](ExtendedClientBuilder::concurrency).
pub const DEFAULT_CONCURRENCY: usize = 8;

/// The visibility timeout unless [set](ExtendedClientBuilder::visibility_timeout): 5 minutes.
pub const DEFAULT_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(300);

/// The largest payload that is given as one piece unless [set](ExtendedClientBuilder::max_in_memory): 64 MiB.
pub const DEFAULT_MAX_IN_MEMORY: usize = 64 * 1024 * 1024;

/// Sends and receives messages of any size: small ones through the queue alone, large ones through an object store,
/// with a pointer to them in the queue.
///
/// Cheap to clone; clones share everything.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use object_store::memory::InMemory;
/// use sqs_extended::ExtendedClient;
///
/// let extended = ExtendedClient::builder(sqs_client::Client::from_env()?)
///     .offload_to(InMemory::new(), "my-bucket")
///     .prefix("payloads/")
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ExtendedClient(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) client: sqs_client::Client,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) location: Location,
    pub(crate) policy: Policy,
    pub(crate) upload: UploadSettings,
    pub(crate) visibility_timeout: Duration,
    pub(crate) max_in_memory: usize,
    pub(crate) new_id: NewId,
    /// The aborts of uploads that were broken off.
    pub(crate) aborts: TaskTracker,
}

/// Where the ids of new payloads come from, so that a simulation can seed it.
pub(crate) type NewId = Arc<dyn Fn() -> String + Send + Sync>;

impl ExtendedClient {
    /// Begins to configure a client on top of `client`.
    pub fn builder(client: sqs_client::Client) -> ExtendedClientBuilder {
        ExtendedClientBuilder {
            client,
            store: None,
            bucket: String::new(),
            prefix: String::new(),
            policy: Policy {
                threshold: DEFAULT_THRESHOLD,
                attribute: ReservedAttribute::default(),
                extras: true,
            },
            upload: UploadSettings {
                part_size: DEFAULT_PART_SIZE,
                concurrency: DEFAULT_CONCURRENCY,
                digest: DigestAlgorithm::default(),
                attributes: Attributes::new(),
                tags: TagSet::default(),
            },
            visibility_timeout: DEFAULT_VISIBILITY_TIMEOUT,
            max_in_memory: DEFAULT_MAX_IN_MEMORY,
            new_id: Arc::new(|| uuid::Uuid::new_v4().to_string()),
        }
    }

    /// The queue's client underneath, for what this layer does not change: queues, their attributes, and so on.
    #[must_use]
    pub fn client(&self) -> &sqs_client::Client {
        &self.0.client
    }

    /// Sends a message with this payload; see [`SendRequest`].
    pub fn send(&self, queue_url: impl Into<String>, payload: impl Into<Payload>) -> SendRequest {
        SendRequest::new(self.clone(), queue_url.into(), payload.into())
    }

    /// Receives messages; see [`ReceiveRequest`].
    pub fn receive(&self, queue_url: impl Into<String>) -> ReceiveRequest {
        ReceiveRequest::new(self.clone(), queue_url.into())
    }

    /// Waits until the aborts are done that dropped sends have asked the store for: call it before the process ends, so
    /// that no parts of unfinished uploads are left behind. Sends that are still under way are not waited for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn settled(&self) {
        // A tracker has to be closed to be waited for; it takes further tasks all the same.
        self.0.aborts.close();
        self.0.aborts.wait().await;
    }

    /// Deletes a stored payload. One that is gone already is as good as deleted.
    pub(crate) async fn delete_payload(&self, key: &Path) -> object_store::Result<()> {
        match self.0.store.delete(key).await {
            Err(error) if is_missing_object(&error) => Ok(()),
            other => other,
        }
    }
}

impl fmt::Debug for ExtendedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store: its settings hold its credentials.
        f.debug_struct("ExtendedClient")
            .field("client", &self.0.client)
            .field("location", &self.0.location)
            .field("policy", &self.0.policy)
            .field("upload", &self.0.upload)
            .field("visibility_timeout", &self.0.visibility_timeout)
            .field("max_in_memory", &self.0.max_in_memory)
            .finish_non_exhaustive()
    }
}

/// The settings of an [`ExtendedClient`]; the only one without a default is [`offload_to`](Self::offload_to).
#[must_use = "nothing happens before `build`"]
pub struct ExtendedClientBuilder {
    client: sqs_client::Client,
    store: Option<Arc<dyn ObjectStore>>,
    bucket: String,
    prefix: String,
    policy: Policy,
    upload: UploadSettings,
    visibility_timeout: Duration,
    max_in_memory: usize,
    new_id: NewId,
}

impl ExtendedClientBuilder {
    /// Where large payloads go. `store` is rooted at the bucket, as object stores are; `bucket` is the name that is
    /// written into pointers. Payloads are fetched and deleted only if their pointer names the same bucket.
    ///
    /// An `Arc<dyn ObjectStore>` is an [`ObjectStore`] too.
    ///
    /// An upload that is cut off by a crash leaves parts behind, which cost and which no listing of objects shows: give
    /// the bucket a lifecycle rule with `AbortIncompleteMultipartUpload`.
    pub fn offload_to(mut self, store: impl ObjectStore, bucket: impl Into<String>) -> Self {
        self.store = Some(Arc::new(store));
        self.bucket = bucket.into();
        self
    }

    /// What the keys of our payloads start with, such as `payloads/`; nothing by default. Payloads are fetched and
    /// deleted only under it. Whoever may send to the queue can name any object under it, so let nothing else live
    /// there.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The size up to which a message travels inline, in bytes as SQS counts them: body and attributes. At most
    /// 1,048,576, SQS's own limit, which a queue or a compatible server may have set lower; [`DEFAULT_THRESHOLD`] unless
    /// set. With 0, everything is offloaded.
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.policy.threshold = bytes;
        self
    }

    /// The size of an upload's parts, from 5 MiB to 5 GiB (S3's limits); [`DEFAULT_PART_SIZE`] unless set. A payload
    /// that fits into one part is stored by a single request.
    ///
    /// An upload has at most 10,000 parts. A payload whose length is known takes larger parts if need be; one of
    /// unknown length can be 10,000 times this long, and fails beyond that.
    ///
    /// An upload holds this size × ([`concurrency`](Self::concurrency) + 1) in memory, however long the payload is, as
    /// long as the parts need not be so large that a single one is more.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.upload.part_size = bytes;
        self
    }

    /// How many parts of one upload are on their way at a time; [`DEFAULT_CONCURRENCY`] unless set.
    pub fn concurrency(mut self, parts: usize) -> Self {
        self.upload.concurrency = parts;
        self
    }

    /// The message attribute that marks our pointers; see [`ReservedAttribute`] for the default. On receive, both are
    /// understood, and both are hidden.
    pub fn reserved_attribute(mut self, attribute: ReservedAttribute) -> Self {
        self.policy.attribute = attribute;
        self
    }

    /// Whether pointers carry the payload's length and digest, as further members of the pointer's object. On by
    /// default: the readers of AWS's Java, Python and Go libraries skip them, and without a digest a payload can be
    /// verified by its length only. Off, pointers are to the byte what AWS's Java library writes.
    pub fn pointer_extras(mut self, on: bool) -> Self {
        self.policy.extras = on;
        self
    }

    /// The digest that payloads are sent with; BLAKE3 unless set.
    pub fn digest(mut self, algorithm: DigestAlgorithm) -> Self {
        self.upload.digest = algorithm;
        self
    }

    /// How long received messages are hidden from other consumers, unless a receive says otherwise; up to 12 hours,
    /// [`DEFAULT_VISIBILITY_TIMEOUT`] unless set.
    ///
    /// It counts from before the receive is sent, so that it should be longer than the wait time: with one that is not,
    /// a payload is always left to the sweep.
    ///
    /// It is sent with every receive, in place of the queue's own setting, because a payload may be deleted only while
    /// its message is known to be ours. The default is longer than SQS's 30 seconds as large payloads take their time;
    /// for still larger ones, set it or call [`Delivery::extend`](crate::Delivery::extend) now and then.
    pub fn visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility_timeout = timeout;
        self
    }

    /// The largest payload that [`Delivery::bytes`](crate::Delivery::bytes) and [`text`](crate::Delivery::text) put
    /// into memory; [`DEFAULT_MAX_IN_MEMORY`] unless set. There is no limit for what is streamed.
    pub fn max_in_memory(mut self, bytes: usize) -> Self {
        self.max_in_memory = bytes;
        self
    }

    #[cfg(test)]
    pub(crate) fn new_id(mut self, new_id: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.new_id = Arc::new(new_id);
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// No store was given, or a setting is out of its range.
    pub fn build(self) -> Result<ExtendedClient, Error> {
        let Some(store) = self.store else {
            return Err(Error::invalid("no object store to offload to; call `offload_to`"));
        };
        if self.policy.threshold > limits::MAX_MESSAGE_BYTES {
            return Err(out_of_range(
                "threshold",
                format_args!("at most {} bytes", limits::MAX_MESSAGE_BYTES),
            ));
        }
        if !(MIN_PART_SIZE..=MAX_PART_SIZE).contains(&self.upload.part_size) {
            let range = format_args!("{MIN_PART_SIZE} to {MAX_PART_SIZE} bytes");
            return Err(out_of_range("part size", range));
        }
        if self.upload.concurrency == 0 {
            return Err(out_of_range("concurrency", format_args!("at least 1")));
        }
        if self.visibility_timeout > limits::MAX_VISIBILITY_TIMEOUT {
            return Err(out_of_range("visibility timeout", format_args!("at most 12 hours")));
        }
        Ok(ExtendedClient(Arc::new(Inner {
            client: self.client,
            store,
            location: Location::new(self.bucket, self.prefix)?,
            policy: self.policy,
            upload: self.upload,
            visibility_timeout: self.visibility_timeout,
            max_in_memory: self.max_in_memory,
            new_id: self.new_id,
            aborts: TaskTracker::new(),
        })))
    }
}

impl fmt::Debug for ExtendedClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtendedClientBuilder")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("policy", &self.policy)
            .field("upload", &self.upload)
            .finish_non_exhaustive()
    }
}

fn out_of_range(setting: &str, range: fmt::Arguments<'_>) -> Error {
    Error::invalid(format!("the {setting} is out of range: {range}"))
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::testing::{TestStore, extended};

    fn builder() -> ExtendedClientBuilder {
        let client = extended(&TestStore::default()).client().clone();
        ExtendedClient::builder(client).offload_to(InMemory::new(), "bucket")
    }

    #[test]
    fn the_defaults_are_in_range_and_what_is_not_is_refused() {
        assert!(builder().build().is_ok());
        assert!(builder().threshold(0).build().is_ok());
        assert!(builder().part_size(MAX_PART_SIZE).build().is_ok());
        let without_store = ExtendedClient::builder(builder().client);
        for wrong in [
            without_store,
            builder().threshold(limits::MAX_MESSAGE_BYTES + 1),
            builder().part_size(MIN_PART_SIZE - 1),
            builder().part_size(MAX_PART_SIZE + 1),
            builder().concurrency(0),
            builder().visibility_timeout(Duration::from_secs(43_201)),
            builder().prefix("../"),
            builder().offload_to(InMemory::new(), ""),
        ] {
            assert!(wrong.build().is_err());
        }
    }

    #[test]
    fn a_shared_store_is_a_store_too() {
        let shared: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        assert!(builder().offload_to(shared, "bucket").build().is_ok());
    }
}
