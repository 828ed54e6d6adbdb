//! Makes payloads of the segments that a standard queue brings, in whatever order, number and company it brings them.
//!
//! It decides only: segments and time go in, and what is to be done with the messages comes out. A message is known to it
//! by a token of the caller's, in which whatever holds the message can stay, its bytes with it.

mod action;
mod put_off;
mod set;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use self::action::{Action, Incomplete, Limits, Released};
use self::put_off::PutOff;
use self::set::{Set, cost, cost_of_all};
use super::memory::Memory;
use super::{Header, Whole};

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
    /// Those that had no room.
    put_off: PutOff,
    bytes: u64,
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
        Self {
            limits,
            gathering: BTreeMap::new(),
            delivered: BTreeMap::new(),
            finished: Memory::new(limits.remembered, limits.remembered_for),
            wandering: Memory::new(MAX_WANDERING, limits.age),
            put_off: PutOff::new(limits.age),
            bytes: 0,
            opened: 0,
            chance: Box::new(chance),
        }
    }

    /// Takes in a received segment of `len` bytes.
    pub(crate) fn offer(&mut self, header: &Header, len: u64, token: S, now: Instant) -> Vec<Action<S>> {
        let whole = &header.whole;
        if self.finished.get(&finished_key(whole), now).is_some() {
            return vec![Action::Delete { token }];
        }
        if let Some(delivered) = self.delivered.get(&whole.id) {
            return if delivered.whole == *whole {
                self.hold_late(whole, len, token)
            } else {
                self.refuse(header, token, Incomplete::Conflict)
            };
        }
        let agrees = |set: &Set<S>| set.agrees(header, len);
        if !header.takes(len) || !self.gathering.get(&whole.id).is_none_or(agrees) {
            return self.refuse(header, token, Incomplete::Conflict);
        }
        if cost_of_all(whole) > self.limits.bytes {
            return self.refuse(header, token, Incomplete::TooLarge);
        }
        self.gather(header, len, token, now)
    }

    fn gather(&mut self, header: &Header, len: u64, token: S, now: Instant) -> Vec<Action<S>> {
        let id = &header.whole.id;
        let (number, is_duplicate) = match self.gathering.get(id) {
            Some(set) => (set.number, set.holds(header.index)),
            None if self.gathering.len() + self.delivered.len() < self.limits.sets => (self.opened, false),
            None => return vec![self.put_off(id, token, now)],
        };
        let mut actions = Vec::new();
        // Nobody makes room for a duplicate: it takes the place of the one before.
        let fits = if is_duplicate {
            cost(len) <= self.free()
        } else {
            self.make_room(cost(len), number, now, &mut actions)
        };
        if !fits && !is_duplicate {
            actions.push(self.put_off(id, token, now));
            return actions;
        }
        let set = self.gathering.entry(id.clone()).or_insert_with(|| {
            self.opened += 1;
            Set::new(header.whole.clone(), number, now)
        });
        let surplus = set.hold(header, len, token, fits);
        let is_complete = set.is_complete();
        match surplus {
            Some(token) => actions.push(self.release(token, Released::Duplicate)),
            None => self.bytes += cost(len),
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
    fn hold_late(&mut self, whole: &Whole, len: u64, token: S) -> Vec<Action<S>> {
        let (cost, free) = (cost(len), self.free());
        let most = usize::try_from(whole.count).unwrap_or(usize::MAX);
        match self.delivered.get_mut(&whole.id) {
            Some(delivered) if delivered.late.len() < most && cost <= free => {
                delivered.late.push(token);
                delivered.bytes += cost;
                self.bytes += cost;
                Vec::new()
            }
            _ => vec![self.release(token, Released::Duplicate)],
        }
    }

    /// Gives back payloads that were begun later than `number`, the latest first, until there is room; none if that would
    /// not help.
    fn make_room(&mut self, cost: u64, number: u64, now: Instant, actions: &mut Vec<Action<S>>) -> bool {
        if cost <= self.free() {
            return true;
        }
        // A payload must not be kept from completion by duplicates, least of all by its own.
        let mut duplicates = Vec::new();
        for set in self.gathering.values_mut() {
            let before = set.cost();
            duplicates.extend(set.shed());
            self.bytes -= before - set.cost();
        }
        actions.extend(
            duplicates
                .into_iter()
                .map(|token| self.release(token, Released::Duplicate)),
        );
        let later = self.gathering.values().filter(|set| set.number > number);
        if self.free() + later.map(Set::cost).sum::<u64>() < cost {
            return false;
        }
        while self.free() < cost {
            let latest = self.gathering.values().max_by_key(|set| set.number);
            let Some(set) = latest.map(|set| set.whole.id.clone()).and_then(|id| self.close(&id)) else {
                return false;
            };
            let after = self.put_off_for(&set.whole.id, now);
            release_all(set, Released::Overflow, after, actions);
        }
        true
    }

    /// The payload was acknowledged: what comes of it from now on is deleted.
    pub(crate) fn acked(&mut self, id: &str, now: Instant) -> Vec<Action<S>> {
        let Some(delivered) = self.settle(id) else {
            return Vec::new();
        };
        self.finished.remember(&finished_key(&delivered.whole), (), now);
        delivered
            .late
            .into_iter()
            .map(|token| Action::Delete { token })
            .collect()
    }

    /// The payload was given back, so that its segments come again.
    pub(crate) fn released(&mut self, id: &str) -> Vec<Action<S>> {
        let late = self.settle(id).map(|delivered| delivered.late).unwrap_or_default();
        release_now(late, Released::ItsPayload).collect()
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
            let have = set.have();
            let (whole, mut tokens, older) = set.into_tokens();
            tokens.extend(older);
            actions.push(Action::Incomplete {
                whole,
                have,
                why: Incomplete::Expired,
                tokens,
                after: Duration::ZERO,
            });
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
        release_now(tokens, Released::Shutdown).collect()
    }

    /// Every message that is held here, to be kept from coming back.
    pub(crate) fn held(&self) -> impl Iterator<Item = &S> {
        let gathering = self.gathering.values().flat_map(Set::tokens);
        gathering.chain(self.delivered.values().flat_map(|delivered| &delivered.late))
    }

    /// Takes the set out.
    fn close(&mut self, id: &str) -> Option<Set<S>> {
        let set = self.gathering.remove(id)?;
        self.bytes -= set.cost();
        Some(set)
    }

    fn free(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.bytes)
    }

    /// A segment that goes with nothing that is held.
    fn refuse(&mut self, header: &Header, token: S, why: Incomplete) -> Vec<Action<S>> {
        vec![Action::Incomplete {
            have: 1,
            whole: header.whole.clone(),
            why,
            tokens: vec![token],
            after: self.back_after(),
        }]
    }

    fn release(&mut self, token: S, why: Released) -> Action<S> {
        let after = self.back_after();
        Action::Release { token, after, why }
    }

    fn put_off(&mut self, id: &str, token: S, now: Instant) -> Action<S> {
        let after = self.put_off_for(id, now);
        let why = Released::Overflow;
        Action::Release { token, after, why }
    }

    fn put_off_for(&mut self, id: &str, now: Instant) -> Duration {
        let chance = self.back_after();
        self.put_off.after(id, now, chance)
    }

    /// In whole seconds, as SQS counts them: each of them is as likely.
    fn back_after(&mut self) -> Duration {
        let (least, most) = self.limits.back_after;
        let chance = Some((self.chance)()).filter(|chance| (0.0..=1.0).contains(chance));
        let range = most.saturating_sub(least) + Duration::from_secs(1);
        let after = least + range.mul_f64(chance.unwrap_or_default());
        Duration::from_secs(after.min(most).as_secs())
    }
}

/// What a payload is remembered by: an id alone could be used again, and nothing of another payload may be deleted.
fn finished_key(whole: &Whole) -> String {
    format!("{} {}", whole.id, whole.digest)
}

/// All come back at the same time, so that one receive can bring many of them to the consumer that gathers them: then
/// chance has to find it for a few receives, and not for each segment.
fn release_all<S>(set: Set<S>, why: Released, after: Duration, actions: &mut Vec<Action<S>>) {
    let (_, newest, older) = set.into_tokens();
    let tokens = newest.into_iter().chain(older);
    actions.extend(tokens.map(|token| Action::Release { token, after, why }));
}

fn release_now<S>(tokens: Vec<S>, why: Released) -> impl Iterator<Item = Action<S>> {
    let after = Duration::ZERO;
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
