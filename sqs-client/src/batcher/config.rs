//! The settings of a batcher, and those of its lanes.

use std::time::Duration;

use crate::batch::Batch;
use crate::batcher::send_batch::SendBatch;
use crate::client::batch_limit::BatchLimit;

/// See [`BatcherBuilder::SLOT_BYTES`](crate::batcher::BatcherBuilder::SLOT_BYTES).
pub(super) const SLOT_BYTES: usize = 32 * 1024;

/// The settings that all lanes share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) linger: Duration,
    pub(super) concurrency: usize,
    pub(super) capacity: usize,
    /// The time limit of a batch with all its attempts, if it has its own.
    pub(super) request_time: Option<Duration>,
}

/// The settings of one lane.
pub(super) struct LaneConfig<B: Batch> {
    pub(super) settings: Settings,
    /// Whether the queue keeps the order of groups.
    pub(super) ordered: bool,
    pub(super) limit: BatchLimit,
    pub(super) send: SendBatch<B>,
}

impl<B: Batch> Clone for LaneConfig<B> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings,
            ordered: self.ordered,
            limit: self.limit.clone(),
            send: self.send.clone(),
        }
    }
}
