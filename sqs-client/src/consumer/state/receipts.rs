//! Messages that come in, also again while or after this consumer handles them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::arrival::{Arrival, Turn};
use crate::consumer::held::Entry;
use crate::consumer::lease::Lease;
use crate::consumer::state::{End, Phase, Slot, State};

impl State {
    /// Holds what a receive, sent no earlier than `asked`, brought.
    pub(in crate::consumer) fn arrive(&mut self, arrivals: Vec<Arrival>, asked: Instant, now: Instant) {
        self.hurry |= !arrivals.is_empty() && (self.held.is_empty() || now >= asked + self.tick());
        for arrival in arrivals {
            let entry = self.entry(arrival, asked);
            let slot = Slot {
                entry: entry.clone(),
                phase: Phase::Waiting,
                since: now,
                due: now,
                claims: false,
            };
            self.held.insert(entry.id, slot);
            self.take_in(&entry, now);
        }
    }

    fn entry(&mut self, arrival: Arrival, asked: Instant) -> Arc<Entry> {
        self.next_id += 1;
        let group = self.group_of(&arrival.message);
        let returned = self.recall(&arrival.message, asked);
        let entry = Entry::new(self.next_id, group, arrival, Lease::new(asked, self.visibility));
        if let Some((place, retries)) = returned {
            entry.succeeds(place, retries);
        }
        Arc::new(entry)
    }

    fn take_in(&mut self, entry: &Arc<Entry>, now: Instant) {
        if !self.joins_an_older_receipt(entry, now) {
            match entry.turn {
                Turn::ReturnAtOnce(_) => self.give_back(entry, Duration::ZERO, now),
                Turn::Handle | Turn::Return(_) => self.wait(entry),
            }
        }
    }

    pub(super) fn wait(&mut self, entry: &Arc<Entry>) {
        if self.backlog.push(entry.group.as_deref(), entry.place(), entry.clone()) {
            // What was returned alone came again.
            self.locks_groups = None;
        }
    }

    /// Returns `true` if the message is held by an older receipt too, and the new one has found its place beside that.
    fn joins_an_older_receipt(&mut self, entry: &Arc<Entry>, now: Instant) -> bool {
        let message = entry.message();
        // Only what was received before can be held. Where the server does not say, the ids tell.
        if message.attributes.approximate_receive_count() == Some(1) || message.message_id.is_empty() {
            return false;
        }
        let same = |slot: &&Slot| slot.entry.id != entry.id && slot.entry.message().message_id == message.message_id;
        let older = self.held.values().filter(same);
        // Of several, the one that handles it.
        let Some(older) = older.max_by_key(|slot| (slot.phase == Phase::Out, slot.phase != Phase::Second)) else {
            return false;
        };
        let (older, phase, claims) = (older.entry.clone(), older.phase, older.claims);
        entry.succeeds(older.place(), older.all_retries());
        match phase {
            Phase::Waiting => self.replaces(&older, entry),
            Phase::Out | Phase::Settling | Phase::Parked => self.waits_for(&older, entry, now),
            Phase::Releasing | Phase::Abandoned if claims => self.waits_for(&older, entry, now),
            Phase::Second => false,
            // Its owner tells receipts apart, or it is in the queue again.
            Phase::Aside | Phase::Releasing | Phase::Abandoned => false,
        }
    }

    fn replaces(&mut self, older: &Entry, newer: &Arc<Entry>) -> bool {
        let is_older = |entry: &Arc<Entry>| entry.id == older.id;
        let replaced = self.backlog.replace(older.group.as_deref(), is_older, newer.clone());
        if replaced
            && let Some(older) = self.held.remove(&older.id)
            && let Some(newer) = self.held.get_mut(&newer.id)
        {
            newer.claims = older.claims;
            self.forget_second_of(older.entry.id);
        }
        replaced
    }

    fn waits_for(&mut self, older: &Entry, newer: &Arc<Entry>, now: Instant) -> bool {
        self.enter(newer.id, Phase::Second, now);
        self.forget_second_of(older.id);
        self.seconds.insert(older.id, newer.clone());
        // A return that failed has come to pass after all.
        if self
            .held
            .get(&older.id)
            .is_some_and(|slot| slot.phase == Phase::Abandoned)
        {
            self.finish(older, End::Returned(Duration::ZERO), now);
        }
        true
    }

    /// There is a newer receipt yet.
    fn forget_second_of(&mut self, id: u64) {
        if let Some(stale) = self.seconds.remove(&id) {
            self.held.remove(&stale.id);
        }
    }

    /// Puts a newer receipt into the place of the one that has ended. `false` if there is none.
    pub(super) fn second_takes_over(&mut self, older: &Slot, end: End, now: Instant) -> bool {
        let Some(second) = self.seconds.remove(&older.entry.id) else {
            return false;
        };
        second.succeeds(older.entry.place(), older.entry.all_retries());
        if let Some(slot) = self.held.get_mut(&second.id) {
            slot.claims = older.claims;
        }
        if matches!(end, End::Deleted | End::Handled) {
            self.delete(&second, now);
            return true;
        }
        if self.stopping {
            self.give_back(&second, Duration::ZERO, now);
            return true;
        }
        self.enter(second.id, Phase::Waiting, now);
        if !older.claims {
            self.wait(&second);
            return true;
        }
        let group = second.group.as_deref();
        let claims = self.backlog.again(group, second.place(), second.clone());
        if let Some(slot) = self.held.get_mut(&second.id) {
            slot.claims = claims;
        }
        true
    }

    /// It was handled by an earlier receipt, and is to be deleted by this one.
    pub(super) fn delete(&mut self, entry: &Arc<Entry>, now: Instant) {
        if self.enter(entry.id, Phase::Settling, now) {
            self.delete.push(entry.clone());
        }
    }
}
