//! The input and the output of the planner.

use std::time::{Duration, SystemTime};

use crate::segment::header::Header;

/// A received segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) header: &'a Header,
    /// The length of the segment in bytes.
    pub(crate) len: u64,
    pub(crate) message_id: &'a str,
    /// The time at which SQS accepted the message, by the clock of SQS.
    pub(crate) sent: Option<SystemTime>,
}

/// The decision about segments, by their positions in the receive. A segment that a step does not list is to be
/// returned to the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The segments, in this order, are a payload. The digest of the whole is still to be verified.
    Complete {
        segments: Vec<usize>,
        /// Older messages of the same segments, to be acknowledged or returned with them.
        duplicates: Vec<usize>,
    },
    /// No payload that can still be delivered needs these segments. They are to be deleted.
    Delete { segments: Vec<usize>, why: DeleteReason },
    /// The payload did not become complete in time. Its messages are to be returned, and block the group, unless the
    /// user's hook decides otherwise.
    Incomplete {
        segments: Vec<usize>,
        /// The number of distinct segments among them.
        have: u32,
        after: Duration,
    },
    /// All segments are to be returned to the queue.
    Return { after: Duration },
}

/// The reason to delete segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeleteReason {
    /// Their payload was acknowledged.
    Finished,
    /// Their payload is incomplete, and its sender has sent it again in other segments.
    SentAgain,
    /// A later message is the same segment.
    Duplicate,
}
