//! Removes what no message can point to any more.

mod report;
#[cfg(feature = "s3")]
mod uploads;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload};
use uuid::Uuid;

use crate::error::Error;
use crate::stores::OpenedStore;
#[cfg(feature = "s3")]
use crate::stores::SharedCredentials;
use crate::transfer::delete::{BATCH, delete_all};
use crate::transfer::lookup::find;

pub use report::{SweepCount, SweepEvent, SweepReport, SweepUploads, UnfinishedUpload};

/// How many objects are looked at again at a time before they are removed.
const LOOKS: usize = 16;

/// Finds and removes the payloads under a prefix that are older than any message: those of messages that expired, that
/// were deleted by somebody else, or that were never sent because a process ended between upload and send.
///
/// An object's age is known by nothing but the store: when it was stored, and what time it is. The latter, too, is the
/// store's word, so that a wrong clock here costs no payload: the sweep puts an object of one byte under the prefix, reads
/// when that was stored, and removes it. Even a dry run must therefore be allowed to write.
///
/// The age must be more than any message of the queue lives, dead-letter queues counted:
/// [`DEFAULT_AGE`](crate::sweep::Sweep::DEFAULT_AGE) where that is unknown. A message that is redriven from a
/// dead-letter queue, or sent anew with the same pointer, starts another retention period. The age must in any case be
/// longer than the longest upload plus the message's delay: S3 dates an object that was uploaded in parts from the
/// beginning of the upload. With less, a sweep removes payloads whose message is about to be sent.
///
/// Each object is looked at again right before it is removed, and stays if another one was stored under its key since it
/// was listed. These are two requests, so an object that is stored in the moment between them is removed.
///
/// On S3 a sweep needs `s3:ListBucket`, `s3:GetObject`, `s3:PutObject` and `s3:DeleteObject`.
///
/// Whatever is under the prefix is taken for a payload: no more than one kind of thing may be kept there. Outside the
/// prefix nothing is read or removed.
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
    uploads: Option<uploads::S3Uploads>,
    #[cfg(feature = "s3")]
    credentials: Option<SharedCredentials>,
}

impl Sweep {
    /// The age from which a payload cannot be needed where nothing is known of its queue: 14 days, the longest that SQS
    /// retains a message, in the queue, and as long again in its dead-letter queue.
    pub const DEFAULT_AGE: Duration = Duration::from_secs(28 * 24 * 60 * 60);

    /// A sweep of the objects in `store` whose keys begin with `prefix`, of all where that is empty.
    ///
    /// # Errors
    ///
    /// The prefix is none of plain keys.
    pub fn new(store: impl ObjectStore, prefix: impl Into<String>, older_than: Duration) -> Result<Self, Error> {
        Self::of(Arc::new(store), prefix.into(), older_than)
    }

    /// A sweep of the place that a store's URL names.
    ///
    /// # Errors
    ///
    /// The URL names no store, or its options cannot work.
    pub fn from_url(url: &str, older_than: Duration) -> Result<Self, Error> {
        let opened = OpenedStore::open(url)?;
        let sweep = Self::of(opened.store, opened.prefix, older_than)?;
        #[cfg(feature = "s3")]
        let sweep = Self {
            credentials: opened.credentials,
            ..sweep.with_s3(opened.s3)
        };
        Ok(sweep)
    }

    /// Enables unfinished uploads if the store is an S3.
    #[cfg(feature = "s3")]
    pub(crate) fn with_s3(self, s3: Option<(object_store::aws::AmazonS3, crate::stores::StoreConnector)>) -> Self {
        Self {
            uploads: s3.map(|(s3, connector)| uploads::S3Uploads::new(s3, connector)),
            ..self
        }
    }

    /// As [`new`](Self::new), and able to find [unfinished uploads](Self::unfinished_uploads).
    ///
    /// # Errors
    ///
    /// As `new`.
    #[cfg(feature = "s3")]
    pub fn s3(
        store: object_store::aws::AmazonS3,
        prefix: impl Into<String>,
        older_than: Duration,
    ) -> Result<Self, Error> {
        let sweep = Self::new(store.clone(), prefix, older_than)?;
        Ok(sweep.with_s3(Some((store, crate::stores::StoreConnector::new()))))
    }

    /// Signs with this client's credentials, where the sweep was made by an `s3:` URL that names none. Default: those of
    /// [`DefaultCredentials`](sqs_client::credentials::DefaultCredentials).
    #[cfg(feature = "s3")]
    pub fn credentials_from(self, client: &sqs_client::Client) -> Self {
        if let Some(credentials) = &self.credentials {
            credentials.use_client(client);
        }
        self
    }

