//! The content of every object: text of a prime period, so that a misplaced part has other bytes.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use bytes::Bytes;
use futures::{Stream, stream};
use rustix::fs::{MemfdFlags, memfd_create};

/// The period, the smallest prime above 1 MiB. No part of a whole number of KiB begins where another one does, within a
/// thousand periods.
pub const PERIOD: usize = 1_048_583;

/// The length that can be taken in one piece from any position.
pub const MAX_PIECE: usize = 1024 * 1024;

/// The content of objects, in memory once. It is ASCII, because AWS's own extended clients accept only text.
#[derive(Clone)]
pub struct Pattern(Bytes);

impl Pattern {
    pub fn new() -> Self {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut random = SplitMix(1);
        let mut block: Vec<u8> = Vec::with_capacity(PERIOD + MAX_PIECE);
        block.extend((0..PERIOD).map(|_| LETTERS[(random.next() >> 58) as usize]));
        block.extend_from_within(..MAX_PIECE);
        Self(block.into())
    }

    /// Returns up to `max` bytes from `position` on without a copy, and at least one.
    pub fn piece(&self, position: u64, max: u64) -> Bytes {
        let start = (position % PERIOD as u64) as usize;
        let length = max.min(MAX_PIECE as u64) as usize;
        self.0.slice(start..start + length)
    }

    /// Returns the pieces of an object of `length` bytes from `position` on, each of up to `max` bytes.
    pub fn pieces(&self, position: u64, length: u64, max: u64) -> impl Iterator<Item = Bytes> + use<> {
        let (pattern, end, mut next) = (self.clone(), position + length, position);
        std::iter::from_fn(move || {
            let piece = pattern.piece(next, (end - next).min(max));
            next += piece.len() as u64;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// Returns an object of `length` bytes as a stream.
    pub fn stream(&self, length: u64) -> impl Stream<Item = io::Result<Bytes>> + use<> {
        stream::iter(self.pieces(0, length, MAX_PIECE as u64).map(Ok))
    }

    /// Returns `true` if an object has these bytes at `position`.
    pub fn matches(&self, position: u64, bytes: &[u8]) -> bool {
        let mut pieces = self.pieces(position, bytes.len() as u64, MAX_PIECE as u64);
        bytes
            .chunks(MAX_PIECE)
            .all(|bytes| pieces.next().is_some_and(|piece| piece == bytes))
    }

    /// Writes an object of `length` bytes to a file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn write_file(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut file = File::create(path)?;
        self.pieces(0, length, MAX_PIECE as u64)
            .try_for_each(|piece| file.write_all(&piece))
    }

    /// Copies the pattern to memory that `sendfile` can send from.
    pub(super) fn to_memfd(&self) -> io::Result<OwnedFd> {
        let memory = memfd_create("pattern", MemfdFlags::CLOEXEC)?;
        File::from(memory.try_clone()?).write_all(&self.0)?;
        Ok(memory)
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self::new()
    }
}

/// A small generator of random numbers, the same ones in every run.
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_continue_across_periods() {
        let pattern = Pattern::new();
        let length = 3 * PERIOD as u64 + 5;
        let whole = pattern.pieces(0, length, 10_000).collect::<Vec<_>>().concat();
        assert_eq!(whole.len() as u64, length);
        assert_eq!(whole[..PERIOD], whole[PERIOD..2 * PERIOD]);
        assert!(pattern.matches(0, &whole));
        assert!(pattern.matches(PERIOD as u64 - 3, &whole[PERIOD - 3..]));
        assert_eq!(pattern.piece(7, 0).len(), 0);
    }

    #[test]
    fn a_misplaced_part_does_not_match() {
        let pattern = Pattern::new();
        let part = 8 * 1024 * 1024;
        for number in 1..2_000 {
            let start = pattern.piece(number * part, 16);
            assert!(!pattern.matches((number - 1) * part, &start));
            assert!(!pattern.matches(0, &start));
        }
    }
}
