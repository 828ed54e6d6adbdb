//! Received messages, and further receipts of messages that this consumer handles or has handled.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::arrival::{Arrival, Treatment};
use crate::consumer::lease::Lease;
use crate::consumer::state::{End, Phase, Slot, State};
use crate::consumer::tracked::TrackedMessage;

impl State {
    /// Tracks the messages of a receive that was sent no earlier than `sent_at`.
    pub(in crate::consumer) fn arrive(&mut self, arrivals: Vec<Arrival>, sent_at: Instant, now: Instant) {
        self.heartbeat_due |= !arrivals.is_empty() && (self.tracked.is_empty() || now >= sent_at + self.tick());
        for arrival in arrivals {
            let tracked = self.track(arrival, sent_at);
            let slot = Slot {
                tracked: tracked.clone(),
                phase: Phase::Buffered,
                since: now,
                retry_at: now,
                shares_claim: false,
            };
            self.tracked.insert(tracked.id, slot);
            self.admit(&tracked, now);
        }
    }

    fn track(&mut self, arrival: Arrival, sent_at: Instant) -> Arc<TrackedMessage> {
        self.next_id += 1;
        let group = self.group_of(&arrival.message);
        let returned = self.recall(&arrival.message, sent_at);
        let tracked = TrackedMessage::new(self.next_id, group, arrival, Lease::new(sent_at, self.visibility));
        if let Some((position, retries)) = returned {
            tracked.continue_from(position, retries);
        }
        Arc::new(tracked)
    }

    fn admit(&mut self, tracked: &Arc<TrackedMessage>, now: Instant) {
        if !self.joins_an_older_receipt(tracked, now) {
            match tracked.treatment {
                Treatment::ReturnAtOnce(_) => self.schedule_return(tracked, Duration::ZERO, now),
                Treatment::Handle | Treatment::Return(_) => self.buffer(tracked),
            }
        }
    }

    pub(super) fn buffer(&mut self, tracked: &Arc<TrackedMessage>) {
        if self
            .backlog
            .push(tracked.group.as_deref(), tracked.position(), tracked.clone())
        {
            // A message that was returned alone came again.
            self.locks_groups = None;
        }
    }

    /// Returns `true` if the message is already in flight by an older receipt, and the new one was joined to that.
    fn joins_an_older_receipt(&mut self, tracked: &Arc<TrackedMessage>, now: Instant) -> bool {
        let message = tracked.message();
        // Only a message that was received before can be in flight. If the server does not report the count, the ids
        // decide.
        if message.attributes.approximate_receive_count() == Some(1) || message.message_id.is_empty() {
            return false;
        }
        let same =
            |slot: &&Slot| slot.tracked.id != tracked.id && slot.tracked.message().message_id == message.message_id;
        let older = self.tracked.values().filter(same);
        // Of several receipts, the one that is being handled.
        let Some(older) = older.max_by_key(|slot| (slot.phase == Phase::Handling, slot.phase != Phase::Successor))
        else {
            return false;
        };
        let (older, phase, claims) = (older.tracked.clone(), older.phase, older.shares_claim);
        tracked.continue_from(older.position(), older.all_retries());
        match phase {
            Phase::Buffered => self.replace_buffered(&older, tracked),
            Phase::Handling | Phase::Settling | Phase::AwaitingRetry => self.queue_successor(&older, tracked, now),
            Phase::Returning | Phase::Abandoned if claims => self.queue_successor(&older, tracked, now),
            Phase::Successor => false,
            // Its owner deals with newer receipts, or the message is back in the queue.
            Phase::Parked | Phase::Returning | Phase::Abandoned => false,
        }
    }

    fn replace_buffered(&mut self, older: &TrackedMessage, newer: &Arc<TrackedMessage>) -> bool {
        let is_older = |tracked: &Arc<TrackedMessage>| tracked.id == older.id;
        let replaced = self.backlog.replace(older.group.as_deref(), is_older, newer.clone());
        if replaced
            && let Some(older) = self.tracked.remove(&older.id)
            && let Some(newer) = self.tracked.get_mut(&newer.id)
        {
            newer.shares_claim = older.shares_claim;
            self.forget_successor_of(older.tracked.id);
        }
        replaced
    }

    fn queue_successor(&mut self, older: &TrackedMessage, newer: &Arc<TrackedMessage>, now: Instant) -> bool {
        self.enter(newer.id, Phase::Successor, now);
        self.forget_successor_of(older.id);
        self.successors.insert(older.id, newer.clone());
        // A return that seemed to fail has taken effect after all.
        if self
            .tracked
            .get(&older.id)
            .is_some_and(|slot| slot.phase == Phase::Abandoned)
        {
            self.finish(older, End::Returned(Duration::ZERO), now);
        }
        true
    }

    /// Forgets the newer receipt of a message, because there is an even newer one.
    fn forget_successor_of(&mut self, id: u64) {
        if let Some(stale) = self.successors.remove(&id) {
            self.tracked.remove(&stale.id);
        }
    }

    /// Replaces a receipt that has ended by its successor. Returns `false` if there is none.
    pub(super) fn successor_takes_over(&mut self, older: &Slot, end: End, now: Instant) -> bool {
        let Some(successor) = self.successors.remove(&older.tracked.id) else {
            return false;
        };
        successor.continue_from(older.tracked.position(), older.tracked.all_retries());
        if let Some(slot) = self.tracked.get_mut(&successor.id) {
            slot.shares_claim = older.shares_claim;
        }
        if matches!(end, End::Deleted | End::Handled) {
            self.delete(&successor, now);
            return true;
        }
        if self.stopping {
            self.schedule_return(&successor, Duration::ZERO, now);
            return true;
        }
        self.enter(successor.id, Phase::Buffered, now);
        if !older.shares_claim {
            self.buffer(&successor);
            return true;
        }
        let group = successor.group.as_deref();
        let claims = self.backlog.requeue(group, successor.position(), successor.clone());
        if let Some(slot) = self.tracked.get_mut(&successor.id) {
            slot.shares_claim = claims;
        }
        true
    }

    /// Lets the heartbeat delete a message by this receipt, because it was handled by an earlier one.
    pub(super) fn delete(&mut self, tracked: &Arc<TrackedMessage>, now: Instant) {
        if self.enter(tracked.id, Phase::Settling, now) {
            self.deletions.push(tracked.clone());
        }
    }
}
