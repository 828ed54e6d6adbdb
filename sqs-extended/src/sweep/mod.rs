//! Removal of orphaned objects, to which no message points.

#[cfg(feature = "s3")]
mod objects;
mod report;
#[cfg(feature = "s3")]
mod requests;
mod run;
#[cfg(feature = "s3")]
mod uploads;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::error::Error;
use crate::stores::OpenedStore;
#[cfg(feature = "s3")]
use crate::stores::SharedCredentials;

pub use report::{SweepCount, SweepEvent, SweepReport, SweepUploads, UnfinishedUpload};

/// A sweep finds and removes orphaned payloads: objects under a prefix that are older than any message.
///
/// An orphan's message expired, was deleted by another program, or was never sent because a process ended between the
/// upload and the send.
///
/// # Age
///
/// The age must exceed the lifetime of every message of the queue, including its time in dead-letter queues. Use
/// [`DEFAULT_AGE`](crate::sweep::Sweep::DEFAULT_AGE) if that is unknown. The retention period starts anew if a message is
/// redriven from a dead-letter queue, or sent again with the same pointer.
///
/// The age must also exceed the longest upload plus the message's delay, because S3 dates a multipart object from the
/// beginning of its upload. With a lower age, a sweep removes payloads whose messages are about to be sent.
///
/// The current time comes from the store, so a wrong clock on this machine is harmless. The sweep stores an object of
/// one byte under the prefix, reads its time, and removes it. So even a dry run requires the permission to write. A store
/// that reports no times cannot be swept.
///
/// # Scope
///
/// The sweep treats every object under the prefix as a payload, so keep nothing but payloads there. It reads and removes
/// nothing outside the prefix.
///
/// Right before an object is removed, the sweep looks it up again. The object stays if another one was stored under its
/// key since the listing. An object stored between the lookup and the removal is removed.
///
/// Keys with empty segments, such as `p//k`, are swept on S3 if the sweep was created by a URL, with `Sweep::s3` or from a
/// payload store that was opened by URL. On other stores, the `object_store` crate cannot list them, and the sweep fails.
///
/// On S3, a sweep requires `s3:ListBucket`, `s3:GetObject`, `s3:PutObject` and `s3:DeleteObject`.
///
/// ```
/// use sqs_extended::sweep::{Sweep, SweepEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_extended::Error> {
/// let sweep = Sweep::from_url("memory:///payloads", Sweep::DEFAULT_AGE)?.on_event(|event| {
///     if let SweepEvent::Old(object) = event {
///         println!("{} of {}", object.location, object.last_modified);
///     }
/// });
/// let found = sweep.dry_run().await?;
/// assert_eq!(found.old.objects, 0);
/// let report = sweep.remove().await?;
/// println!("{} bytes freed, {} objects could not be removed", report.removed.bytes, report.failed);
/// # Ok(()) }
/// ```
#[must_use = "nothing is swept before `dry_run` or `remove`"]
pub struct Sweep {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    older_than: Duration,
    keep: Box<dyn Fn(&ObjectMeta) -> bool + Send + Sync>,
    on_event: Box<dyn Fn(&SweepEvent<'_>) + Send + Sync>,
    unfinished_uploads: bool,
    #[cfg(feature = "s3")]
    s3: Option<requests::S3Requests>,
    #[cfg(feature = "s3")]
    credentials: Option<SharedCredentials>,
}

impl Sweep {
    /// The age at which no message can point to a payload, whatever the queue's settings: 28 days. SQS retains a message
    /// for up to 14 days in the queue and for up to 14 days in its dead-letter queue.
    pub const DEFAULT_AGE: Duration = Duration::from_secs(28 * 24 * 60 * 60);

    /// Creates a sweep of the objects in `store` whose keys begin with `prefix`. An empty prefix covers all objects.
    ///
    /// # Errors
    ///
    /// Returns an error if the prefix starts with a slash or has empty or dot segments.
    pub fn new(store: impl ObjectStore, prefix: impl Into<String>, older_than: Duration) -> Result<Self, Error> {
        Self::with_store(Arc::new(store), prefix.into(), older_than)
    }

    /// Creates a sweep of the bucket and the prefix that a store's URL names. See
    /// [`PayloadStore::from_url`](crate::PayloadStore::from_url) for the URLs.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL names no store, or if an option is unknown or invalid.
    pub fn from_url(url: &str, older_than: Duration) -> Result<Self, Error> {
        let opened = OpenedStore::open(url)?;
        let sweep = Self::with_store(opened.store, opened.prefix, older_than)?;
        #[cfg(feature = "s3")]
        let sweep = Self {
            credentials: opened.credentials,
            ..sweep.with_s3(opened.s3)
        };
        Ok(sweep)
    }

