//! The payload store and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::codec::Codec;
use crate::error::Error;
use crate::payload::digest::DigestAlgorithm;
use crate::payload_store::deletion::{Deleter, Deletion};
use crate::payload_store::location::Location;
use crate::pointer::{PointerKeys, ReservedAttribute};
#[cfg(feature = "s3")]
use crate::stores::SharedCredentials;
use crate::sweep::Sweep;
use crate::transfer::Resources;
use crate::transfer::download::DownloadSettings;
use crate::transfer::upload::UploadSettings;

/// An object store for payloads, with the bucket and the key prefix that they use and the settings to write and read them.
///
/// Clones are cheap and share everything.
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
    /// The same store, for operations that only S3 has.
    #[cfg(feature = "s3")]
    pub(super) s3: Option<(object_store::aws::AmazonS3, crate::stores::StoreConnector)>,
    /// The same store, for uploads that another process continues. They have the same checksums as other uploads.
    pub(super) multipart: Option<Arc<dyn object_store::multipart::MultipartStore>>,
    pub(super) location: Location,
    pub(super) attribute: ReservedAttribute,
    pub(super) extras: bool,
    pub(super) keys: Option<PointerKeys>,
    pub(super) codec: Option<Codec>,
    pub(super) upload: UploadSettings,
    pub(super) download: DownloadSettings,
    pub(super) resources: Resources,
    pub(super) max_payload: Option<u64>,
    pub(super) deletion: Deletion,
    pub(super) deleter: Deleter,
    pub(super) new_id: NewId,
    /// Background tasks: deletions, and the aborts of unfinished uploads.
    pub(super) background: TaskTracker,
    #[cfg(feature = "s3")]
    pub(super) credentials: Option<SharedCredentials>,
}

/// The source of the ids of new payloads.
pub(crate) type NewId = Arc<dyn Fn() -> String + Send + Sync>;

/// Returns a random UUID, which an untrusted sender cannot guess.
pub(crate) fn unguessable_id() -> String {
    Uuid::new_v4().to_string()
}

impl PayloadStore {
    /// Uses this client's credentials if the store has none of its own.
    #[cfg(feature = "s3")]
    pub(crate) fn use_client(&self, client: &sqs_client::Client) {
        if let Some(credentials) = &self.0.credentials {
            credentials.use_client(client);
        }
    }

    /// Creates a [`Sweep`] that removes payloads older than `older_than`. No message may point to a payload of that age.
    ///
    /// It finds [unfinished uploads](Sweep::unfinished_uploads) if [`from_url`](Self::from_url) opened the store with an
    /// `s3:` URL.
    ///
    /// # Errors
    ///
    /// Fails as [`Sweep::new`] does.
    pub fn sweep(&self, older_than: Duration) -> Result<Sweep, Error> {
        let sweep = Sweep::new(Arc::clone(&self.0.store), self.0.location.prefix(), older_than)?;
        #[cfg(feature = "s3")]
        let sweep = sweep.with_s3(self.0.s3.clone());
        Ok(sweep)
    }

    /// Returns the message attribute that marks pointers.
    pub(crate) fn attribute(&self) -> ReservedAttribute {
        self.0.attribute
    }

    /// Returns the keys that authenticate pointers. Callers sign and verify, because only they know the queue.
    pub(crate) fn pointer_keys(&self) -> Option<&PointerKeys> {
        self.0.keys.as_ref()
    }

    /// Returns the algorithm of the digests in pointers.
    pub(crate) fn digest_algorithm(&self) -> DigestAlgorithm {
        self.0.upload.digest
    }

    /// Returns the codec if one is set.
    pub(crate) fn codec(&self) -> Option<&Codec> {
        self.0.codec.as_ref()
    }

    /// Returns `true` if the store has an object of this key.
    #[cfg(feature = "testing")]
    pub(crate) async fn has(&self, key: &str) -> bool {
        let Ok(key) = object_store::path::Path::parse(key) else {
            return false;
        };
        let found = crate::transfer::lookup::find(&self.0.store, &key).await;
        matches!(found, Ok(Some(_)))
    }

    /// Waits until all background work is done: deletions, including [delayed](crate::store::Deletion::After) ones, and the
    /// aborts of unfinished uploads.
    ///
    /// Call it before the process exits, so that no parts of unfinished uploads stay in the store. Those of
    /// [resumable](crate::ExtendedMessage::resumable_upload) uploads stay on purpose. It does not wait for uploads in flight.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&self) {
        // Only a closed tracker can be waited for. It still accepts tasks.
        self.0.background.close();
        self.0.background.wait().await;
    }
}

impl fmt::Debug for PayloadStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store, whose settings contain credentials.
        f.debug_struct("PayloadStore")
            .field("location", &self.0.location)
            .field("attribute", &self.0.attribute)
            .field("extras", &self.0.extras)
            .field("upload", &self.0.upload)
            .field("deletion", &self.0.deletion)
            .finish_non_exhaustive()
    }
}
