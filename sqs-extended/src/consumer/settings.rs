//! The settings of a consumer that the queue's consumer does not have.

use std::time::Duration;

use crate::consumer::incomplete::Hook;
use crate::segment::Limits;

/// The time for which a competing consumer buffers segments of a payload without the first one. It allows for a few
/// receives.
const FIRST_SEGMENT_TIMEOUT: Duration = Duration::from_millis(500);

/// The range of the delay of segments that are returned for another consumer or for lack of room.
const RETURN_DELAY: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(2));

/// The number of finished payloads that a consumer remembers, to delete late segments of them.
const MAX_FINISHED: usize = 10_000;

/// The time for which a consumer remembers a finished payload.
const FINISHED_FOR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The number of competing consumers, if it is known.
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
        let competes = self.consumers.is_some_and(|consumers| consumers > 1);
        Limits {
            max_bytes: self.max_buffered_bytes,
            max_payloads: self.max_buffered_payloads,
            timeout: self.assembly_timeout,
            first_segment_timeout: competes.then_some(FIRST_SEGMENT_TIMEOUT),
            return_delay: RETURN_DELAY,
            max_finished: MAX_FINISHED,
            finished_for: FINISHED_FOR,
        }
    }
}
