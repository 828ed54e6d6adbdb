//! What a consumer holds, and what it has room for: no I/O.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Settings;
use super::backlog::Backlog;
use super::entry::Entry;
use super::lease::{self, Lease, Need};
use crate::error::Error;
use crate::limits::MAX_BATCH_ENTRIES;
use crate::types::Message;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// In the backlog.
    Waiting,
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
            Self::Waiting | Self::Out | Self::Aside | Self::Settling => true,
            Self::Releasing | Self::Abandoned => false,
        }
    }
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    phase: Phase,
    /// When it was given out.
    out_since: Instant,
    /// Whether it has a part in its group's claim, so that nothing else of the group is handled.
    claims: bool,
}

/// What the keeper is to do now.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) extend: Vec<(Arc<Entry>, Duration)>,
    pub(super) release: Vec<Arc<Entry>>,
    /// Their leases have just run out.
    pub(super) lost: Vec<Arc<Entry>>,
    /// When to look again at the latest; `None` while nothing is held.
    pub(super) next: Option<Instant>,
    /// Nothing is held, and nothing will be.
    pub(super) over: bool,
}

/// Who has something to do after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wakes {
    pub(super) stream: bool,
    pub(super) poller: bool,
    pub(super) keeper: bool,
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
    backlog: Backlog<Arc<Entry>>,
    held: HashMap<u64, Slot>,
    release: Vec<Arc<Entry>>,
    next_id: u64,
    /// Slots that polls under way may fill.
    reserved: usize,
    /// How many are [`Phase::Out`], [`Phase::Aside`] and [`Phase::Abandoned`].
    out: usize,
    aside: usize,
    abandoned: usize,
    /// How long messages are out, on average.
    handling: Option<Duration>,
    /// Something is held that the keeper has not seen and should.
    hurry: bool,
    /// The poller has found no room, and the stream no message: to be woken once there is.
    poller_waits: bool,
    stream_waits: bool,
    pub(super) polling: bool,
    stopping: bool,
    pub(super) error: Option<Error>,
}

impl State {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            concurrency: settings.concurrency,
            min_receive: settings.min_receive,
            most_prefetch: settings.prefetch(),
            prefetch: 0,
            visibility: settings.visibility_timeout,
            ordered: settings.ordered,
            backlog: Backlog::default(),
            held: HashMap::new(),
            release: Vec::new(),
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

    /// How often the keeper looks at what is held.
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

