//! The steps of a sweep.

use std::time::SystemTime;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutPayload};
use uuid::Uuid;

use crate::error::Error;
use crate::sweep::Sweep;
#[cfg(feature = "s3")]
use crate::sweep::report::SweepUploads;
use crate::sweep::report::{SweepEvent, SweepReport};
#[cfg(feature = "s3")]
use crate::sweep::uploads::{Marker, S3Uploads};
use crate::transfer::delete::{BATCH, delete_all};
use crate::transfer::lookup::find;

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

    /// Returns an error if unfinished uploads are enabled but the store does not support them.
    fn check_uploads(&self) -> Result<(), Error> {
        #[cfg(feature = "s3")]
        if self.uploads.is_some() {
            return Ok(());
        }
        if self.unfinished_uploads {
            return Err(Error::invalid(
                "unfinished uploads require S3; create the sweep or the payload store from a URL, or use `Sweep::s3`",
            ));
        }
        Ok(())
    }

    #[cfg(feature = "s3")]
    async fn sweep_uploads(&self, uploads: &S3Uploads, limit: SystemTime, remove: bool) -> Result<SweepUploads, Error> {
        let mut report = SweepUploads::default();
        let mut after = Some(Marker::default());
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
        let failed = |error| Error::store("the store's time could not be read from a new object", error);
        // Some stores refuse empty objects.
        self.store
            .put(probe, PutPayload::from_static(b"."))
            .await
            .map_err(failed)?;
        let stored = self.store.head(probe).await;
        for removed in delete_all(&self.store, std::slice::from_ref(probe)).await {
            if let Err(error) = removed {
                tracing::warn!(key = %probe, %error, "the sweep's one-byte object could not be removed; a later sweep removes it");
            }
        }
        Ok(stored.map_err(failed)?.last_modified.into())
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

/// Returns `true` if an object is the listed one. Unlike responses about one object, listings have fractions of seconds, and
/// they may omit quotes or ETags.
fn is_as_listed(listed: &ObjectMeta, now: &ObjectMeta) -> bool {
    let bare = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_owned();
    let tags = listed.e_tag.as_deref().map(bare).zip(now.e_tag.as_deref().map(bare));
    let seconds = listed.last_modified.timestamp().abs_diff(now.last_modified.timestamp());
    tags.is_none_or(|(listed, now)| listed == now) && listed.size == now.size && seconds <= 1
}