    fn of(store: Arc<dyn ObjectStore>, prefix: String, older_than: Duration) -> Result<Self, Error> {
        let sweep = Self {
            store,
            prefix,
            older_than,
            keep: Box::new(|_| false),
            on_event: Box::new(|_| {}),
            unfinished_uploads: false,
            #[cfg(feature = "s3")]
            uploads: None,
            #[cfg(feature = "s3")]
            credentials: None,
        };
        sweep.key("x").map(|_| sweep)
    }

    /// Keeps what this is true of, however old.
    pub fn keep(mut self, keep: impl Fn(&ObjectMeta) -> bool + Send + Sync + 'static) -> Self {
        self.keep = Box::new(keep);
        self
    }

    /// Finds and removes also uploads in parts that were begun so long ago, and neither completed nor aborted. One that is
    /// still under way then fails, so the age must be longer than the longest upload. The keys that may list and abort
    /// them need `s3:ListBucketMultipartUploads` and `s3:AbortMultipartUpload`.
    ///
    /// Only S3 is asked, and only where the sweep was made by [`from_url`](Self::from_url), by `Sweep::s3`, or by
    /// [`PayloadStore::sweep`](crate::PayloadStore::sweep) of a store that was opened by URL: with another store, [`dry_run`](Self::dry_run) and [`remove`](Self::remove) fail before they do anything. A
    /// lifecycle rule of the bucket with `AbortIncompleteMultipartUpload` does the same without a sweep. MinIO lists
    /// those uploads only that were begun at the node that is asked since it was started, and by itself removes what is
    /// a day old.
    pub fn unfinished_uploads(mut self, unfinished_uploads: bool) -> Self {
        self.unfinished_uploads = unfinished_uploads;
        self
    }

