//! The comparison of a journal with the file that it is about.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::record::Record;
use crate::payload::subtree::granule::{GRANULE, Granule, GranuleHasher};
use crate::payload::subtree::tree::Tree;
use crate::transfer::interruptible::Interrupt;

/// The parts of a transfer that need not be transferred again.
pub(crate) struct Verified {
    /// The granules that the journal records and the file contains. `Tree::missing` lists all others.
    pub(crate) tree: Tree,
    /// The ETags of uploaded parts, all of whose granules the file contains, by the part's number from 0.
    pub(crate) parts: BTreeMap<u64, String>,
}

/// Hashes the recorded granules in the file, which is the target of a download or the source of an upload, and returns
/// those that are as recorded. Reads granule by granule, and moves the file's cursor. `payload_len` is the journal's.
///
/// # Errors
///
/// The file or a record could not be read, or the work was interrupted. A file that is too short only lacks granules.
pub(crate) fn verified_granules(
    file: &File,
    payload_len: u64,
    records: impl IntoIterator<Item = io::Result<Record>>,
    interrupt: &Interrupt,
) -> io::Result<Verified> {
    let mut verified = Verified {
        tree: Tree::new(),
        parts: BTreeMap::new(),
    };
    let mut granules = GranuleReader {
        file,
        payload_len,
        bytes: Vec::new(),
        interrupt,
    };
    for record in records {
        verified.add(record?, &mut granules)?;
    }
    Ok(verified)
}

impl Verified {
    fn add(&mut self, record: Record, file: &mut GranuleReader<'_>) -> io::Result<()> {
        let mut is_whole = true;
        for (index, value) in (record.first..=u64::MAX).zip(&record.chaining_values) {
            // The record of a part says what the store has, so it is compared even if the file's granule is known.
            if record.part.is_none() && self.tree.contains(index) {
                continue;
            }
            match file.read(index)? {
                Some(granule) if granule.chaining_value() == value => {
                    self.tree.insert(&granule);
                }
                _ => is_whole = false,
            }
        }
        if let Some(part) = record.part {
            // The store has what was sent last, so an earlier record of the part is void in any case.
            match is_whole {
                true => self.parts.insert(part.index, part.etag),
                false => self.parts.remove(&part.index),
            };
        }
        Ok(())
    }
}

struct GranuleReader<'a> {
    file: &'a File,
    payload_len: u64,
    /// The granule that was read last.
    bytes: Vec<u8>,
    interrupt: &'a Interrupt,
}

impl GranuleReader<'_> {
    /// Reads and hashes a granule. Returns `None` if the file or the payload ends before it does.
    fn read(&mut self, index: u64) -> io::Result<Option<Granule>> {
        self.interrupt.check()?;
        let Some(start) = index.checked_mul(GRANULE).filter(|start| *start < self.payload_len) else {
            return Ok(None);
        };
        let len = GRANULE.min(self.payload_len - start);
        self.file.seek(SeekFrom::Start(start))?;
        self.bytes.clear();
        self.file.take(len).read_to_end(&mut self.bytes)?;
        if (self.bytes.len() as u64) < len {
            return Ok(None);
        }
        let mut hasher = GranuleHasher::new(start);
        hasher.update(&self.bytes);
        Ok(hasher.finish().pop())
    }
}