    /// Enables the requests that only S3 supports.
    #[cfg(feature = "s3")]
    pub(crate) fn with_s3(self, s3: Option<(object_store::aws::AmazonS3, crate::stores::StoreConnector)>) -> Self {
        Self {
            s3: s3.map(|(s3, connector)| requests::S3Requests::new(s3, connector)),
            ..self
        }
    }

    /// Creates a sweep of an S3 store, which can also find [unfinished uploads](Self::unfinished_uploads).
    ///
    /// # Errors
    ///
    /// Fails as [`new`](Self::new) does.
    #[cfg(feature = "s3")]
    pub fn s3(
        store: object_store::aws::AmazonS3,
        prefix: impl Into<String>,
        older_than: Duration,
    ) -> Result<Self, Error> {
        let sweep = Self::new(store.clone(), prefix, older_than)?;
        Ok(sweep.with_s3(Some((store, crate::stores::StoreConnector::new()))))
    }

    /// Uses this client's credentials if the sweep was created from an `s3:` URL without credentials. Default: those of
    /// [`DefaultCredentials`](sqs_client::credentials::DefaultCredentials).
    #[cfg(feature = "s3")]
    pub fn credentials_from(self, client: &sqs_client::Client) -> Self {
        if let Some(credentials) = &self.credentials {
            credentials.use_client(client);
        }
        self
    }

    fn with_store(store: Arc<dyn ObjectStore>, prefix: String, older_than: Duration) -> Result<Self, Error> {
        let sweep = Self {
            store,
            prefix,
            older_than,
            keep: Box::new(|_| false),
            on_event: Box::new(|_| {}),
            unfinished_uploads: false,
            #[cfg(feature = "s3")]
            s3: None,
            #[cfg(feature = "s3")]
            credentials: None,
        };
        sweep.key("x").map(|_| sweep)
    }

    /// Keeps the objects for which `keep` returns `true`, whatever their age. Default: keeps none.
    pub fn keep(mut self, keep: impl Fn(&ObjectMeta) -> bool + Send + Sync + 'static) -> Self {
        self.keep = Box::new(keep);
        self
    }

    /// Sets whether to sweep multipart uploads too, if they reached the age and were neither completed nor aborted. Default:
    /// `false`.
    ///
    /// Removing an upload that is still in progress makes it fail, so the age must exceed the longest upload. The credentials
    /// require `s3:ListBucketMultipartUploads` and `s3:AbortMultipartUpload`.
    ///
    /// Only S3 is supported. Create the sweep with [`from_url`](Self::from_url), with `Sweep::s3`, or with
    /// [`PayloadStore::sweep`](crate::PayloadStore::sweep) of a store that was opened by URL. With any other store,
    /// [`dry_run`](Self::dry_run) and [`remove`](Self::remove) fail before they do anything.
    ///
    /// A lifecycle rule of the bucket with `AbortIncompleteMultipartUpload` does the same without a sweep. A node of
    /// MinIO lists only the uploads that were started on it since its own start, and removes uploads after a day.
    pub fn unfinished_uploads(mut self, unfinished_uploads: bool) -> Self {
        self.unfinished_uploads = unfinished_uploads;
        self
    }

    /// Calls `on_event` for each event, for progress bars and logs. It must not block. Default: none.
    pub fn on_event(mut self, on_event: impl Fn(&SweepEvent<'_>) + Send + Sync + 'static) -> Self {
        self.on_event = Box::new(on_event);
        self
    }

    /// Finds the objects that [`remove`](Self::remove) would remove, but removes nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be written to or listed, or if it does not support a setting.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time. The one-byte object may remain until it reaches the age of a later sweep.
    pub async fn dry_run(&self) -> Result<SweepReport, Error> {
        self.run(false).await
    }

    /// Removes the old objects. An object that cannot be removed is counted and does not end the sweep.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be written to or listed, or if it does not support a setting. Objects removed
    /// before the error stay removed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time, and the next sweep continues. The one-byte object may remain until it reaches
    /// the age of a later sweep.
    pub async fn remove(&self) -> Result<SweepReport, Error> {
        self.run(true).await
    }

    /// Returns a key under the prefix.
    fn key(&self, name: &str) -> Result<Path, Error> {
        let key = format!("{}{name}", self.prefix);
        match Path::parse(&key) {
            Ok(path) if path.as_ref() == key => Ok(path),
            _ => Err(Error::invalid(
                "the prefix starts with a slash or has empty or dot segments; write one such as payloads/",
            )),
        }
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("store", &format_args!("{}", self.store))
            .field("prefix", &self.prefix)
            .field("older_than", &self.older_than)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
