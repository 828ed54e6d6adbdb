//! The file of a download, which receives granules in any order.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::payload::subtree::granule::{Granule, GranuleHasher};
use crate::payload::subtree::tree::Tree;
use crate::transfer::budget::Block;
use crate::transfer::journal::file::Journal;
use crate::transfer::journal::record::Record;

/// A file that receives an object's granules.
///
/// Writes of a download that was dropped may still run for a moment. The file stays locked meanwhile, because its lock
/// belongs to all handles of it.
pub(crate) struct Target {
    /// `None` once closed. One write at a time, because the kernel locks the file anyway, and threads that wait for that lock
    /// spin.
    file: Mutex<Option<File>>,
    /// The granules that are in the file.
    tree: Mutex<Tree>,
    journal: Mutex<Recorder>,
    /// An earlier download wrote a part of the file.
    is_resumed: bool,
}

/// Records the granules that are in the file.
#[derive(Default)]
struct Recorder {
    /// `None` if no later download continues this one.
    journal: Option<Journal>,
    has_failed: bool,
}

impl Target {
    /// Begins with an empty file.
    pub(crate) fn new(file: File) -> Self {
        Self {
            file: Mutex::new(Some(file)),
            tree: Mutex::new(Tree::new()),
            journal: Mutex::default(),
            is_resumed: false,
        }
    }

    /// Continues a file that contains these granules.
    pub(crate) fn resumed(file: File, tree: Tree) -> Self {
        Self {
            tree: Mutex::new(tree),
            is_resumed: true,
            ..Self::new(file)
        }
    }

    /// Records further granules in a journal.
    #[must_use]
    pub(crate) fn with_journal(self, journal: Option<Journal>) -> Self {
        lock(&self.journal).journal = journal;
        self
    }

    /// Returns the journal. No more granules are recorded.
    pub(crate) fn take_journal(&self) -> Option<Journal> {
        lock(&self.journal).journal.take()
    }

    /// Waits for the write in progress, and closes the file. Later writes fail.
    pub(crate) fn close(&self) {
        *lock(&self.file) = None;
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    pub(super) fn tree(&self) -> MutexGuard<'_, Tree> {
        lock(&self.tree)
    }

    /// Returns the digest of the whole file if all `len` bytes are present.
    pub(super) fn root(&self, len: u64) -> Option<blake3::Hash> {
        self.tree().root(len)
    }

    /// Returns how many of the file's `len` bytes are present.
    pub(super) fn len_present(&self, len: u64) -> u64 {
        let missing = self.tree().missing(len);
        len - missing.iter().map(|range| range.end - range.start).sum::<u64>()
    }

    /// Writes blocks that follow each other at their offset, and notes the granules that are complete.
    pub(super) fn write(&self, blocks: &[Block], mut offset: u64, hasher: &mut GranuleHasher) -> io::Result<()> {
        for block in blocks {
            hasher.update(block.filled());
        }
        let file = lock(&self.file);
        let open = file
            .as_ref()
            .ok_or_else(|| io::Error::other("the download has ended"))?;
        for block in blocks {
            let bytes = block.filled();
            write_all_at(open, bytes, offset)?;
            offset += bytes.len() as u64;
        }
        drop(file);
        self.note(&hasher.take_finished());
        Ok(())
    }

    /// Notes adjacent granules that were written.
    pub(super) fn note(&self, granules: &[Granule]) {
        if granules.is_empty() {
            return;
        }
        self.tree().insert_all(granules);
        lock(&self.journal).record(granules);
    }
}

impl Recorder {
    fn record(&mut self, granules: &[Granule]) {
        let Some(journal) = &mut self.journal else { return };
        let Err(error) = journal.append(&[Record::downloaded(granules)]) else {
            return;
        };
        // A failure costs only these records.
        if !std::mem::replace(&mut self.has_failed, true) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "failed to record the progress of a download; if the process ends, a part of it is fetched again"
            );
        }
    }
}

/// A panic while this was locked has lost a granule or a record at most, so that the digest cannot be right.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt as _;

    while !bytes.is_empty() {
        let written = file.seek_write(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}
