//! What follows the handling of a message: for its FIFO group, and for the message itself.
//!
//! A message that failed is retried in place a few times, and then returned to the queue alone. What waits behind it
//! stays in flight, so that its receive count does not grow. SQS yields a group up to its first message in flight, so the
//! returned one comes again by itself, until a redrive policy takes it away.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::arrival::Turn;
use crate::consumer::backlog::{Place, Then};
use crate::consumer::held::Entry;
use crate::consumer::state::{Phase, State};
use crate::types::Message;

/// A returned message is received again by then, once it is visible; a visibility timeout where that is less. A
/// dead-letter queue or a competing consumer has it otherwise.
const COMES_AGAIN_WITHIN: Duration = Duration::from_secs(10);

/// A poll that waited for this long, or to its end, would have brought what is visible.
const WAITED_IN_VAIN: Duration = Duration::from_secs(1);

/// The time after which a server that seemed to lock whole groups is tried again.
const LOCKED_GROUPS_FOR: Duration = Duration::from_secs(900);

/// The end of a message's time with the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum End {
    /// It was surely deleted.
    Deleted,
    /// It was handled, and perhaps not deleted.
    Handled,
    /// It is in the queue again, visible after this time.
    Returned(Duration),
    /// Nobody knows who has it.
    Lost,
}

/// What is remembered of a returned message.
#[derive(Debug)]
pub(super) struct Returned {
    place: Place,
    retries: u32,
    receives: u32,
    group: Option<String>,
    /// When it is visible at the latest.
    visible: Instant,
    /// When its group was returned as well, as it had not come again.
    group_returned: Option<Instant>,
    /// A poll brought nothing at all while it was visible.
    withheld: bool,
}

impl Returned {
    /// Returns `true` if a server that had it to give kept it back until its group was returned. That it came late proves
    /// nothing, where polls are full of others. `asked` is when the poll began that brought it.
    fn was_withheld(&self, asked: Instant) -> bool {
        self.group_returned
            .is_some_and(|at| self.withheld || asked + WAITED_IN_VAIN <= at)
    }
}

impl State {
    /// Returns the message's group, where groups are kept in order.
    pub(super) fn group_of(&mut self, message: &Message) -> Option<String> {
        let group = message.attributes.message_group_id().filter(|_| self.ordered);
        if self.ordered && self.fifo && group.is_none() && !std::mem::replace(&mut self.warned_of_groups, true) {
            tracing::warn!(
                "the server returns messages of a FIFO queue without their message group; \
                 they are handled one at a time, as one group"
            );
        }
        let none = || (self.ordered && self.fifo).then(String::new);
        group.map(str::to_owned).or_else(none)
    }

    /// Returns the place and the retries of a message that this consumer returned to the queue.
    pub(super) fn recall(&mut self, message: &Message, asked: Instant) -> Option<(Place, u32)> {
        let returned = self.returned.take(&message.message_id)?;
        let receives = message.attributes.approximate_receive_count();
        // Nobody else had it: what was in flight behind it kept it from coming again.
        if returned.was_withheld(asked) && receives == Some(returned.receives.saturating_add(1)) {
            tracing::info!(
                "the server locks a message group while any of it is in flight; \
                 messages are received one at a time, and returned with their groups"
            );
            self.locks_groups = Some(asked + LOCKED_GROUPS_FOR);
        }
        Some((returned.place, returned.retries))
    }

    /// Gives out, too, what waits behind this one in its group and passes the filter. They share its claim.
    pub(in crate::consumer) fn take_behind(
        &mut self,
        head: &Entry,
        mut filter: impl FnMut(&Message) -> bool,
        now: Instant,
    ) -> Vec<Arc<Entry>> {
        let Some(group) = head.group.as_deref().filter(|_| self.has_turn(head)) else {
            return Vec::new();
        };
        let taken = self.backlog.claim_behind(group, |entry| {
            entry.turn == Turn::Handle && entry.lease().holds(now) && filter(&entry.message())
        });
        for entry in &taken {
            if let Some(slot) = self.held.get_mut(&entry.id) {
                slot.claims = true;
            }
            self.enter(entry.id, Phase::Out, now);
        }
        taken
    }

    /// Returns to the queue what waits behind this one in its group.
    pub(in crate::consumer) fn return_behind(&mut self, head: &Entry, now: Instant) {
        if let Some(group) = head.group.as_deref().filter(|_| self.has_turn(head)) {
            let behind = self.backlog.take_behind(group);
            self.return_all(behind, now);
        }
    }

    /// Returns `true` if it is its group's turn, and somebody has it.
    fn has_turn(&self, head: &Entry) -> bool {
        let is_out = |phase| matches!(phase, Phase::Out | Phase::Aside | Phase::Settling);
        let slot = self.held.get(&head.id);
        slot.is_some_and(|slot| slot.claims && is_out(slot.phase))
    }

