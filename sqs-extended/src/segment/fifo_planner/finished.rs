//! Payloads that were acknowledged.

use std::time::{Duration, SystemTime};

use crate::payload::digest::Digest;
use crate::segment::fifo_planner::step::Received;
use crate::segment::header::Whole;

/// The deduplication interval of SQS:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html>.
pub(super) const DEDUPLICATION_INTERVAL: Duration = Duration::from_secs(300);

/// A payload that was acknowledged. Its segments that arrive later are to be deleted.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(super) key: String,
    pub(super) digest: Digest,
    /// The time at which its first message was sent.
    first_sent: Option<SystemTime>,
    /// SQS drops messages with its deduplication ids until this time.
    deduplicated_until: Option<SystemTime>,
}

impl Finished {
    /// Describes a whole payload by the times at which its messages were sent.
    pub(crate) fn new(group: &str, whole: &Whole, sent: impl IntoIterator<Item = Option<SystemTime>>) -> Self {
        let sent: Vec<SystemTime> = sent.into_iter().flatten().collect();
        let last_sent = sent.iter().max().copied();
        Self {
            key: key(group, &whole.id),
            digest: whole.digest.clone(),
            first_sent: sent.into_iter().min(),
            deduplicated_until: last_sent.and_then(|last_sent| last_sent.checked_add(DEDUPLICATION_INTERVAL)),
        }
    }

    /// Returns `true` if the segment was sent before the payload's deduplication interval ended.
    pub(super) fn covers(&self, received: &Received<'_>) -> bool {
        self.deduplicated_until
            .zip(received.sent)
            .is_some_and(|(until, sent)| sent < until)
    }

    /// Returns `true` if the payload was sent after this segment.
    pub(super) fn was_sent_after(&self, received: &Received<'_>) -> bool {
        self.first_sent
            .zip(received.sent)
            .is_some_and(|(first_sent, sent)| sent < first_sent)
    }
}

/// Returns the key of a payload. It contains the group, because SQS can deduplicate by group, and then payloads of two
/// groups can have the same id.
pub(super) fn key(group: &str, id: &str) -> String {
    format!("{id} {group}")
}
