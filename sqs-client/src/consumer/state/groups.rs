//! The consequences of a message's end for its FIFO group and for the message itself.
//!
//! A failed message is retried in place a few times, and then returned to the queue alone. The messages behind it stay
//! in flight, so that their receive counts do not grow. SQS returns the messages of a group up to its first one in
//! flight. A later receive therefore returns only that message, until a redrive policy moves it away.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::arrival::Treatment;
use crate::consumer::backlog::{NextStep, Position};
use crate::consumer::state::end::{End, Returned};
use crate::consumer::state::{Phase, State};
use crate::consumer::tracked::TrackedMessage;
use crate::types::Message;

/// The time within which a visible message is received again, or the visibility timeout if that is less. Otherwise, a
/// dead-letter queue or a competing consumer has it.
const COMES_AGAIN_WITHIN: Duration = Duration::from_secs(10);

/// The time after which a server that seemed to lock whole groups is tried again.
const LOCKED_GROUPS_FOR: Duration = Duration::from_secs(900);

impl State {
    /// Returns the message's group, if groups are kept in order.
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

    /// Returns the position and the retries of a message that this consumer returned to the queue.
    pub(super) fn recall(&mut self, message: &Message, sent_at: Instant) -> Option<(Position, u32)> {
        let returned = self.returned.take(&message.message_id)?;
        let receives = message.attributes.approximate_receive_count();
        // No competing consumer received it, so the messages in flight behind it kept it from coming again.
        if returned.was_withheld(sent_at) && receives == Some(returned.receives.saturating_add(1)) {
            tracing::info!(
                "the server locks a message group while any of its messages is in flight; \
                 messages are received one at a time, and returned with their groups"
            );
            self.locks_groups = Some(sent_at + LOCKED_GROUPS_FOR);
        }
        Some((returned.position, returned.retries))
    }

    /// Yields, together with this message, the later ones of its group that pass the filter. They share its claim.
    pub(in crate::consumer) fn take_later(
        &mut self,
        head: &TrackedMessage,
        mut filter: impl FnMut(&Message) -> bool,
        now: Instant,
    ) -> Vec<Arc<TrackedMessage>> {
        let Some(group) = head.group.as_deref().filter(|_| self.has_turn(head)) else {
            return Vec::new();
        };
        let taken = self.backlog.claim_behind(group, |tracked| {
            tracked.treatment == Treatment::Handle && tracked.lease().is_valid(now) && filter(&tracked.message())
        });
        for tracked in &taken {
            if let Some(slot) = self.tracked.get_mut(&tracked.id) {
                slot.shares_claim = true;
            }
            self.enter(tracked.id, Phase::Handling, now);
        }
        taken
    }

    /// Returns the messages behind this one in its group to the queue.
    pub(in crate::consumer) fn return_later(&mut self, head: &TrackedMessage, now: Instant) {
        if let Some(group) = head.group.as_deref().filter(|_| self.has_turn(head)) {
            let behind = self.backlog.remove_behind(group);
            self.return_all(behind, now);
        }
    }

    /// Returns `true` if the message shares its group's claim and was yielded.
    fn has_turn(&self, head: &TrackedMessage) -> bool {
        let was_yielded = |phase| matches!(phase, Phase::Handling | Phase::Parked | Phase::Settling);
        let slot = self.tracked.get(&head.id);
        slot.is_some_and(|slot| slot.shares_claim && was_yielded(slot.phase))
    }

    /// Lets a failed message wait for a retry in place after this pause, ahead of its group. Returns `false` if it must be
    /// returned to the queue instead.
    ///
    /// If too many messages wait for returned ones already, it is retried in place for as long as it may be in flight.
    /// Returning its group with it would dead-letter messages that no handler has seen.
    pub(in crate::consumer) fn retry_in_place(
        &mut self,
        tracked: &TrackedMessage,
        pause: Duration,
        now: Instant,
    ) -> bool {
        let Some(slot) = self.tracked.get(&tracked.id) else {
            return false;
        };
        let lasts =
            tracked.lease().is_valid(now) && tracked.lease().max_extension(now) > pause.saturating_add(self.visibility);
        let may_retry = slot.shares_claim && slot.phase == Phase::Handling && !self.stopping;
        let Some(group) = tracked.group.as_deref() else {
            return false;
        };
        let may_return = !self.backlog.has_behind(group) || self.locks_groups.is_some() || self.can_keep_behind(group);
        let is_over = tracked.retries() >= self.retries_in_place && may_return;
        if !may_retry || !lasts || !tracked.has_content() || is_over {
            return false;
        }
        if !self.backlog.await_retry(group) {
            return false;
        }
        tracked.count_retry();
        self.enter(tracked.id, Phase::AwaitingRetry, now);
        if let Some(slot) = self.tracked.get_mut(&tracked.id) {
            slot.retry_at = now + pause;
        }
        self.heartbeat_due = true;
        true
    }

