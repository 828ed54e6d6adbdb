//! Decides what to do with the segments at the head of a FIFO message group.
//!
//! SQS delivers a group in order, at most 10 messages at a time, up to the first message that is in flight. So a
//! payload must be complete within one receive. An incomplete one is returned and received again, because the rest is
//! still being sent, or is in flight at another consumer, or was lost.
//!
//! The order of a group tells more. All messages sent before the first segment of a repetition have arrived, so an
//! incomplete payload before it stays incomplete. `sqs_client`'s consumer keeps the group's later messages in order.

mod finished;
mod group_prefix;
mod step;

use std::time::Duration;

use tokio::time::Instant;

use self::finished::key;
use self::group_prefix::GroupPrefix;
use crate::segment::expiring_map::ExpiringMap;

pub(crate) use self::finished::Finished;
pub(crate) use self::group_prefix::MAX_FIFO_SEGMENTS;
pub(crate) use self::step::{DeleteReason, Received, Step};

/// The number of times that an incomplete payload is received within 31 seconds, as the delays are 0 and then double
/// from 1 second. A killed consumer hides its messages for 30 seconds, the default visibility timeout.
pub(crate) const RECEIVES_WHILE_HIDDEN: u32 = 7;

/// The maximum delay before an incomplete payload, and its group, is received again. Also applies after it was
/// reported.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(60);

/// The number of incomplete payloads whose attempts are counted.
const MAX_COUNTED: usize = 1_024;

/// A payload that was not received for this long is counted anew.
const COUNTED_FOR: Duration = Duration::from_secs(600);

/// The number of finished payloads that are remembered, and for how long.
const MAX_FINISHED: usize = 10_000;
const FINISHED_FOR: Duration = Duration::from_secs(3_600);

/// Plans receives. Counts the attempts at each incomplete payload, and remembers finished payloads.
#[derive(Debug)]
pub(crate) struct Planner {
    attempts: ExpiringMap<Attempts>,
    finished: ExpiringMap<Finished>,
    timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Attempts {
    count: u32,
    since: Instant,
}

impl Planner {
    /// Creates a planner that reports a payload if it is still incomplete after `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            attempts: ExpiringMap::new(MAX_COUNTED, COUNTED_FOR),
            finished: ExpiringMap::new(MAX_FINISHED, FINISHED_FOR),
            timeout,
        }
    }

    /// Decides what to do with these segments of the group, which are in the order of the receive.
    ///
    /// All have the payload id of the first. A segment that contradicts the first belongs to another payload.
    /// `sent_again` says that an ordinary message behind them contains the payload, too.
    pub(crate) fn plan(&mut self, group: &str, received: &[Received<'_>], sent_again: bool, now: Instant) -> Step {
        let Some(first) = received.first() else {
            return Step::Return { after: Duration::ZERO };
        };
        let key = key(group, &first.header.whole.id);
        let prefix = GroupPrefix::find(&first.header.whole, received);
        if let Some(segments) = self.late_segments(&key, first, &prefix, received, now) {
            let why = DeleteReason::Finished;
            return Step::Delete { segments, why };
        }
        if prefix.is_complete() {
            self.attempts.remove(&key);
            let (segments, duplicates) = prefix.into_positions();
            return Step::Complete { segments, duplicates };
        }
        if sent_again {
            let (segments, why) = (prefix.positions(), DeleteReason::SentAgain);
            return Step::Delete { segments, why };
        }
        self.plan_incomplete(&key, &prefix, received, now)
    }

    /// Records that the payload was acknowledged, so that all or some of its messages are deleted.
    pub(crate) fn finish(&mut self, finished: Finished, now: Instant) {
        let key = finished.key.clone();
        self.finished.insert(&key, finished, now);
    }

    /// Returns the late segments of a finished payload.
    ///
    /// The same payload is delivered if it arrives again as a whole, because none of it was deleted then. So is a whole
    /// payload that was sent before the finished one, because SQS drops only later duplicates.
    fn late_segments(
        &mut self,
        key: &str,
        first: &Received<'_>,
        prefix: &GroupPrefix,
        received: &[Received<'_>],
        now: Instant,
    ) -> Option<Vec<usize>> {
        let finished = self.finished.get(key, now)?;
        let is_due = first.header.whole.digest == finished.digest || finished.was_sent_after(first);
        if !finished.covers(first) || (prefix.is_complete() && is_due) {
            return None;
        }
        let late = received
            .iter()
            .enumerate()
            .filter(|(_, received)| finished.covers(received));
        Some(late.map(|(position, _)| position).collect())
    }

    fn plan_incomplete(&mut self, key: &str, prefix: &GroupPrefix, received: &[Received<'_>], now: Instant) -> Step {
        let none = Attempts { count: 0, since: now };
        let before = self.attempts.get(key, now).copied().unwrap_or(none);
        let is_overdue = before.count > 0 && now.saturating_duration_since(before.since) >= self.timeout;
        if let Some((segments, why)) = prefix.to_delete(received, is_overdue) {
            return Step::Delete { segments, why };
        }
        let attempts = Attempts {
            count: before.count.saturating_add(1),
            ..before
        };
        self.attempts.insert(key, attempts, now);
        if !is_overdue {
            let after = delay(before.count);
            return Step::Return { after };
        }
        Step::Incomplete {
            segments: prefix.positions(),
            have: prefix.have(),
            after: MAX_DELAY,
        }
    }
}

/// Returns `true` if these segments include all of the payload of the first.
pub(crate) fn is_complete(received: &[Received<'_>]) -> bool {
    let first = received.first();
    first.is_some_and(|first| GroupPrefix::find(&first.header.whole, received).is_complete())
}

/// Returns the delay before the next receive of a payload that was incomplete this many times before.
fn delay(attempts_before: u32) -> Duration {
    let seconds = attempts_before
        .checked_sub(1)
        .map_or(0, |doublings| 1_u64.checked_shl(doublings).unwrap_or(u64::MAX));
    Duration::from_secs(seconds).min(MAX_DELAY)
}

#[cfg(test)]
mod tests;