    /// Keeps a message whose handling failed for another turn after this pause, ahead of its group. `false` if it is to
    /// be returned to the queue.
    ///
    /// Where too many wait already for messages that were returned, it is retried in place for as long as it may be in
    /// flight: if its group were returned with it, messages would reach the dead-letter queue that no handler has seen.
    pub(in crate::consumer) fn retry_in_place(&mut self, entry: &Entry, pause: Duration, now: Instant) -> bool {
        let Some(slot) = self.held.get(&entry.id) else {
            return false;
        };
        let lasts = entry.lease().holds(now) && entry.lease().longest(now) > pause.saturating_add(self.visibility);
        let may_retry = slot.claims && slot.phase == Phase::Out && !self.stopping;
        let Some(group) = entry.group.as_deref() else {
            return false;
        };
        let may_return = !self.backlog.has_behind(group) || self.locks_groups.is_some() || self.lets_behind_wait(group);
        let is_over = entry.retries() >= self.retries_in_place && may_return;
        if !may_retry || !lasts || !entry.is_whole() || is_over {
            return false;
        }
        if !self.backlog.park(group) {
            return false;
        }
        entry.retried();
        self.enter(entry.id, Phase::Parked, now);
        if let Some(slot) = self.held.get_mut(&entry.id) {
            slot.due = now + pause;
        }
        self.hurry = true;
        true
    }

    pub(super) fn unpark(&mut self, entry: &Arc<Entry>, now: Instant) {
        self.enter(entry.id, Phase::Waiting, now);
        self.backlog.again(entry.group.as_deref(), entry.place(), entry.clone());
    }

    /// It is held no more.
    pub(in crate::consumer) fn finish(&mut self, entry: &Entry, end: End, now: Instant) {
        self.enter(entry.id, Phase::Releasing, now);
        let Some(slot) = self.held.remove(&entry.id) else {
            return;
        };
        if end == End::Handled {
            self.finished.insert(&entry.message().message_id, ());
        }
        if self.second_takes_over(&slot, end, now) {
            return;
        }
        if let End::Returned(delay) = end {
            self.remember(entry, now + delay);
        }
        if let Some(group) = entry.group.as_deref().filter(|_| slot.claims) {
            let then = self.then(entry, group, end, now);
            let leave = self.backlog.done(group, then);
            self.return_all(leave, now);
        }
    }

    fn then(&self, entry: &Entry, group: &str, end: End, now: Instant) -> Then {
        match end {
            End::Deleted => Then::Next,
            End::Returned(delay) if self.lets_behind_wait(group) => {
                Then::Await(entry.place(), now + delay + self.comes_again_within())
            }
            _ => Then::Leave,
        }
    }

    fn lets_behind_wait(&self, group: &str) -> bool {
        !self.stopping && self.locks_groups.is_none() && self.backlog.may_wait(group, self.most_stalled())
    }

    /// Returns how many messages may wait for failed ones without taking room from polls.
    pub(super) fn most_stalled(&self) -> usize {
        self.concurrency.saturating_add(self.most_prefetch)
    }

    fn comes_again_within(&self) -> Duration {
        COMES_AGAIN_WITHIN.min(self.visibility)
    }

    fn remember(&mut self, entry: &Entry, visible: Instant) {
        let returned = Returned {
            place: entry.place(),
            retries: entry.all_retries(),
            receives: entry.receives(),
            group: entry.group.clone(),
            visible,
            group_returned: None,
            withheld: false,
        };
        if entry.group.is_some() {
            self.returned.insert(&entry.message().message_id, returned);
        }
    }

    /// A poll that was sent no earlier than `asked` waited to its end, and brought nothing.
    pub(in crate::consumer) fn came_nothing(&mut self, asked: Instant) {
        self.last_empty = self.last_empty.max(Some(asked));
    }

    /// Returns messages behind a returned one that did not come again. While no poll is under way, nothing could come.
    pub(super) fn return_overdue(&mut self, now: Instant) {
        if self.reserved == 0 {
            return;
        }
        let overdue = self.backlog.overdue(now);
        for probe in overdue.probes {
            if let Some(slot) = self.held.get_mut(&probe.id) {
                slot.claims = true;
            }
            self.give_back(&probe, Duration::ZERO, now);
        }
        for returned in self.returned.values_mut() {
            let group = returned.group.as_ref();
            if group.is_some_and(|group| overdue.groups.contains(group)) {
                returned.group_returned = Some(now);
                returned.withheld = self.last_empty.is_some_and(|asked| asked >= returned.visible);
            }
        }
        self.return_all(overdue.rest, now);
    }

    /// In their order, so that even a server which yields what is visible yields the first of a group first.
    pub(super) fn return_all(&mut self, entries: Vec<Arc<Entry>>, now: Instant) {
        for entry in entries {
            self.give_back(&entry, Duration::ZERO, now);
        }
    }
}
