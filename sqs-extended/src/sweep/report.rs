//! Reports and events of a sweep.

use std::time::SystemTime;

use object_store::ObjectMeta;
use object_store::path::Path;

/// The result of [`Sweep::remove`](crate::sweep::Sweep::remove) or [`Sweep::dry_run`](crate::sweep::Sweep::dry_run).
///
/// An object may be counted as [`old`](Self::old) but neither as removed nor as failed. Another program then removed or
/// replaced it during the sweep.
///
/// ```no_run
/// # async fn f(store: sqs_extended::PayloadStore) -> Result<(), sqs_extended::Error> {
/// use sqs_extended::sweep::Sweep;
///
/// let report = store.sweep(Sweep::DEFAULT_AGE)?.dry_run().await?;
/// println!("{} of {} objects are old: {} bytes", report.old.objects, report.seen.objects, report.old.bytes);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepReport {
    /// All objects under the prefix.
    pub seen: SweepCount,
    /// The objects that reached the age and are not kept by [`Sweep::keep`](crate::sweep::Sweep::keep).
    pub old: SweepCount,
    /// The removed objects. None in a dry run.
    pub removed: SweepCount,
    /// The number of objects that could not be removed.
    pub failed: u64,
    /// The [unfinished uploads](crate::sweep::Sweep::unfinished_uploads).
    pub uploads: SweepUploads,
}

/// The number of unfinished uploads in a [`SweepReport`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepUploads {
    /// The number of uploads to keys under the prefix.
    pub seen: u64,
    /// The number of them that reached the age.
    pub old: u64,
    /// The number of removed uploads. None in a dry run.
    pub removed: u64,
    /// The number of uploads that could not be removed.
    pub failed: u64,
}

/// A multipart upload that was neither completed nor aborted. Its parts are stored and billed.
///
/// [`SweepEvent::OldUpload`] reports it.
///
/// ```
/// use sqs_extended::sweep::SweepEvent;
///
/// fn log(event: &SweepEvent<'_>) {
///     if let SweepEvent::OldUpload(upload) = event {
///         println!("{} was started at {:?} and never completed", upload.key, upload.initiated);
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfinishedUpload {
    /// The key of the object that the upload would create.
    pub key: String,
    /// The id that S3 gave the upload.
    pub upload_id: String,
    /// The time when the upload was started, by the store's clock.
    pub initiated: SystemTime,
}

/// A number of objects and their bytes in a [`SweepReport`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepCount {
    /// The number of objects.
    pub objects: u64,
    /// The number of their stored bytes.
    pub bytes: u64,
}

impl SweepCount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// A step of a sweep, reported to [`Sweep::on_event`](crate::sweep::Sweep::on_event).
///
/// ```
/// use sqs_extended::sweep::SweepEvent;
///
/// fn log(event: &SweepEvent<'_>) {
///     match event {
///         SweepEvent::Removed(key, size) => println!("removed {key}, {size} bytes"),
///         SweepEvent::Failed(error) => eprintln!("not removed: {error}"),
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SweepEvent<'a> {
    /// An object under the prefix was listed.
    Seen(&'a ObjectMeta),
    /// An object reached the age and is not kept. It is removed next, except in a dry run.
    Old(&'a ObjectMeta),
    /// The object with this key and size was removed.
    Removed(&'a Path, u64),
    /// An unfinished upload reached the age. It is removed next, except in a dry run.
    OldUpload(&'a UnfinishedUpload),
    /// An unfinished upload was removed.
    RemovedUpload(&'a UnfinishedUpload),
    /// Objects or an upload could not be removed. The sweep continues.
    Failed(&'a object_store::Error),
}
