//! The messages in flight, and the free slots. Does no I/O.

mod end;
mod groups;
mod receipts;
mod round;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::arrival::Treatment;
use crate::consumer::backlog::Backlog;
use crate::consumer::lease;
use crate::consumer::recent::Recent;
use crate::consumer::settings::Settings;
use crate::consumer::tracked::TrackedMessage;
use crate::error::Error;
use crate::limits::MAX_BATCH_ENTRIES;
use crate::queue_name::is_fifo;
use crate::types::Message;

use end::Returned;

pub(super) use end::End;

/// The phase of a message in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The message waits in the backlog.
    Buffered,
    /// The message waits for its retry in place, with its group's claim.
    AwaitingRetry,
    /// The receipt waits for the end of an older receipt of the same message.
    Successor,
    /// The message was yielded to be handled.
    Handling,
    /// The yielded message waits for other messages. It uses no handler's slot, and does not count toward the room of
    /// polls.
    Parked,
    /// The handling has ended, and the acknowledgement is in progress.
    Settling,
    /// The return to the queue is in progress.
    Returning,
    /// Its return failed. It counts as in flight until it reappears by itself.
    Abandoned,
}

impl Phase {
    /// Returns `true` if the lease is extended in this phase.
    fn is_extended(self) -> bool {
        match self {
            Self::Buffered | Self::AwaitingRetry | Self::Successor | Self::Handling | Self::Parked | Self::Settling => {
                true
            }
            Self::Returning | Self::Abandoned => false,
        }
    }
}

#[derive(Debug)]
struct Slot {
    tracked: Arc<TrackedMessage>,
    phase: Phase,
    /// The time at which it entered the phase.
    since: Instant,
    /// The time of its retry, if it awaits one.
    retry_at: Instant,
    /// `true` if it shares its group's claim, so that no other message of the group is handled.
    shares_claim: bool,
}

/// The tasks that have something to do after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wakes {
    pub(super) stream: bool,
    pub(super) poller: bool,
    pub(super) heartbeat: bool,
    /// The shutdown, which waits until nothing is in flight.
    pub(super) at_rest: bool,
}

#[derive(Debug)]
pub(super) struct State {
    concurrency: usize,
    min_receive: usize,
    belongs_with: fn(&Message, &Message) -> bool,
    max_prefetch: usize,
    /// The number of messages that may be buffered now.
    prefetch: usize,
    visibility: Duration,
    ordered: bool,
    /// `true` for a FIFO queue, whose messages have groups.
    fifo: bool,
    retries_in_place: u32,
    backlog: Backlog<Arc<TrackedMessage>>,
    tracked: HashMap<u64, Slot>,
    returns: Vec<(Arc<TrackedMessage>, Duration)>,
    deletions: Vec<Arc<TrackedMessage>>,
    /// The newer receipts of messages in flight, by the id of the older one.
    successors: HashMap<u64, Arc<TrackedMessage>>,
    /// Messages that were handled, but perhaps not deleted.
    finished: Recent<()>,
    /// Messages that were returned to the queue.
    returned: Recent<Returned>,
    /// The start of the last empty poll.
    last_empty: Option<Instant>,
    /// The time until which the server is assumed to lock a group while any message of it is in flight.
    locks_groups: Option<Instant>,
    warned_of_groups: bool,
    next_id: u64,
    /// Slots that open polls may fill.
    reserved: usize,
    /// The number of messages in each of these phases.
    handling: usize,
    parked: usize,
    abandoned: usize,
    /// The average time for which messages are handled.
    average_handling: Option<Duration>,
    /// `true` if the heartbeat must check the messages before its next regular round.
    heartbeat_due: bool,
    /// `true` if the poller waits for free slots, or the stream for a message. A change wakes them.
    poller_waits: bool,
    stream_waits: bool,
    pub(super) polling: bool,
    /// `true` for the message of a unit test. No other message arrives, and nothing is yielded again.
    #[cfg(feature = "testing")]
    pub(super) only_message: bool,
    stopping: bool,
    pub(super) error: Option<Error>,
}

impl State {
    pub(super) fn new(settings: &Settings, queue_url: &str) -> Self {
        Self {
            concurrency: settings.concurrency,
            min_receive: settings.min_receive,
            belongs_with: settings.belongs_with,
            max_prefetch: settings.prefetch(),
            prefetch: 0,
            visibility: settings.visibility_timeout,
            ordered: settings.ordered,
            fifo: is_fifo(queue_url),
            retries_in_place: settings.retries_in_place,
            backlog: Backlog::default(),
            tracked: HashMap::new(),
            returns: Vec::new(),
            deletions: Vec::new(),
            successors: HashMap::new(),
            finished: Recent::default(),
            returned: Recent::default(),
            last_empty: None,
            locks_groups: None,
            warned_of_groups: false,
            next_id: 0,
            reserved: 0,
            handling: 0,
            parked: 0,
            abandoned: 0,
            average_handling: None,
            heartbeat_due: false,
            poller_waits: false,
            stream_waits: false,
            polling: false,
            #[cfg(feature = "testing")]
            only_message: false,
            stopping: false,
            error: None,
        }
    }

