//! What a consumer holds, and what it has room for: no I/O.

mod groups;
mod receipts;
mod round;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::Settings;
use crate::consumer::arrival::Turn;
use crate::consumer::backlog::Backlog;
use crate::consumer::held::Entry;
use crate::consumer::lease;
use crate::consumer::recent::Recent;
use crate::error::Error;
use crate::limits::MAX_BATCH_ENTRIES;
use crate::operation::is_fifo;

pub(super) use groups::End;
use groups::Returned;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// In the backlog.
    Waiting,
    /// Waiting for its next turn after its handling failed, with its group's claim.
    Parked,
    /// Waiting for the end of an older receipt of the same message.
    Second,
    /// Given out to be handled.
    Out,
    /// Given out, and kept for something that is to come: it takes no handler's place, and no room from polls.
    Aside,
    /// Handled; its acknowledgement is under way.
    Settling,
    /// Being given back to the queue.
    Releasing,
    /// Giving it back failed: it counts as held until it is visible again by itself.
    Abandoned,
}

impl Phase {
    /// Whether the lease is kept up.
    fn is_kept(self) -> bool {
        match self {
            Self::Waiting | Self::Parked | Self::Second | Self::Out | Self::Aside | Self::Settling => true,
            Self::Releasing | Self::Abandoned => false,
        }
    }
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    phase: Phase,
    /// When it entered the phase.
    since: Instant,
    /// When a parked message has its next turn.
    due: Instant,
    /// Whether it has a part in its group's claim, so that nothing else of the group is handled.
    claims: bool,
}

/// Who has something to do after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wakes {
    pub(super) stream: bool,
    pub(super) poller: bool,
    pub(super) heartbeat: bool,
    /// Whoever waits for a stopped consumer to hold nothing.
    pub(super) rest: bool,
}

#[derive(Debug)]
pub(super) struct State {
    concurrency: usize,
    min_receive: usize,
    most_prefetch: usize,
    /// How many messages may wait now.
    prefetch: usize,
    visibility: Duration,
    ordered: bool,
    /// Whether the queue is one whose messages have groups.
    fifo: bool,
    retries_in_place: u32,
    backlog: Backlog<Arc<Entry>>,
    held: HashMap<u64, Slot>,
    release: Vec<(Arc<Entry>, Duration)>,
    delete: Vec<Arc<Entry>>,
    /// Newer receipts of what is held, by the older one.
    seconds: HashMap<u64, Arc<Entry>>,
    /// Messages that were handled, and whose deletion is not sure.
    finished: Recent<()>,
    /// Messages that went back to the queue.
    returned: Recent<Returned>,
    /// When the last poll began that brought nothing.
    last_empty: Option<Instant>,
    /// Until when the server counts as one that locks a group while any of it is in flight.
    locks_groups: Option<Instant>,
    warned_of_groups: bool,
    next_id: u64,
    /// Slots that polls under way may fill.
    reserved: usize,
    /// How many are [`Phase::Out`], [`Phase::Aside`] and [`Phase::Abandoned`].
    out: usize,
    aside: usize,
    abandoned: usize,
    /// How long messages are out, on average.
    handling: Option<Duration>,
    /// Something is held that the heartbeat has not seen and should.
    hurry: bool,
    /// The poller has found no room, and the stream no message: to be woken once there is.
    poller_waits: bool,
    stream_waits: bool,
    pub(super) polling: bool,
    stopping: bool,
    pub(super) error: Option<Error>,
}

impl State {
    pub(super) fn new(settings: &Settings, queue_url: &str) -> Self {
        Self {
            concurrency: settings.concurrency,
            min_receive: settings.min_receive,
            most_prefetch: settings.prefetch(),
            prefetch: 0,
            visibility: settings.visibility_timeout,
            ordered: settings.ordered,
            fifo: is_fifo(queue_url),
            retries_in_place: settings.retries_in_place,
            backlog: Backlog::default(),
            held: HashMap::new(),
            release: Vec::new(),
            delete: Vec::new(),
            seconds: HashMap::new(),
            finished: Recent::default(),
            returned: Recent::default(),
            last_empty: None,
            locks_groups: None,
            warned_of_groups: false,
            next_id: 0,
            reserved: 0,
            out: 0,
            aside: 0,
            abandoned: 0,
            handling: None,
            hurry: false,
            poller_waits: false,
            stream_waits: false,
            polling: false,
            stopping: false,
            error: None,
        }
    }

