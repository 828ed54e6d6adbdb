//! Makes payloads of the segments that a standard queue brings, in whatever order, number and company it brings them.
//!
//! It decides only: segments and time go in, and what is to be done with the messages comes out. A message is known to it
//! by a token of the caller's, in which whatever holds the message can stay, its bytes with it.

mod action;
mod backoff;
mod decision;
mod partial_payload;
mod room;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sqs_client::limits::MAX_VISIBILITY_TIMEOUT;
use tokio::time::Instant;

pub(crate) use self::action::{Action, Incomplete, Limits, Released, Size};
use self::backoff::PutOff;
use self::partial_payload::{Held, Set, cost, cost_of_all};
use crate::segment::expiring_map::Memory;
use crate::segment::{Header, Whole};

/// The number of payloads that have expired or were returned, of which that is remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Of how many payloads that gather elsewhere it is known since when.
const MAX_WANDERING: usize = 1_024;

/// See the [module](self).
pub(crate) struct Reassembler<S> {
    limits: Limits,
    gathering: BTreeMap<String, Set<S>>,
    delivered: BTreeMap<String, Delivered<S>>,
    finished: Memory<()>,
    /// Since when payloads have been met here without their first segment.
    wandering: Memory<Instant>,
    /// Those that had no room, or have expired.
    put_off: PutOff,
    /// Segments that go with nothing.
    refused: PutOff,
    /// Those that were not complete in time: they give way to all others.
    expired: Memory<()>,
    /// Those that were returned, and until when nothing of them is to come again.
    returned: Memory<Instant>,
    bytes: u64,
    /// What the messages count for about which the user decides.
    deciding: u64,
    opened: u64,
    /// A number from 0 to 1.
    chance: Box<dyn FnMut() -> f64 + Send>,
}

/// A payload that is being handled.
#[derive(Debug)]
struct Delivered<S> {
    whole: Whole,
    bytes: u64,
    /// Duplicates that came since.
    late: Vec<S>,
}

impl<S> Reassembler<S> {
    pub(crate) fn new(limits: Limits, chance: impl FnMut() -> f64 + Send + 'static) -> Self {
        // Longer than a payload's time, which begins anew after each pause.
        let patience = limits.age.saturating_mul(2).max(limits.remembered_for);
        Self {
            limits,
            gathering: BTreeMap::new(),
            delivered: BTreeMap::new(),
            finished: Memory::new(limits.remembered, limits.remembered_for),
            wandering: Memory::new(MAX_WANDERING, limits.age),
            put_off: PutOff::new(patience),
            refused: PutOff::new(patience),
            expired: Memory::new(MAX_REMEMBERED, patience),
            returned: Memory::new(MAX_REMEMBERED, MAX_VISIBILITY_TIMEOUT),
            bytes: 0,
            deciding: 0,
            opened: 0,
            chance: Box::new(chance),
        }
    }

    /// Takes in a received segment.
    pub(crate) fn offer(&mut self, header: &Header, size: Size, token: S, now: Instant) -> Vec<Action<S>> {
        let (whole, key) = (&header.whole, key_of(&header.whole));
        let (len, cost) = (size.len, cost(size.held));
        if self.finished.get(&key, now).is_some() {
            return vec![Action::Delete { token }];
        }
        if let Some(until) = self.returned.get(&key, now).filter(|until| **until > now) {
            let (after, why) = (*until - now, Released::ItsPayload);
            return vec![Action::Release { token, after, why }];
        }
        let message = Held { token, cost };
        if let Some(delivered) = self.delivered.get(&whole.id) {
            return if delivered.whole == *whole {
                self.hold_late(whole, message)
            } else {
                self.refuse(header, message, Incomplete::Conflict, now)
            };
        }
        let agrees = |set: &Set<S>| set.agrees(header, len);
        if !header.takes(len) || !self.gathering.get(&whole.id).is_none_or(agrees) {
            return self.refuse(header, message, Incomplete::Conflict, now);
        }
        if cost_of_all(whole) > self.limits.bytes || cost > self.limits.bytes {
            return self.refuse(header, message, Incomplete::TooLarge, now);
        }
        self.gather(header, len, message, now)
    }

