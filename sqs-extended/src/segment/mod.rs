//! Payloads that travel as several messages, with no store: how one is cut into segments, what a segment says of itself,
//! and how the segments become the payload again. Pure: no I/O, and the clock is the caller's.

mod assembled;
mod expiring_map;
pub(crate) mod fifo_planner;
mod header;
mod layout;
mod reassembler;
mod splitter;

pub(crate) use assembled::{Assembled, SegmentBytes, SpillFile};
pub(crate) use header::{Header, InvalidSegment, Whole};
pub(crate) use layout::Form;
pub(crate) use reassembler::{Action, Incomplete, Limits, Reassembler, Released, Size};
pub(crate) use splitter::{Segments, Split, payload_id};

/// Most segments of a payload on a standard queue. At 256 KiB each they are 256 MiB, which a receiver would have to hold.
pub(crate) const MAX_SEGMENTS: u32 = 1_024;

/// Most segments of a payload on a FIFO queue: 10. SQS yields a message group up to the first message that is in flight,
/// and at most 10 messages by a receive. So no more of one group can be held together.
pub(crate) const MAX_FIFO_SEGMENTS: u32 = 10;

/// The attribute that makes a message a segment: a [`Header`].
pub(crate) const HEADER_ATTRIBUTE: &str = "SQSExtendedSegment";

/// The attribute that holds a segment's bytes, where they are not in the body.
pub(crate) const BYTES_ATTRIBUTE: &str = "SQSExtendedSegmentBytes";

/// Both: to be asked for on every receive.
pub(crate) const ATTRIBUTES: [&str; 2] = [HEADER_ATTRIBUTE, BYTES_ATTRIBUTE];
