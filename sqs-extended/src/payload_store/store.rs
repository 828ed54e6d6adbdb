//! The store itself: what all of its uses share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tokio_util::task::TaskTracker;

use crate::codec::Codec;
use crate::error::Error;
use crate::payload::digest::DigestAlgorithm;
use crate::payload_store::deletion::{Deleter, Deletion};
use crate::payload_store::location::Location;
use crate::pointer::{PointerKeys, ReservedAttribute};
#[cfg(feature = "s3")]
use crate::stores::SharedCredentials;
use crate::sweep::Sweep;
use crate::transfer::download::DownloadSettings;
use crate::transfer::upload::UploadSettings;

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
pub struct PayloadStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The store once more, for what only S3 can do.
    #[cfg(feature = "s3")]
    pub(super) s3: Option<(object_store::aws::AmazonS3, crate::stores::StoreConnector)>,
    pub(super) location: Location,
    pub(super) attribute: ReservedAttribute,
    pub(super) extras: bool,
    pub(super) keys: Option<PointerKeys>,
    pub(super) codec: Option<Codec>,
    pub(super) upload: UploadSettings,
    pub(super) download: DownloadSettings,
    pub(super) max_payload: Option<u64>,
    pub(super) deletion: Deletion,
    pub(super) deleter: Deleter,
    pub(super) new_id: NewId,
    /// What goes on in the background: the aborts of uploads that were broken off, and deletions.
    pub(super) background: TaskTracker,
    #[cfg(feature = "s3")]
    pub(super) credentials: Option<SharedCredentials>,
}

/// Where the ids of new payloads come from, so that a simulation can seed it.
pub(crate) type NewId = Arc<dyn Fn() -> String + Send + Sync>;

impl PayloadStore {
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

    /// The keys that authenticate pointers. Signing and verifying is for who knows the queue.
    pub(crate) fn pointer_keys(&self) -> Option<&PointerKeys> {
        self.0.keys.as_ref()
    }

    /// The digest that payloads are sent with.
    pub(crate) fn digest_algorithm(&self) -> DigestAlgorithm {
        self.0.upload.digest
    }

    /// How payloads are encoded, if that was set.
    pub(crate) fn codec(&self) -> Option<&Codec> {
        self.0.codec.as_ref()
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