    /// How many messages are held.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// How often the heartbeat looks at what is held.
    fn tick(&self) -> Duration {
        lease::usable(self.visibility) / 8
    }

    /// Takes note of how long a message was out. So many may wait that they do for half a lease at most; none until the
    /// first time is known.
    fn handled(&mut self, took: Duration) {
        let average = self.handling.map_or(took, |average| average / 8 * 7 + took / 8);
        self.handling = Some(average);
        let in_time = (lease::usable(self.visibility) / 2).as_nanos() / average.as_nanos().max(1);
        let in_time = usize::try_from(in_time).unwrap_or(usize::MAX);
        self.prefetch = in_time.saturating_mul(self.concurrency).min(self.most_prefetch);
    }

    /// Returns the number of messages that a poll may ask for now. Fewer than 10 only where waiting for more would let
    /// handlers idle.
    fn room(&self) -> Option<usize> {
        let prefetch = self.prefetch.max(self.min_receive - 1);
        let bound = self.concurrency.saturating_add(prefetch);
        let stalled = self.backlog.stalled().min(self.most_stalled());
        let takes_room = self.held.len().saturating_sub(self.aside + stalled);
        let free = bound.saturating_sub(takes_room + self.reserved);
        let worth_it = self.prefetch.div_ceil(2).clamp(self.min_receive, MAX_BATCH_ENTRIES);
        // Where a failed message cannot be returned alone, nothing should be in flight behind it.
        let most = if self.locks_groups.is_some() {
            self.min_receive
        } else {
            MAX_BATCH_ENTRIES
        };
        let room = if free >= worth_it {
            free.min(most)
        } else {
            self.room_for_returned(bound)?
        };
        (!self.stopping).then_some(room)
    }

    /// Returns the number of messages that a poll may ask for although there is no room: what was returned alone can only
    /// come again by a poll. There is one of them at a time, within a bound of its own, as it may bring something else.
    fn room_for_returned(&self, bound: usize) -> Option<usize> {
        let bound = bound
            .saturating_add(self.most_stalled())
            .saturating_add(MAX_BATCH_ENTRIES);
        let fits = self.held.len().saturating_sub(self.aside) + self.min_receive <= bound;
        (fits && self.reserved == 0 && self.backlog.awaits()).then_some(self.min_receive)
    }

    /// Sets slots aside for a poll; they are to be given back by [`unreserve`](Self::unreserve).
    pub(super) fn reserve(&mut self) -> Option<usize> {
        let room = self.room();
        self.poller_waits = room.is_none();
        self.reserved += room.unwrap_or(0);
        room
    }

    pub(super) fn unreserve(&mut self, slots: usize) {
        self.reserved = self.reserved.saturating_sub(slots);
    }

    /// The next message to handle, if one more may be handled.
    pub(super) fn next(&mut self, now: Instant) -> Option<Arc<Entry>> {
        self.stream_waits = false;
        while self.out < self.concurrency && !self.stopping {
            let Some(entry) = self.backlog.pop() else { break };
            if let Some(slot) = self.held.get_mut(&entry.id) {
                slot.claims = true;
            }
            if self.finished.contains(&entry.message().message_id) {
                self.delete(&entry, now);
                continue;
            }
            let holds = entry.lease().holds(now);
            if holds && entry.turn != Turn::Handle {
                self.give_back(&entry, Duration::ZERO, now);
                continue;
            }
            if holds {
                self.enter(entry.id, Phase::Out, now);
                return Some(entry);
            }
            tracing::debug!(message_id = %entry.message().message_id, "the lease of a waiting message was lost");
            self.finish(&entry, End::Lost, now);
        }
        self.stream_waits = true;
        None
    }

    /// It is kept for something that is to come. Whoever keeps it tells newer receipts apart.
    pub(super) fn set_aside(&mut self, entry: &Entry, now: Instant) {
        if self.phase(entry) == Some(Phase::Out) {
            self.enter(entry.id, Phase::Aside, now);
            if let Some(second) = self.seconds.remove(&entry.id) {
                self.enter(second.id, Phase::Waiting, now);
                self.wait(&second);
            }
        }
    }

