//! BLAKE3 of bytes that arrive in chunks of any size.

use blake3::hazmat::{ChainingValue, HasherExt as _};

/// The number of bytes that BLAKE3 hashes in parallel with the widest instructions. They must begin at a multiple of
/// this number.
pub(super) const BLOCK: usize = 16 * 1024;

/// The number of bytes in one update. A larger one is slower because it leaves the cache.
pub(super) const BLOCKS: usize = 8 * BLOCK;

/// BLAKE3 that hashes whole blocks only. Network chunks begin and end anywhere, which can halve its speed.
#[derive(Default)]
pub(crate) struct Aligned {
    hasher: blake3::Hasher,
    /// The beginning of the next block.
    pending: Vec<u8>,
}

impl Aligned {
    /// Starts over with a subtree that begins at `offset` in the payload, a multiple of [`blake3::CHUNK_LEN`].
    pub(super) fn restart_at(&mut self, offset: u64) {
        self.pending.clear();
        // Not `reset`, which keeps the last subtree's offset, so that the next `set_input_offset` could panic.
        self.hasher = blake3::Hasher::new();
        self.hasher.set_input_offset(offset);
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        if !self.pending.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.pending.len()));
            self.pending.extend_from_slice(head);
            bytes = rest;
            if self.pending.len() < BLOCK {
                return;
            }
            self.hash_pending();
        }
        let (blocks, rest) = bytes.split_at(bytes.len() / BLOCK * BLOCK);
        for blocks in blocks.chunks(BLOCKS) {
            self.hasher.update(blocks);
        }
        self.pending.extend_from_slice(rest);
    }

    /// Returns the digest of a whole payload.
    pub(super) fn root(&mut self) -> blake3::Hash {
        self.hash_pending();
        self.hasher.finalize()
    }

    /// Returns the chaining value of a subtree of at least one byte, which is not the whole payload.
    pub(super) fn chaining_value(&mut self) -> ChainingValue {
        self.hash_pending();
        self.hasher.finalize_non_root()
    }

    fn hash_pending(&mut self) {
        self.hasher.update(&self.pending);
        self.pending.clear();
    }
}
