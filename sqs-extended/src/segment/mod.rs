//! Payloads that travel as several messages, without a payload store.
//!
//! Cuts a payload into segments, describes each one in a header, and reassembles the segments that arrive. The code is
//! pure: it does no I/O, and its callers pass the time in.

mod expiring_map;
pub(crate) mod fifo_planner;
mod header;
mod invalid;
mod layout;
mod reassembler;
mod splitter;

pub(crate) use fifo_planner::MAX_FIFO_SEGMENTS;
pub(crate) use header::{HEADER_ATTRIBUTE, Header, MAX_SEGMENTS, Whole};
pub(crate) use invalid::InvalidSegment;
pub(crate) use layout::is_body;
pub(crate) use reassembler::{Action, IncompleteCause, Limits, Reassembler, ReturnReason, SegmentSize};
pub(crate) use splitter::{Segments, Split, payload_id};

/// The message attributes of a segment. Every receive requests them.
pub(crate) const ATTRIBUTES: [&str; 2] = [HEADER_ATTRIBUTE, layout::BYTES_ATTRIBUTE];