    fn gather(&mut self, header: &Header, len: u64, message: Held<S>, now: Instant) -> Vec<Action<S>> {
        let (id, cost) = (&header.whole.id, message.cost);
        let mut actions = Vec::new();
        let (rank, replaceable, own) = match self.gathering.get(id) {
            Some(set) => (set.rank, set.replaceable(header.index), set.least_cost()),
            None => (self.rank_of(id, now), None, 0),
        };
        // Nobody makes room for a duplicate: it takes the place of the one before.
        let fits = match replaceable {
            Some(replaceable) if cost > self.free().saturating_add(replaceable) => {
                return vec![self.release(message.token, Released::Duplicate)];
            }
            Some(_) => cost <= self.free(),
            None if own.saturating_add(cost) > self.limits.bytes => return self.too_large(header, len, message, now),
            None => self.make_place(id, rank, now, &mut actions) && self.make_room(cost, rank, now, &mut actions),
        };
        if !fits && replaceable.is_none() {
            actions.push(self.put_off(id, message.token, now));
            return actions;
        }
        let set = self.gathering.entry(id.clone()).or_insert_with(|| {
            self.opened += 1;
            Set::new(header.whole.clone(), rank, now)
        });
        let surplus = set.hold(header, len, message, fits);
        let is_complete = set.is_complete();
        self.bytes += cost;
        if let Some(surplus) = surplus {
            self.bytes -= surplus.cost;
            actions.push(self.release(surplus.token, Released::Duplicate));
        }
        if is_complete {
            actions.extend(self.deliver(id));
        }
        actions
    }

    fn deliver(&mut self, id: &str) -> Option<Action<S>> {
        let set = self.gathering.remove(id)?;
        let bytes = set.cost();
        self.wandering.forget(id);
        self.put_off.forget(id);
        self.expired.forget(id);
        let (whole, segments, duplicates) = set.into_tokens();
        let delivered = Delivered {
            whole: whole.clone(),
            bytes,
            late: Vec::new(),
        };
        self.delivered.insert(id.to_owned(), delivered);
        Some(Action::Deliver {
            whole,
            segments,
            duplicates,
        })
    }

    /// Holds a duplicate of a payload that is being handled, as long as there are no more of them than segments.
    fn hold_late(&mut self, whole: &Whole, message: Held<S>) -> Vec<Action<S>> {
        let (cost, free) = (message.cost, self.free());
        let most = usize::try_from(whole.count).unwrap_or(usize::MAX);
        match self.delivered.get_mut(&whole.id) {
            Some(delivered) if delivered.late.len() < most && cost <= free => {
                delivered.late.push(message.token);
                delivered.bytes += cost;
                self.bytes += cost;
                Vec::new()
            }
            _ => vec![self.release(message.token, Released::Duplicate)],
        }
    }

    /// The payload was acknowledged: what comes of it from now on is deleted.
    pub(crate) fn acked(&mut self, id: &str, now: Instant) -> Vec<Action<S>> {
        let Some(delivered) = self.settle(id) else {
            return Vec::new();
        };
        self.finished.remember(&key_of(&delivered.whole), (), now);
        delivered
            .late
            .into_iter()
            .map(|token| Action::Delete { token })
            .collect()
    }

    /// The payload was returned to the queue, and is to come again as a whole at this time.
    pub(crate) fn released(&mut self, id: &str, until: Instant, now: Instant) -> Vec<Action<S>> {
        let Some(delivered) = self.settle(id) else {
            return Vec::new();
        };
        let after = self.returned_until(&delivered.whole, until, now);
        release_after(delivered.late, Released::ItsPayload, after).collect()
    }

    /// Returns to the queue all that is held of a payload that gathers, and for this time whatever else comes of it.
    pub(crate) fn give_back(&mut self, id: &str, after: Duration, now: Instant) -> Vec<Action<S>> {
        let mut actions = Vec::new();
        if let Some(set) = self.close(id) {
            let until = now.checked_add(after).unwrap_or(now);
            let after = self.returned_until(&set.whole, until, now);
            release_all(set, Released::ItsPayload, after, &mut actions);
        }
        actions
    }

    fn returned_until(&mut self, whole: &Whole, until: Instant, now: Instant) -> Duration {
        if until > now {
            self.returned.remember(&key_of(whole), until, now);
        }
        until.saturating_duration_since(now)
    }

    fn settle(&mut self, id: &str) -> Option<Delivered<S>> {
        let delivered = self.delivered.remove(id)?;
        self.bytes -= delivered.bytes;
        Some(delivered)
    }

    /// Takes out and returns every message that is no longer held, as `is_lost` says. It will come again, if it is still
    /// in the queue; the others of its payload stay.
    pub(crate) fn lose(&mut self, mut is_lost: impl FnMut(&S) -> bool, now: Instant) -> Vec<S> {
        let mut lost = Vec::new();
        self.gathering.retain(|_, set| {
            let before = set.cost();
            lost.extend(set.lose(&mut is_lost, now));
            self.bytes -= before - set.cost();
            set.have() > 0
        });
        // What these count for is given back with their payload.
        for delivered in self.delivered.values_mut() {
            lost.extend(delivered.late.extract_if(.., |token| is_lost(token)));
        }
        lost
    }