    /// Returns the number of messages in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.tracked.len()
    }

    /// Returns the interval of the heartbeat.
    fn tick(&self) -> Duration {
        lease::usable(self.visibility) / 8
    }

    /// Records the handling time of a message. Limits prefetching so that a buffered message waits at most half a lease.
    /// Prefetches nothing until one message has been timed.
    fn record_handling_time(&mut self, took: Duration) {
        let average = self.average_handling.map_or(took, |average| average / 8 * 7 + took / 8);
        self.average_handling = Some(average);
        let in_time = (lease::usable(self.visibility) / 2).as_nanos() / average.as_nanos().max(1);
        let in_time = usize::try_from(in_time).unwrap_or(usize::MAX);
        self.prefetch = in_time.saturating_mul(self.concurrency).min(self.max_prefetch);
    }

    /// Returns the number of messages that a poll may request now. Fewer than 10 only if waiting for more room would let
    /// handlers idle.
    fn room(&self) -> Option<usize> {
        let prefetch = self.prefetch.max(self.min_receive - 1);
        let bound = self.concurrency.saturating_add(prefetch);
        let stalled = self.backlog.stalled().min(self.max_stalled());
        let takes_room = self.tracked.len().saturating_sub(self.parked + stalled);
        let free = bound.saturating_sub(takes_room + self.reserved);
        let worth_it = self.prefetch.div_ceil(2).clamp(self.min_receive, MAX_BATCH_ENTRIES);
        // If a failed message cannot be returned alone, no message of its group should be in flight behind it.
        let max = if self.locks_groups.is_some() {
            self.min_receive
        } else {
            MAX_BATCH_ENTRIES
        };
        let room = if free >= worth_it {
            free.min(max)
        } else {
            self.room_for_returned(bound)?
        };
        (!self.stopping).then_some(room)
    }

    /// Returns the number of messages that a poll may request without room. Only a poll can receive a message again
    /// that was returned alone. There is one such poll at a time, with a separate limit, because it may receive other
    /// messages.
    fn room_for_returned(&self, bound: usize) -> Option<usize> {
        let bound = bound
            .saturating_add(self.max_stalled())
            .saturating_add(MAX_BATCH_ENTRIES);
        let fits = self.tracked.len().saturating_sub(self.parked) + self.min_receive <= bound;
        (fits && self.reserved == 0 && self.backlog.awaits()).then_some(self.min_receive)
    }

    /// Reserves slots for a poll. [`unreserve`](Self::unreserve) must follow.
    pub(super) fn reserve(&mut self) -> Option<usize> {
        let room = self.room();
        self.poller_waits = room.is_none();
        self.reserved += room.unwrap_or(0);
        room
    }

    pub(super) fn unreserve(&mut self, slots: usize) {
        self.reserved = self.reserved.saturating_sub(slots);
    }

    /// Returns the next message to handle, if one more may be handled.
    pub(super) fn next(&mut self, now: Instant) -> Option<Arc<TrackedMessage>> {
        self.stream_waits = false;
        while self.handling < self.concurrency && !self.stopping {
            let Some(tracked) = self.backlog.pop() else { break };
            if let Some(slot) = self.tracked.get_mut(&tracked.id) {
                slot.shares_claim = true;
            }
            if self.finished.contains(&tracked.message().message_id) {
                self.delete(&tracked, now);
                continue;
            }
            let is_leased = tracked.lease().is_valid(now);
            if is_leased && tracked.treatment != Treatment::Handle {
                self.schedule_return(&tracked, Duration::ZERO, now);
                continue;
            }
            if is_leased {
                self.enter(tracked.id, Phase::Handling, now);
                return Some(tracked);
            }
            tracing::debug!(message_id = %tracked.message().message_id, "lost the lease of a buffered message");
            self.finish(&tracked, End::Lost, now);
        }
        self.stream_waits = true;
        None
    }

    /// Parks a message until the messages that it belongs with arrive. Its owner deals with newer receipts of it.
    pub(super) fn park(&mut self, tracked: &TrackedMessage, now: Instant) {
        if self.phase(tracked) == Some(Phase::Handling) {
            self.enter(tracked.id, Phase::Parked, now);
            if let Some(successor) = self.successors.remove(&tracked.id) {
                self.enter(successor.id, Phase::Buffered, now);
                self.buffer(&successor);
            }
        }
    }

    /// Counts a parked message as being handled again.
    pub(super) fn resume(&mut self, tracked: &TrackedMessage, now: Instant) {
        if self.phase(tracked) == Some(Phase::Parked) {
            self.enter(tracked.id, Phase::Handling, now);
        }
    }

    /// Returns `true` if the stream has ended.
    pub(super) fn is_exhausted(&self) -> bool {
        self.stopping || (!self.polling && self.backlog.len() == 0)
    }

    /// Notes that the acknowledgement of a message begins, so that it no longer uses a handler's slot.
    pub(super) fn begin_settling(&mut self, tracked: &TrackedMessage, now: Instant) {
        self.enter(tracked.id, Phase::Settling, now);
    }

    /// Lets the heartbeat return a message to the queue, visible after this delay, or after a rejected message's own delay
    /// if that is longer.
    pub(super) fn schedule_return(&mut self, tracked: &Arc<TrackedMessage>, delay: Duration, now: Instant) {
        if self.enter(tracked.id, Phase::Returning, now) {
            self.returns
                .push((tracked.clone(), delay.max(tracked.treatment.delay())));
        }
    }

    /// Notes that the return of a message failed.
    pub(super) fn return_failed(&mut self, tracked: &TrackedMessage, now: Instant) {
        self.enter(tracked.id, Phase::Abandoned, now);
    }

    /// Returns `true` if the lease of the message is to be extended.
    pub(super) fn is_extended(&self, tracked: &TrackedMessage) -> bool {
        self.phase(tracked).is_some_and(Phase::is_extended)
    }

    /// Returns `true` if the acknowledgement or return of the message is in progress.
    pub(super) fn is_settling(&self, tracked: &TrackedMessage) -> bool {
        self.phase(tracked) == Some(Phase::Settling)
    }

    fn phase(&self, tracked: &TrackedMessage) -> Option<Phase> {
        self.tracked.get(&tracked.id).map(|slot| slot.phase)
    }

    /// Stops the consumer. No poll begins, and no buffered message is handled.
    pub(super) fn stop(&mut self, now: Instant) {
        self.stopping = true;
        if !self.polling {
            self.return_buffered(now);
        }
    }

    /// Notes that the last poll has ended.
    pub(super) fn polls_ended(&mut self, now: Instant) {
        self.polling = false;
        if self.stopping {
            self.return_buffered(now);
        }
    }

    /// Returns the buffered messages to the queue. Must follow the end of the last poll, which would otherwise receive them
    /// again and raise their receive counts.
    fn return_buffered(&mut self, now: Instant) {
        let retrying = self.tracked.values().filter(|slot| slot.phase == Phase::AwaitingRetry);
        let retrying: Vec<_> = retrying.map(|slot| (slot.tracked.clone(), slot.retry_at)).collect();
        for (tracked, retry_at) in retrying {
            self.schedule_return(&tracked, retry_at.saturating_duration_since(now), now);
        }
        let buffered = self.backlog.drain();
        self.return_all(buffered, now);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Returns `true` if the consumer is stopped, and no message is in flight except abandoned ones.
    pub(super) fn is_at_rest(&self) -> bool {
        #[cfg(feature = "testing")]
        if self.only_message {
            // A message that awaits its retry in place is never retried.
            let is_over = |slot: &Slot| matches!(slot.phase, Phase::Buffered | Phase::AwaitingRetry | Phase::Abandoned);
            return self.tracked.values().all(is_over);
        }
        self.stopping && !self.polling && self.tracked.len() == self.abandoned
    }

    /// Returns the tasks to wake. Each waiting task is woken once.
    pub(super) fn wakes(&mut self) -> Wakes {
        let deliverable = (self.handling < self.concurrency && self.backlog.has_ready()) || self.is_exhausted();
        let stream = self.stream_waits && deliverable;
        let poller = self.poller_waits && self.room().is_some();
        self.stream_waits &= !stream;
        self.poller_waits &= !poller;
        Wakes {
            stream,
            poller,
            heartbeat: self.heartbeat_due || !self.returns.is_empty() || !self.deletions.is_empty(),
            at_rest: self.is_at_rest(),
        }
    }

    /// Moves a message into a phase. Returns `false` if the message is no longer tracked.
    fn enter(&mut self, id: u64, phase: Phase, now: Instant) -> bool {
        let Some(slot) = self.tracked.get_mut(&id) else {
            return false;
        };
        let before = std::mem::replace(&mut slot.phase, phase);
        let since = std::mem::replace(&mut slot.since, now);
        for (count, counted) in [
            (&mut self.handling, Phase::Handling),
            (&mut self.parked, Phase::Parked),
            (&mut self.abandoned, Phase::Abandoned),
        ] {
            *count += usize::from(phase == counted);
            *count -= usize::from(before == counted);
        }
        if before == Phase::Handling && phase != Phase::Parked {
            self.record_handling_time(now.saturating_duration_since(since));
        }
        true
    }
}

#[cfg(test)]
mod tests;
