//! The settings of a consumer, beside those of the queue's consumer.

use std::time::Duration;

use crate::consumer::incomplete::Hook;
use crate::segment::Limits;

/// Where consumers compete, how long one holds segments of a payload whose first it does not have: time for a few receives.
const GATHER: Duration = Duration::from_millis(500);

/// The least and the longest time for which segments stay hidden that are given back for another consumer, or for lack of
/// room.
const BACK_AFTER: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(2));

/// How many finished payloads a consumer remembers, to delete what still comes of them, and for how long.
const REMEMBERED: usize = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// How many compete, where that was said.
    pub(super) consumers: Option<u32>,
    pub(super) skip_redrive_check: bool,
    pub(super) max_buffered_bytes: u64,
    pub(super) max_buffered_payloads: usize,
    pub(super) assembly_timeout: Duration,
    pub(super) spill_threshold: u64,
    pub(super) max_spill_files: usize,
    pub(super) incomplete: Hook,
}

impl Settings {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_buffered_bytes,
            max_payloads: self.max_buffered_payloads,
            timeout: self.assembly_timeout,
            first_segment_timeout: self.consumers.filter(|consumers| *consumers > 1).map(|_| GATHER),
            return_delay: BACK_AFTER,
            max_finished: REMEMBERED,
            finished_for: REMEMBERED_FOR,
        }
    }
}