    /// What time demands. To be called by [`next_deadline`](Self::next_deadline).
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action<S>> {
        let is_due = |set: &&Set<S>| self.deadline(set).is_some_and(|deadline| deadline <= now);
        let due: Vec<String> = self
            .gathering
            .values()
            .filter(is_due)
            .map(|set| set.whole.id.clone())
            .collect();
        let mut actions = Vec::new();
        for set in due.iter().filter_map(|id| self.close(id)).collect::<Vec<_>>() {
            if !self.is_expired(&set, now) {
                let after = self.back_after();
                release_all(set, Released::Gather, after, &mut actions);
                continue;
            }
            let after = self.put_off_for(&set.whole.id, now);
            self.expired.remember(&set.whole.id, (), now);
            actions.push(self.undecided(set, Incomplete::Expired, after));
        }
        actions
    }

    /// Whether the payload has had its time. That it was given back to gather elsewhere does not give it a new one: else
    /// one whose first segment is gone would be passed around for good, and nobody would hear of it.
    fn is_expired(&mut self, set: &Set<S>, now: Instant) -> bool {
        let id = &set.whole.id;
        let since = self
            .wandering
            .get(id, now)
            .copied()
            .unwrap_or(set.opened)
            .min(set.opened);
        let is_expired = now.saturating_duration_since(since) >= self.limits.age;
        if is_expired {
            self.wandering.forget(id);
        } else {
            self.wandering.remember(id, since, now);
        }
        is_expired
    }

    /// When [`tick`](Self::tick) has something to do, if nothing else happens.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.gathering.values().filter_map(|set| self.deadline(set)).min()
    }

    /// `None` where it is beyond what a clock can say.
    fn deadline(&self, set: &Set<S>) -> Option<Instant> {
        let age = set.opened.checked_add(self.limits.age);
        let gather = self.limits.gather.filter(|_| !set.has_first());
        let gather = gather.and_then(|gather| set.without_first.checked_add(gather));
        age.into_iter().chain(gather).min()
    }

    /// Gives back all that is held, to shut down. Payloads that are being handled are still to be settled.
    pub(crate) fn drain(&mut self) -> Vec<Action<S>> {
        let sets = std::mem::take(&mut self.gathering).into_values();
        let mut tokens = Vec::new();
        for set in sets {
            self.bytes -= set.cost();
            let (_, newest, older) = set.into_tokens();
            tokens.extend(newest.into_iter().chain(older));
        }
        for delivered in self.delivered.values_mut() {
            tokens.append(&mut delivered.late);
        }
        release_after(tokens, Released::Shutdown, Duration::ZERO).collect()
    }

    /// Every message that is held here, to be kept from coming back.
    pub(crate) fn held(&self) -> impl Iterator<Item = &S> {
        let gathering = self.gathering.values().flat_map(Set::tokens);
        gathering.chain(self.delivered.values().flat_map(|delivered| &delivered.late))
    }

    /// The messages that are held of a payload that gathers.
    pub(crate) fn gathered_mut(&mut self, id: &str) -> impl Iterator<Item = &mut S> {
        self.gathering.get_mut(id).into_iter().flat_map(Set::tokens_mut)
    }

    /// Takes the set out.
    fn close(&mut self, id: &str) -> Option<Set<S>> {
        let set = self.gathering.remove(id)?;
        self.bytes -= set.cost();
        Some(set)
    }
}

/// What a payload is remembered by: an id alone could be used again, and nothing of another payload may be deleted.
fn key_of(whole: &Whole) -> String {
    format!("{} {}", whole.id, whole.digest)
}

/// All come back at the same time, so that one receive can bring many of them to the consumer that gathers them: then
/// chance has to find it for a few receives, and not for each segment.
fn release_all<S>(set: Set<S>, why: Released, after: Duration, actions: &mut Vec<Action<S>>) {
    let (_, newest, older) = set.into_tokens();
    actions.extend(release_after(newest.into_iter().chain(older), why, after));
}

fn release_after<S>(
    tokens: impl IntoIterator<Item = S>,
    why: Released,
    after: Duration,
) -> impl Iterator<Item = Action<S>> {
    tokens
        .into_iter()
        .map(move |token| Action::Release { token, after, why })
}

/// Without the tokens, which hold messages.
impl<S> fmt::Debug for Reassembler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler")
            .field("limits", &self.limits)
            .field("gathering", &self.gathering.len())
            .field("delivered", &self.delivered.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