    /// How many messages a poll may ask for now. Fewer than 10 only where waiting for more would let handlers idle.
    fn room(&self) -> Option<usize> {
        let prefetch = self.prefetch.max(self.min_receive - 1);
        let bound = self.concurrency.saturating_add(prefetch);
        let free = bound.saturating_sub(self.held.len() - self.aside + self.reserved);
        let worth_it = self.prefetch.div_ceil(2).clamp(self.min_receive, MAX_BATCH_ENTRIES);
        (free >= worth_it && !self.stopping).then_some(free.min(MAX_BATCH_ENTRIES))
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

    /// Holds what a receive, sent no earlier than `asked`, brought.
    pub(super) fn arrive(&mut self, messages: Vec<Message>, asked: Instant, now: Instant) {
        self.hurry |= !messages.is_empty() && (self.held.is_empty() || now >= asked + self.tick());
        for message in messages {
            self.next_id += 1;
            let group = self.ordered.then(|| message.attributes.message_group_id()).flatten();
            let group = group.map(str::to_owned);
            let lease = Lease::new(asked, self.visibility);
            let entry = Arc::new(Entry::new(self.next_id, group, message, lease));
            let slot = Slot {
                entry: entry.clone(),
                phase: Phase::Waiting,
                out_since: now,
                claims: false,
            };
            self.held.insert(entry.id, slot);
            if self.stopping {
                self.give_back(&entry, now);
            } else {
                self.backlog.push(entry.group.as_deref(), entry.clone());
            }
        }
    }

    /// The next message to handle, if one more may be handled.
    pub(super) fn next(&mut self, now: Instant) -> Option<Arc<Entry>> {
        self.stream_waits = false;
        while self.out < self.concurrency {
            let Some(entry) = self.backlog.pop() else { break };
            if let Some(slot) = self.held.get_mut(&entry.id) {
                slot.claims = true;
            }
            if entry.lease().holds(now) {
                self.enter(entry.id, Phase::Out, now);
                return Some(entry);
            }
            tracing::debug!(message_id = %entry.message().message_id, "the lease of a waiting message was lost");
            self.finish(&entry, false, now);
        }
        self.stream_waits = true;
        None
    }

    /// Gives out, too, what waits behind this one in its group and passes the filter. They share its claim.
    pub(super) fn take_behind(
        &mut self,
        head: &Entry,
        mut filter: impl FnMut(&Message) -> bool,
        now: Instant,
    ) -> Vec<Arc<Entry>> {
        let claims = self.held.get(&head.id).is_some_and(|slot| slot.claims);
        let Some(group) = head.group.as_deref().filter(|_| claims) else {
            return Vec::new();
        };
        let taken = self
            .backlog
            .claim_behind(group, |entry| entry.lease().holds(now) && filter(&entry.message()));
        for entry in &taken {
            if let Some(slot) = self.held.get_mut(&entry.id) {
                slot.claims = true;
            }
            self.enter(entry.id, Phase::Out, now);
        }
        taken
    }

    /// It is kept for something that is to come.
    pub(super) fn set_aside(&mut self, entry: &Entry, now: Instant) {
        if self.phase(entry) == Some(Phase::Out) {
            self.enter(entry.id, Phase::Aside, now);
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

    /// It is held no more. Unless it was surely deleted, the rest of its group goes back too: the group shows no more
    /// while any of it is in flight, so whichever is given back first, all come again in order.
    pub(super) fn finish(&mut self, entry: &Entry, deleted: bool, now: Instant) {
        self.enter(entry.id, Phase::Releasing, now);
        let claims = self.held.remove(&entry.id).is_some_and(|slot| slot.claims);
        if let Some(group) = entry.group.as_deref().filter(|_| claims) {
            if !deleted {
                for behind in self.backlog.take_behind(group) {
                    self.give_back(&behind, now);
                }
            }
            self.backlog.done(group);
        }
    }

    /// It is to be given back to the queue.
    pub(super) fn give_back(&mut self, entry: &Arc<Entry>, now: Instant) {
        if self.enter(entry.id, Phase::Releasing, now) {
            self.release.push(entry.clone());
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

    /// No more polls; what waits is given back.
    pub(super) fn stop(&mut self, now: Instant) {
        self.stopping = true;
        for entry in self.backlog.drain() {
            self.give_back(&entry, now);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Stopped, and nothing is held that anything can still be done about.
    pub(super) fn is_at_rest(&self) -> bool {
        self.stopping && !self.polling && self.held.len() == self.abandoned
    }

    /// What there is to do about what is held.
    pub(super) fn round(&mut self, now: Instant) -> Round {
        self.hurry = false;
        let tick = self.tick();
        let mut round = Round {
            release: std::mem::take(&mut self.release),
            ..Round::default()
        };
        let mut next = now + tick;
        let mut visible_again = VecDeque::new();
        for slot in self.held.values() {
            let mut lease = slot.entry.lease();
            match slot.phase {
                Phase::Abandoned if now >= lease.over() => visible_again.push_back(slot.entry.clone()),
                phase if !phase.is_kept() => {}
                _ => match lease.need(now, tick) {
                    Need::Nothing(at) => next = next.min(at),
                    Need::Extension(extension) => {
                        next = next.min(lease.until());
                        round.extend.push((slot.entry.clone(), extension));
                    }
                    Need::Loss => {
                        slot.entry.tell_lost();
                        round.lost.push(slot.entry.clone());
                    }
                },
            }
        }
        for entry in visible_again {
            self.finish(&entry, false, now);
        }
        round.next = (!self.held.is_empty()).then_some(next);
        round.over = self.is_at_rest();
        round
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
            keeper: self.hurry || !self.release.is_empty(),
            rest: self.is_at_rest(),
        }
    }

    /// `false` where it is not held any more.
    fn enter(&mut self, id: u64, phase: Phase, now: Instant) -> bool {
        let Some(slot) = self.held.get_mut(&id) else {
            return false;
        };
        let before = std::mem::replace(&mut slot.phase, phase);
        let out_since = std::mem::replace(&mut slot.out_since, now);
        for (count, counted) in [
            (&mut self.out, Phase::Out),
            (&mut self.aside, Phase::Aside),
            (&mut self.abandoned, Phase::Abandoned),
        ] {
            *count += usize::from(phase == counted);
            *count -= usize::from(before == counted);
        }
        if before == Phase::Out && phase != Phase::Aside {
            self.handled(now.saturating_duration_since(out_since));
        }
        true
    }
}

#[cfg(test)]
mod tests;
