//! The temporary file of a download in parts, with the journal by which a later download continues it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tempfile::{NamedTempFile, PersistError, TempPath};

use crate::error::ErrorKind;
use crate::payload_store::Fetched;
use crate::receive::download::part_file;
use crate::transfer::download::Target;
use crate::transfer::interruptible::Interrupt;
use crate::transfer::journal::file::Journal;
use crate::transfer::journal::header::Identity;
use crate::transfer::journal::locked;
use crate::transfer::journal::verify::verified_granules;

/// The length in bytes from which a payload has a journal.
pub(crate) const MIN_RESUMABLE: u64 = 16 * 1024 * 1024;

/// The properties of a payload that decide how its file begins and ends.
pub(super) struct Plan {
    len: u64,
    /// `None` if the payload is so short that it starts over.
    identity: Option<Identity>,
    keep: bool,
}

impl Plan {
    pub(super) fn new(payload: &Fetched) -> Self {
        let len = payload.stored_len();
        Self {
            len,
            identity: (len >= MIN_RESUMABLE).then(|| payload.identity()),
            keep: payload.keeps_partial(),
        }
    }
}

/// A file that is written. If it is dropped before it is published, it is removed, or kept if that is planned.
pub(super) struct Partial {
    /// `None` once published.
    file: Option<NamedTempFile>,
    target: Arc<Target>,
    keep: bool,
}

impl Partial {
    /// Continues the file of an earlier download of the same payload to the path, or begins a new one. Removes all other
    /// files of earlier downloads.
    ///
    /// # Errors
    ///
    /// No file could be created, or the path is not that of a regular file. Or the work was interrupted.
    pub(super) fn open(path: &Path, plan: &Plan, interrupt: &Interrupt) -> io::Result<Self> {
        let earlier = match &plan.identity {
            Some(identity) => find(path, identity, plan.len, interrupt),
            None => Ok(None),
        };
        if interrupt.check().is_err() && !plan.keep {
            part_file::remove_all_abandoned(&part_file::names(path)?);
        }
        let earlier = earlier?;
        let (file, target) = match earlier {
            Some(earlier) => {
                // Those of other downloads. This one is locked.
                part_file::remove_all_abandoned(&part_file::names(path)?);
                earlier
            }
            None => begin(path, plan)?,
        };
        Ok(Self {
            file: Some(file),
            target: Arc::new(target),
            keep: plan.keep,
        })
    }

    /// Returns where the payload is written.
    pub(super) fn target(&self) -> Arc<Target> {
        Arc::clone(&self.target)
    }

    /// Renames the file to the path, and removes the journal.
    ///
    /// # Errors
    ///
    /// The file could not be synced or renamed.
    pub(super) fn publish(mut self, path: &Path) -> io::Result<()> {
        if let Some(file) = self.file.take()
            && let Err(PersistError { error, file }) = part_file::rename_to(file, path)
        {
            self.file = Some(file);
            return Err(error);
        }
        // A crash before this leaves a journal without a file, which the next download removes.
        remove(self.target.take_journal());
        part_file::sync_folder(path)
    }

    /// Ends a download that failed.
    pub(super) fn fail(mut self, kind: ErrorKind) {
        // The object was replaced, or the bytes are wrong. Nothing can continue.
        self.keep &= kind != ErrorKind::Corrupt;
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let Some(file) = &mut self.file else { return };
        if self.keep {
            // Then the next download finds the file unlocked. The write that it waits for is of one granule.
            self.target.close();
        }
        match self.target.take_journal() {
            Some(_unlocked) if self.keep => file.disable_cleanup(true),
            // The file is removed last, because no download looks at the journal of a locked file.
            journal => remove(journal),
        }
    }
}

fn begin(path: &Path, plan: &Plan) -> io::Result<(NamedTempFile, Target)> {
    let (file, journal) = match part_file::create_named(path)? {
        Some(file) => {
            let journal = create_journal(file.path(), plan);
            (file, journal)
        }
        None => (part_file::create_with_a_random_name(path)?, None),
    };
    let target = Target::new(file.as_file().try_clone()?).with_journal(journal);
    Ok((file, target))
}

fn create_journal(part: &Path, plan: &Plan) -> Option<Journal> {
    let identity = plan.identity.as_ref()?;
    let created = Journal::create(&part_file::journal_of(part), identity, plan.len);
    created.unwrap_or_else(|error| {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(path = %part.display(), error, "failed to create the journal of a download, so no later one continues it");
        None
    })
}

/// Finds and locks the file of an earlier download of this payload, whatever its process left of it.
fn find(
    path: &Path,
    identity: &Identity,
    len: u64,
    interrupt: &Interrupt,
) -> io::Result<Option<(NamedTempFile, Target)>> {
    part_file::check_replaceable(path)?;
    for part in part_file::names(path)? {
        match resume(&part, identity, len, interrupt) {
            Ok(None) => {}
            Ok(resumed) => return Ok(resumed),
            Err(error) => {
                // The file is as good as before.
                interrupt.check()?;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(path = %part.display(), error, "failed to continue an earlier download; it starts over");
            }
        }
    }
    Ok(None)
}

fn resume(
    part: &Path,
    identity: &Identity,
    len: u64,
    interrupt: &Interrupt,
) -> io::Result<Option<(NamedTempFile, Target)>> {
    let Some(file) = locked::open(part)? else {
        return Ok(None);
    };
    let journal = Journal::open(&part_file::journal_of(part), identity)?;
    let Some(mut journal) = journal.filter(|journal| journal.payload_len() == len) else {
        return Ok(None);
    };
    if !is_ours_only(&file, part)? {
        return Ok(None);
    }
    if file.metadata()?.len() > len {
        file.set_len(len)?;
    }
    let tree = verified_granules(&file, len, journal.records()?, interrupt)?.tree;
    let missing: u64 = tree.missing(len).iter().map(|range| range.end - range.start).sum();
    if missing == len {
        return Ok(None);
    }
    tracing::debug!(path = %part.display(), bytes = len - missing, missing, "an earlier download is continued");
    let target = Target::resumed(file.try_clone()?, tree).with_journal(Some(journal));
    let file = NamedTempFile::from_parts(file, TempPath::try_from_path(part)?);
    Ok(Some((file, target)))
}

/// Returns `true` if this user owns the file and it has no other name. Otherwise another user of the directory could have
/// put it there, to change it after it was verified.
#[cfg(unix)]
fn is_ours_only(file: &File, part: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let ours = tempfile::tempfile_in(part_file::folder(part))?.metadata()?.uid();
    let there = file.metadata()?;
    Ok(there.uid() == ours && there.nlink() == 1)
}

#[cfg(not(unix))]
fn is_ours_only(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

fn remove(journal: Option<Journal>) {
    if let Some(Err(error)) = journal.map(Journal::remove) {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "failed to remove the journal of a download");
    }
}

#[cfg(test)]
mod tests;
