//! The heartbeat's rounds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::lease::Need;
use crate::consumer::state::{End, Phase, State};
use crate::consumer::tracked::TrackedMessage;

/// The heartbeat's work in one round.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Round {
    pub(in crate::consumer) extensions: Vec<(Arc<TrackedMessage>, Duration)>,
    /// The messages to return, and the delay after which each becomes visible.
    pub(in crate::consumer) returns: Vec<(Arc<TrackedMessage>, Duration)>,
    /// The messages to delete, because they were handled by an earlier receipt.
    pub(in crate::consumer) deletions: Vec<Arc<TrackedMessage>>,
    /// The messages whose leases have just expired.
    pub(in crate::consumer) lost: Vec<Arc<TrackedMessage>>,
    /// The latest time of the next round, or `None` while nothing is in flight.
    pub(in crate::consumer) next: Option<Instant>,
    /// `true` if nothing is in flight, and nothing will be.
    pub(in crate::consumer) over: bool,
}

impl State {
    /// Collects the heartbeat's work.
    pub(in crate::consumer) fn round(&mut self, now: Instant) -> Round {
        self.heartbeat_due = false;
        self.locks_groups = self.locks_groups.filter(|until| now < *until);
        self.return_overdue(now);
        let tick = self.tick();
        let mut round = Round::default();
        let mut next = now + tick;
        let (mut visible_again, mut retries) = (Vec::new(), Vec::new());
        for slot in self.tracked.values() {
            let mut lease = slot.tracked.lease();
            match slot.phase {
                Phase::Abandoned if now >= lease.visible_by() => visible_again.push(slot.tracked.clone()),
                phase if !phase.is_extended() => {}
                phase => {
                    if phase == Phase::AwaitingRetry {
                        match slot.retry_at <= now {
                            true => retries.push(slot.tracked.clone()),
                            false => next = next.min(slot.retry_at),
                        }
                    }
                    match lease.need(now, tick) {
                        Need::Nothing(at) => next = next.min(at),
                        Need::Extension(extension) => {
                            next = next.min(lease.until());
                            round.extensions.push((slot.tracked.clone(), extension));
                        }
                        Need::Loss => {
                            slot.tracked.notify_lost();
                            round.lost.push(slot.tracked.clone());
                        }
                    }
                }
            }
        }
        for tracked in retries {
            self.start_retry(&tracked, now);
        }
        for tracked in visible_again {
            self.finish(&tracked, End::Returned(Duration::ZERO), now);
        }
        round.returns = std::mem::take(&mut self.returns);
        round.deletions = std::mem::take(&mut self.deletions);
        let overdue = self.backlog.next_overdue().map(|at| at.max(now + tick / 8));
        round.next = (!self.tracked.is_empty()).then_some(overdue.map_or(next, |at| next.min(at)));
        round.over = self.is_at_rest();
        round
    }
}