    /// Is told of everything as it happens, for progress bars and logs. It must not block.
    pub fn on_event(mut self, on_event: impl Fn(&SweepEvent<'_>) + Send + Sync + 'static) -> Self {
        self.on_event = Box::new(on_event);
        self
    }

    /// Finds what [`remove`](Self::remove) would remove, and removes nothing.
    ///
    /// # Errors
    ///
    /// The store cannot be written to, or not be listed.
    ///
    /// # Cancel safety
    ///
    /// Safe at any time. The object that asks for the store's time may be left for the next sweep.
    pub async fn dry_run(&self) -> Result<SweepReport, Error> {
        self.run(false).await
    }

    /// Removes what is old. Objects that cannot be removed are counted, and do not end it.
    ///
    /// # Errors
    ///
    /// The store cannot be written to, or not be listed; what was removed until then stays removed.
    ///
    /// # Cancel safety
    ///
    /// Safe at any time: the next sweep goes on. The object that asks for the store's time may be left for it.
    pub async fn remove(&self) -> Result<SweepReport, Error> {
        self.run(true).await
    }

    async fn run(&self, remove: bool) -> Result<SweepReport, Error> {
        self.check_uploads()?;
        let probe = self.key(&format!("sweep-{}", Uuid::new_v4()))?;
        let limit = self.now(&probe).await?.checked_sub(self.older_than);
        let is_old = |object: &ObjectMeta| limit.is_some_and(|limit| SystemTime::from(object.last_modified) <= limit);

        let mut report = SweepReport::default();
        let mut batch = Vec::new();
        let mut objects = self.store.list(self.folder()?.as_ref());
        let unlisted = |error| Error::store("the prefix could not be listed", error);
        while let Some(object) = objects.try_next().await.map_err(unlisted)? {
            if !object.location.as_ref().starts_with(&self.prefix) || object.location == probe {
                continue;
            }
            report.seen.add(object.size);
            (self.on_event)(&SweepEvent::Seen(&object));
            if !is_old(&object) || (self.keep)(&object) {
                continue;
            }
            report.old.add(object.size);
            (self.on_event)(&SweepEvent::Old(&object));
            if remove {
                batch.push(object);
            }
            if batch.len() >= BATCH {
                self.remove_batch(std::mem::take(&mut batch), &mut report).await;
            }
        }
        self.remove_batch(batch, &mut report).await;
        #[cfg(feature = "s3")]
        if let (true, Some(uploads), Some(limit)) = (self.unfinished_uploads, &self.uploads, limit) {
            report.uploads = self.sweep_uploads(uploads, limit, remove).await?;
        }
        Ok(report)
    }

    /// That unfinished uploads can be found, if they are to be.
    fn check_uploads(&self) -> Result<(), Error> {
        #[cfg(feature = "s3")]
        if self.uploads.is_some() {
            return Ok(());
        }
        if self.unfinished_uploads {
            return Err(Error::invalid(
                "unfinished uploads can be found in S3 only, by a sweep or a payload store that was made by URL or by `Sweep::s3`",
            ));
        }
        Ok(())
    }

    #[cfg(feature = "s3")]
    async fn sweep_uploads(
        &self,
        uploads: &uploads::S3Uploads,
        limit: SystemTime,
        remove: bool,
    ) -> Result<SweepUploads, Error> {
        let mut report = SweepUploads::default();
        let mut after = Some(uploads::Marker::default());
        while let Some(marker) = after {
            let unlisted = |error| Error::store("unfinished uploads could not be listed", error);
            let page = uploads.list(&self.prefix, &marker).await.map_err(unlisted)?;
            after = page.next;
            for upload in page
                .uploads
                .iter()
                .filter(|upload| upload.key.starts_with(&self.prefix))
            {
                report.seen += 1;
                if upload.initiated > limit {
                    continue;
                }
                report.old += 1;
                (self.on_event)(&SweepEvent::OldUpload(upload));
                if !remove {
                    continue;
                }
                match uploads.abort(upload).await {
                    Ok(()) => {
                        report.removed += 1;
                        (self.on_event)(&SweepEvent::RemovedUpload(upload));
                    }
                    Err(error) => {
                        report.failed += 1;
                        (self.on_event)(&SweepEvent::Failed(&error));
                    }
                }
            }
        }
        Ok(report)
    }

    /// Removes those objects of a listing that are still what their keys hold.
    async fn remove_batch(&self, batch: Vec<ObjectMeta>, report: &mut SweepReport) {
        let looks = stream::iter(batch).map(|listed| self.look_again(listed));
        let looked: Vec<_> = looks.buffered(LOOKS).collect().await;
        let mut old = Vec::with_capacity(looked.len());
        for looked in looked {
            match looked {
                Ok(object) => old.extend(object),
                Err(error) => self.failed(&error, report),
            }
        }
        let keys: Vec<_> = old.iter().map(|object| object.location.clone()).collect();
        for (object, removed) in old.iter().zip(delete_all(&self.store, &keys).await) {
            match removed {
                Ok(()) => {
                    report.removed.add(object.size);
                    (self.on_event)(&SweepEvent::Removed(&object.location, object.size));
                }
                Err(error) => self.failed(&error, report),
            }
        }
    }

    fn failed(&self, error: &object_store::Error, report: &mut SweepReport) {
        report.failed += 1;
        (self.on_event)(&SweepEvent::Failed(error));
    }

    /// Returns the object if its key still holds it; `None` if it is gone, or another one was stored.
    async fn look_again(&self, listed: ObjectMeta) -> object_store::Result<Option<ObjectMeta>> {
        let now = find(&*self.store, &listed.location).await?;
        Ok(now.filter(|now| is_as_listed(&listed, now)).map(|_| listed))
    }

    /// The store's time.
    async fn now(&self, probe: &Path) -> Result<SystemTime, Error> {
        let failed = |error| Error::store("the store could not be asked for its time by an object", error);
        // Some stores refuse empty objects.
        self.store
            .put(probe, PutPayload::from_static(b"."))
            .await
            .map_err(failed)?;
        let stored = self.store.head(probe).await;
        for removed in delete_all(&self.store, std::slice::from_ref(probe)).await {
            if let Err(error) = removed {
                tracing::warn!(key = %probe, %error, "the object that asked for the store's time is left");
            }
        }
        Ok(stored.map_err(failed)?.last_modified.into())
    }

    /// A key under the prefix.
    fn key(&self, name: &str) -> Result<Path, Error> {
        let key = format!("{}{name}", self.prefix);
        match Path::parse(&key) {
            Ok(path) if path.as_ref() == key => Ok(path),
            _ => Err(Error::invalid(
                "the prefix starts with a slash, or has empty or dot segments",
            )),
        }
    }

    /// The innermost folder that has all of the prefix's keys in it, which is how stores list.
    fn folder(&self) -> Result<Option<Path>, Error> {
        match self.prefix.rsplit_once('/') {
            None => Ok(None),
            Some((folder, _)) => Path::parse(folder)
                .map(Some)
                .map_err(|_| Error::invalid("the prefix is no path")),
        }
    }
}

/// Returns `true` if an object is the one that was listed. Listings tell fractions of seconds, which responses about an
/// object do not, and leave quotes, or ETags, out.
fn is_as_listed(listed: &ObjectMeta, now: &ObjectMeta) -> bool {
    let bare = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_owned();
    let tags = listed.e_tag.as_deref().map(bare).zip(now.e_tag.as_deref().map(bare));
    let seconds = listed.last_modified.timestamp().abs_diff(now.last_modified.timestamp());
    tags.is_none_or(|(listed, now)| listed == now) && listed.size == now.size && seconds <= 1
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
