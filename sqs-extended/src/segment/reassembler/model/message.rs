//! The messages of the modeled queue.

use tokio::time::Instant;

use crate::payload::digest::Digest;
use crate::segment::header::Header;
use crate::segment::reassembler::SegmentSize;

/// One receipt of one message, which a consumer gives to the reassembler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) message: usize,
    pub(super) receipt: u32,
}

pub(super) struct Message {
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
    pub(super) payload: usize,
    /// Sent by an attacker: it has the id of a payload and contradicts it.
    pub(super) is_hostile: bool,
    pub(super) is_deleted: bool,
    pub(super) visible_at: Instant,
    /// The number of the last receipt. Earlier receipts are stale.
    pub(super) receipt: u32,
}

impl Message {
    /// Some messages have attributes.
    pub(super) fn size(&self) -> SegmentSize {
        let len = self.bytes.len() as u64;
        let attributes = u64::from(self.header.index % 3) * 500;
        SegmentSize {
            len,
            memory: len + attributes,
        }
    }
}

pub(super) fn digest_of(number: usize) -> Digest {
    format!("blake3:{number:064x}").parse().unwrap()
}
