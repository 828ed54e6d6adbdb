//! What a sweep says.

use std::time::SystemTime;

use object_store::ObjectMeta;
use object_store::path::Path;

/// The result of a sweep. Objects that were [`old`](Self::old) and are counted neither as removed nor as failed had been
/// removed, or stored again under their keys, by somebody else in the meantime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepReport {
    /// What is under the prefix.
    pub seen: SweepCount,
    /// What of it is old enough, and not kept by [`Sweep::keep`](crate::sweep::Sweep::keep).
    pub old: SweepCount,
    /// What was removed; nothing in a dry run.
    pub removed: SweepCount,
    /// How many objects could not be removed.
    pub failed: u64,
    /// What became of [unfinished uploads](crate::sweep::Sweep::unfinished_uploads).
    pub uploads: SweepUploads,
}

/// Unfinished uploads, counted as objects are in a [`SweepReport`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepUploads {
    /// How many there are to keys under the prefix.
    pub seen: u64,
    /// How many of them are old enough.
    pub old: u64,
    /// How many were removed; none in a dry run.
    pub removed: u64,
    /// How many could not be removed.
    pub failed: u64,
}

/// An upload that was begun, and neither completed nor aborted. Its parts are stored, and billed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfinishedUpload {
    /// The key that its object would have.
    pub key: String,
    /// What S3 calls it.
    pub upload_id: String,
    /// When it was begun, by the store's clock.
    pub initiated: SystemTime,
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepCount {
    /// How many.
    pub objects: u64,
    /// What they take as they are stored.
    pub bytes: u64,
}

impl SweepCount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What a sweep just did.
#[derive(Debug)]
#[non_exhaustive]
pub enum SweepEvent<'a> {
    /// There is an object under the prefix.
    Seen(&'a ObjectMeta),
    /// It is old enough, and not kept: it is removed, or would be.
    Old(&'a ObjectMeta),
    /// The object of this key and size was removed.
    Removed(&'a Path, u64),
    /// There is an unfinished upload that is old enough: it is removed, or would be.
    OldUpload(&'a UnfinishedUpload),
    /// It was removed.
    RemovedUpload(&'a UnfinishedUpload),
    /// One or more objects, or an upload, could not be removed; the sweep goes on.
    Failed(&'a object_store::Error),
}
