//! The steps of a sweep.

use std::time::SystemTime;

use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutPayload};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::sweep::Sweep;
#[cfg(feature = "s3")]
use crate::sweep::report::SweepUploads;
use crate::sweep::report::{SweepEvent, SweepReport};
#[cfg(feature = "s3")]
use crate::sweep::requests::S3Requests;
#[cfg(feature = "s3")]
use crate::sweep::uploads::Marker;
use crate::transfer::delete::{BATCH, delete_all};
use crate::transfer::lookup::find;

/// The failure to list keys such as `p//k`.
const UNLISTABLE: &str = "object_store cannot list a key with an empty segment; remove that object with another tool, or on \
                          S3 create the sweep by URL";

/// The number of concurrent lookups before objects are removed.
const LOOKUP_CONCURRENCY: usize = 16;

impl Sweep {
    pub(super) async fn run(&self, remove: bool) -> Result<SweepReport, Error> {
        self.check_uploads()?;
        let probe = self.key(&format!("sweep-{}", Uuid::new_v4()))?;
        let limit = self.now(&probe).await?.checked_sub(self.older_than);
        let is_old = |object: &ObjectMeta| limit.is_some_and(|limit| SystemTime::from(object.last_modified) <= limit);

        let mut report = SweepReport::default();
        let mut batch = Vec::new();
        let mut listing = Listing::new(self.store.list(self.folder()?.as_ref()));
        while let Some(object) = listing.next(self).await? {
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
        if let (true, Some(s3), Some(limit)) = (self.unfinished_uploads, &self.s3, limit) {
            report.uploads = self.sweep_uploads(s3, limit, remove).await?;
        }
        Ok(report)
    }

    /// Returns an error if unfinished uploads are enabled but the store does not support them.
    fn check_uploads(&self) -> Result<(), Error> {
        #[cfg(feature = "s3")]
        if self.s3.is_some() {
            return Ok(());
        }
        if self.unfinished_uploads {
            return Err(Error::invalid(
                "unfinished uploads require S3; create the sweep or the payload store from a URL, or use `Sweep::s3`",
            ));
        }
        Ok(())
    }

    /// Lists the objects after this one, whatever their keys. Returns `None` if the store does not support that.
    #[cfg(feature = "s3")]
    fn list_any_keys(&self, after: Option<&Path>) -> Option<BoxStream<'_, object_store::Result<ObjectMeta>>> {
        Some(self.s3.as_ref()?.list_objects(&self.prefix, after))
    }

    #[cfg(not(feature = "s3"))]
    fn list_any_keys(&self, _: Option<&Path>) -> Option<BoxStream<'_, object_store::Result<ObjectMeta>>> {
        None
    }

    #[cfg(feature = "s3")]
    async fn sweep_uploads(&self, s3: &S3Requests, limit: SystemTime, remove: bool) -> Result<SweepUploads, Error> {
        let mut report = SweepUploads::default();
        let mut after = Some(Marker::default());
        while let Some(marker) = after {
            let unlisted = |error| Error::store("unfinished uploads could not be listed", error);
            let page = s3.list_uploads(&self.prefix, &marker).await.map_err(unlisted)?;
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
                match s3.abort_upload(upload).await {
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

    /// Removes the listed objects that were not replaced since.
    async fn remove_batch(&self, batch: Vec<ObjectMeta>, report: &mut SweepReport) {
        let lookups = stream::iter(batch).map(|listed| self.look_up_again(listed));
        let looked: Vec<_> = lookups.buffered(LOOKUP_CONCURRENCY).collect().await;
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

    /// Returns the object if it is still stored, or `None` if it was removed or replaced.
    async fn look_up_again(&self, listed: ObjectMeta) -> object_store::Result<Option<ObjectMeta>> {
        let now = find(&*self.store, &listed.location).await?;
        Ok(now.filter(|now| is_as_listed(&listed, now)).map(|_| listed))
    }

    /// Reads the store's time from a new object.
    async fn now(&self, probe: &Path) -> Result<SystemTime, Error> {
        // Some stores refuse empty objects.
        let stored = self.store.put(probe, PutPayload::from_static(b".")).await;
        stored.map_err(|error| {
            Error::store(
                "a sweep must write one byte under the prefix to read the store's time",
                error,
            )
        })?;
        let stored = self.store.head(probe).await;
        for removed in delete_all(&self.store, std::slice::from_ref(probe)).await {
            if let Err(error) = removed {
                tracing::warn!(key = %probe, %error, "the sweep's one-byte object could not be removed; a later sweep removes it");
            }
        }
        let failed = |error| Error::store("the store's time could not be read from a new object", error);
        let time = SystemTime::from(stored.map_err(failed)?.last_modified);
        // object_store's replacement for a missing time. By that, no object would ever be old.
        if time <= SystemTime::UNIX_EPOCH {
            return Err(Error::plain(
                ErrorKind::Store,
                "the store reports no time of a new object (Last-Modified), so a sweep cannot tell which objects are old; \
                 remove old objects by a lifecycle rule of the bucket",
            ));
        }
        Ok(time)
    }

    /// Returns the innermost folder that contains all keys with the prefix, because stores list by folder.
    fn folder(&self) -> Result<Option<Path>, Error> {
        match self.prefix.rsplit_once('/') {
            None => Ok(None),
            Some((folder, _)) => Path::parse(folder)
                .map(Some)
                .map_err(|_| Error::invalid("the prefix is not a path; write one such as payloads/")),
        }
    }
}

/// The objects under a prefix, and others in its folder.
struct Listing<'a> {
    objects: BoxStream<'a, object_store::Result<ObjectMeta>>,
    /// The last object that was listed.
    last: Option<Path>,
}

impl<'a> Listing<'a> {
    fn new(objects: BoxStream<'a, object_store::Result<ObjectMeta>>) -> Self {
        Self { objects, last: None }
    }

    async fn next(&mut self, sweep: &'a Sweep) -> Result<Option<ObjectMeta>, Error> {
        loop {
            match self.objects.try_next().await {
                Ok(object) => {
                    self.last = object.as_ref().map(|object| object.location.clone());
                    return Ok(object);
                }
                Err(error @ object_store::Error::InvalidPath { .. }) => {
                    let rest = sweep.list_any_keys(self.last.as_ref());
                    self.objects = rest.ok_or_else(|| Error::store(UNLISTABLE, error))?;
                }
                Err(error) => return Err(Error::store("the prefix could not be listed", error)),
            }
        }
    }
}

/// Returns `true` if an object is the listed one. Unlike responses about one object, listings have fractions of seconds, and
/// they may omit quotes or ETags.
fn is_as_listed(listed: &ObjectMeta, now: &ObjectMeta) -> bool {
    let bare = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_owned();
    let tags = listed.e_tag.as_deref().map(bare).zip(now.e_tag.as_deref().map(bare));
    let seconds = listed.last_modified.timestamp().abs_diff(now.last_modified.timestamp());
    tags.is_none_or(|(listed, now)| listed == now) && listed.size == now.size && seconds <= 1
}