    pub(super) fn start_retry(&mut self, tracked: &Arc<TrackedMessage>, now: Instant) {
        self.enter(tracked.id, Phase::Buffered, now);
        self.backlog
            .requeue(tracked.group.as_deref(), tracked.position(), tracked.clone());
    }

    /// Ends the tracking of a message.
    pub(in crate::consumer) fn finish(&mut self, tracked: &TrackedMessage, end: End, now: Instant) {
        self.enter(tracked.id, Phase::Returning, now);
        let Some(slot) = self.tracked.remove(&tracked.id) else {
            return;
        };
        if end == End::Handled {
            self.finished.insert(&tracked.message().message_id, ());
        }
        if self.successor_takes_over(&slot, end, now) {
            return;
        }
        if let End::Returned(delay) = end {
            self.remember(tracked, now + delay);
        }
        if let Some(group) = tracked.group.as_deref().filter(|_| slot.shares_claim) {
            let next = self.next_step(tracked, group, end, now);
            let leave = self.backlog.done(group, next);
            self.return_all(leave, now);
        }
    }

    fn next_step(&self, tracked: &TrackedMessage, group: &str, end: End, now: Instant) -> NextStep {
        match end {
            End::Deleted => NextStep::Proceed,
            End::Returned(delay) if self.can_keep_behind(group) => {
                NextStep::Await(tracked.position(), now + delay + self.comes_again_within())
            }
            _ => NextStep::Leave,
        }
    }

    fn can_keep_behind(&self, group: &str) -> bool {
        !self.stopping && self.locks_groups.is_none() && self.backlog.may_wait(group, self.max_stalled())
    }

    /// Returns the maximum number of messages that wait for failed ones without counting toward the room of polls.
    pub(super) fn max_stalled(&self) -> usize {
        self.concurrency.saturating_add(self.max_prefetch)
    }

    fn comes_again_within(&self) -> Duration {
        COMES_AGAIN_WITHIN.min(self.visibility)
    }

    fn remember(&mut self, tracked: &TrackedMessage, visible_by: Instant) {
        let returned = Returned {
            position: tracked.position(),
            retries: tracked.all_retries(),
            receives: tracked.receives(),
            group: tracked.group.clone(),
            visible_by,
            group_returned: None,
            withheld: false,
        };
        if tracked.group.is_some() {
            self.returned.insert(&tracked.message().message_id, returned);
        }
    }

    /// Notes an empty poll that was sent no earlier than `sent_at`, and waited to its end.
    pub(in crate::consumer) fn poll_was_empty(&mut self, sent_at: Instant) {
        self.last_empty = self.last_empty.max(Some(sent_at));
    }

    /// Returns the messages behind a returned one that was not received again. Does nothing while no poll is open,
    /// because no message can arrive then.
    pub(super) fn return_overdue(&mut self, now: Instant) {
        if self.reserved == 0 {
            return;
        }
        let belongs = |first: &Arc<TrackedMessage>, later: &Arc<TrackedMessage>| {
            (self.belongs_with)(&first.message(), &later.message())
        };
        let overdue = self.backlog.overdue(now, belongs);
        // The first message last, because until then SQS delivers none of those that belong together.
        for probe in overdue.probes.into_iter().rev() {
            if let Some(slot) = self.tracked.get_mut(&probe.id) {
                slot.shares_claim = true;
            }
            self.schedule_return(&probe, Duration::ZERO, now);
        }
        for returned in self.returned.values_mut() {
            let group = returned.group.as_ref();
            if group.is_some_and(|group| overdue.groups.contains(group)) {
                returned.group_returned = Some(now);
                returned.withheld = self.last_empty.is_some_and(|sent_at| sent_at >= returned.visible_by);
            }
        }
        self.return_all(overdue.rest, now);
    }

    /// Returns messages in their order, so that a server which returns any visible message returns the first of a group first.
    pub(super) fn return_all(&mut self, messages: Vec<Arc<TrackedMessage>>, now: Instant) {
        for tracked in messages {
            self.schedule_return(&tracked, Duration::ZERO, now);
        }
    }
}
