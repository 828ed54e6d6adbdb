//! What the heartbeat is to do about what is held.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::held::Entry;
use crate::consumer::lease::Need;
use crate::consumer::state::{End, Phase, State};

/// What the heartbeat is to do now.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Round {
    pub(in crate::consumer) extend: Vec<(Arc<Entry>, Duration)>,
    /// Each is to be visible after this time.
    pub(in crate::consumer) release: Vec<(Arc<Entry>, Duration)>,
    /// They were handled by an earlier receipt.
    pub(in crate::consumer) delete: Vec<Arc<Entry>>,
    /// Their leases have just run out.
    pub(in crate::consumer) lost: Vec<Arc<Entry>>,
    /// When to look again at the latest; `None` while nothing is held.
    pub(in crate::consumer) next: Option<Instant>,
    /// Nothing is held, and nothing will be.
    pub(in crate::consumer) over: bool,
}

impl State {
    /// What there is to do about what is held.
    pub(in crate::consumer) fn round(&mut self, now: Instant) -> Round {
        self.hurry = false;
        self.locks_groups = self.locks_groups.filter(|until| now < *until);
        self.return_overdue(now);
        let tick = self.tick();
        let mut round = Round::default();
        let mut next = now + tick;
        let (mut visible_again, mut due) = (Vec::new(), Vec::new());
        for slot in self.held.values() {
            let mut lease = slot.entry.lease();
            match slot.phase {
                Phase::Abandoned if now >= lease.over() => visible_again.push(slot.entry.clone()),
                phase if !phase.is_kept() => {}
                phase => {
                    if phase == Phase::Parked {
                        match slot.due <= now {
                            true => due.push(slot.entry.clone()),
                            false => next = next.min(slot.due),
                        }
                    }
                    match lease.need(now, tick) {
                        Need::Nothing(at) => next = next.min(at),
                        Need::Extension(extension) => {
                            next = next.min(lease.until());
                            round.extend.push((slot.entry.clone(), extension));
                        }
                        Need::Loss => {
                            slot.entry.tell_lost();
                            round.lost.push(slot.entry.clone());
                        }
                    }
                }
            }
        }
        for entry in due {
            self.unpark(&entry, now);
        }
        for entry in visible_again {
            self.finish(&entry, End::Returned(Duration::ZERO), now);
        }
        round.release = std::mem::take(&mut self.release);
        round.delete = std::mem::take(&mut self.delete);
        let overdue = self.backlog.next_overdue().map(|at| at.max(now + tick / 8));
        round.next = (!self.held.is_empty()).then_some(overdue.map_or(next, |at| next.min(at)));
        round.over = self.is_at_rest();
        round
    }
}