    /// It is handled after all.
    pub(super) fn take_up(&mut self, entry: &Entry, now: Instant) {
        if self.phase(entry) == Some(Phase::Aside) {
            self.enter(entry.id, Phase::Out, now);
        }
    }

    /// Nothing comes any more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.stopping || (!self.polling && self.backlog.len() == 0)
    }

    /// It is no longer being handled; its acknowledgement begins.
    pub(super) fn settling(&mut self, entry: &Entry, now: Instant) {
        self.enter(entry.id, Phase::Settling, now);
    }

    /// It is to be returned to the queue, and visible after this time; a rejected message after its own, if that is
    /// longer.
    pub(super) fn give_back(&mut self, entry: &Arc<Entry>, delay: Duration, now: Instant) {
        if self.enter(entry.id, Phase::Releasing, now) {
            self.release.push((entry.clone(), delay.max(entry.turn.delay())));
        }
    }

    /// Giving it back failed.
    pub(super) fn abandon(&mut self, entry: &Entry, now: Instant) {
        self.enter(entry.id, Phase::Abandoned, now);
    }

    /// Whether its lease is to be kept up.
    pub(super) fn is_kept(&self, entry: &Entry) -> bool {
        self.phase(entry).is_some_and(Phase::is_kept)
    }

    /// Whether its acknowledgement or return is under way.
    pub(super) fn is_settling(&self, entry: &Entry) -> bool {
        self.phase(entry) == Some(Phase::Settling)
    }

    fn phase(&self, entry: &Entry) -> Option<Phase> {
        self.held.get(&entry.id).map(|slot| slot.phase)
    }

    /// No poll begins any more, and nothing that waits is handled.
    pub(super) fn stop(&mut self, now: Instant) {
        self.stopping = true;
        if !self.polling {
            self.return_waiting(now);
        }
    }

    /// The last poll has ended.
    pub(super) fn polls_ended(&mut self, now: Instant) {
        self.polling = false;
        if self.stopping {
            self.return_waiting(now);
        }
    }

    /// Returns what waits to the queue. Not before the last poll has ended: that would receive it again, and each receive
    /// counts.
    fn return_waiting(&mut self, now: Instant) {
        let parked = self.held.values().filter(|slot| slot.phase == Phase::Parked);
        let parked: Vec<_> = parked.map(|slot| (slot.entry.clone(), slot.due)).collect();
        for (entry, due) in parked {
            self.give_back(&entry, due.saturating_duration_since(now), now);
        }
        let waiting = self.backlog.drain();
        self.return_all(waiting, now);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Stopped, and nothing is held that anything can still be done about.
    pub(super) fn is_at_rest(&self) -> bool {
        self.stopping && !self.polling && self.held.len() == self.abandoned
    }

    /// Each of those who wait is told once.
    pub(super) fn wakes(&mut self) -> Wakes {
        let deliverable = (self.out < self.concurrency && self.backlog.has_ready()) || self.is_exhausted();
        let stream = self.stream_waits && deliverable;
        let poller = self.poller_waits && self.room().is_some();
        self.stream_waits &= !stream;
        self.poller_waits &= !poller;
        Wakes {
            stream,
            poller,
            heartbeat: self.hurry || !self.release.is_empty() || !self.delete.is_empty(),
            rest: self.is_at_rest(),
        }
    }

    /// `false` where it is not held any more.
    fn enter(&mut self, id: u64, phase: Phase, now: Instant) -> bool {
        let Some(slot) = self.held.get_mut(&id) else {
            return false;
        };
        let before = std::mem::replace(&mut slot.phase, phase);
        let since = std::mem::replace(&mut slot.since, now);
        for (count, counted) in [
            (&mut self.out, Phase::Out),
            (&mut self.aside, Phase::Aside),
            (&mut self.abandoned, Phase::Abandoned),
        ] {
            *count += usize::from(phase == counted);
            *count -= usize::from(before == counted);
        }
        if before == Phase::Out && phase != Phase::Aside {
            self.handled(now.saturating_duration_since(since));
        }
        true
    }
}

#[cfg(test)]
mod tests;
