//! The subtrees of a contiguous range of a payload.

use blake3::hazmat::ChainingValue;

use crate::payload::aligned::Aligned;

/// The number of bytes in a granule. A power of two, because only then is a granule a subtree.
pub(crate) const GRANULE: u64 = 1024 * 1024;

/// A hashed granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granule {
    pub(super) index: u64,
    /// The offset in the payload at which the granule ends.
    pub(super) end: u64,
    pub(super) chaining_value: ChainingValue,
    /// The digest of a payload that consists of this granule only. `None` unless it is the first granule. A digest is
    /// not computable from a chaining value.
    pub(super) digest_if_only: Option<blake3::Hash>,
}

impl Granule {
    /// Returns the granule's number, counted from 0.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// Returns the hash of the granule as a part of a larger payload.
    pub(crate) fn chaining_value(&self) -> &ChainingValue {
        &self.chaining_value
    }
}

/// Hashes a contiguous range of a payload. Write the bytes to it in chunks of any size.
pub(crate) struct GranuleHasher {
    granule_len: u64,
    /// The current granule's number.
    index: u64,
    /// The number of bytes of the current granule.
    filled: u64,
    // About 2 KiB.
    current: Box<Aligned>,
    finished: Vec<Granule>,
}

impl GranuleHasher {
    /// Starts a range at the offset `start`, a multiple of [`GRANULE`]. A range that begins elsewhere has wrong chaining
    /// values, so its payload fails the verification.
    pub(crate) fn new(start: u64) -> Self {
        Self::with_granule_len(start, GRANULE)
    }

    pub(super) fn with_granule_len(start: u64, granule_len: u64) -> Self {
        debug_assert_eq!(start % granule_len, 0, "the range begins within a granule");
        Self {
            granule_len,
            index: start / granule_len,
            filled: 0,
            current: Box::default(),
            finished: Vec::new(),
        }
    }

    /// Hashes the next bytes of the range.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == 0 {
                self.current.restart_at(self.index * self.granule_len);
            }
            let missing = usize::try_from(self.granule_len - self.filled).unwrap_or(usize::MAX);
            let (head, rest) = bytes.split_at(bytes.len().min(missing));
            self.current.update(head);
            self.filled += head.len() as u64;
            if self.filled == self.granule_len {
                self.finish_granule();
            }
            bytes = rest;
        }
    }

    /// Returns the granules that were finished since the last call, in order.
    pub(crate) fn take_finished(&mut self) -> Vec<Granule> {
        std::mem::take(&mut self.finished)
    }

    /// Ends the range, and returns the granules that were not returned yet. A range that ends within a granule must end with
    /// the payload.
    pub(crate) fn finish(mut self) -> Vec<Granule> {
        if self.filled > 0 {
            self.finish_granule();
        }
        self.finished
    }

    fn finish_granule(&mut self) {
        let start = self.index * self.granule_len;
        self.finished.push(Granule {
            index: self.index,
            end: start.saturating_add(self.filled),
            chaining_value: self.current.chaining_value(),
            digest_if_only: (start == 0).then(|| self.current.root()),
        });
        self.index += 1;
        self.filled = 0;
    }
}
