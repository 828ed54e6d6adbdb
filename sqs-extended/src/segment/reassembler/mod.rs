//! Reassembles the payloads of a standard queue, whose segments arrive in any order and possibly more than once.
//!
//! Only decides: segments and the time go in, and actions on the messages come out. A token of the caller's stands for
//! each message, and can contain the message itself.

mod action;
mod backoff;
mod eviction;
mod incomplete;
mod partial_payload;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sqs_client::limits::MAX_VISIBILITY_TIMEOUT;
use tokio::time::Instant;

use self::backoff::Backoff;
use self::partial_payload::{Buffered, PartialPayload, cost, min_total_cost};
use crate::segment::expiring_map::ExpiringMap;
use crate::segment::header::{Header, Whole};

pub(crate) use self::action::{Action, IncompleteCause, Limits, ReturnReason, SegmentSize};

/// The number of expired payloads, and of returned ones, that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// The number of payloads without a first segment that are remembered.
const MAX_WITHOUT_FIRST: usize = 1_024;

/// Collects segments until a payload is complete. `T` is the caller's token of a message. See the [module](self).
pub(crate) struct Reassembler<T> {
    limits: Limits,
    /// Payloads that are not complete yet, by id.
    partial: BTreeMap<String, PartialPayload<T>>,
    /// Payloads that are being handled, by id.
    delivered: BTreeMap<String, Delivered<T>>,
    /// Payloads that were acknowledged.
    finished: ExpiringMap<()>,
    /// The times at which payloads first arrived here without their first segment, by id.
    without_first: ExpiringMap<Instant>,
    /// The delays of payloads that had no room or have expired.
    overflow_backoff: Backoff,
    /// The delays of segments that fit no payload.
    refused_backoff: Backoff,
    /// Payloads that have expired before. All other payloads precede them.
    expired: ExpiringMap<()>,
    /// The times until which returned payloads are to stay hidden.
    returned: ExpiringMap<Instant>,
    /// The cost of partial and delivered payloads.
    bytes: u64,
    /// The cost of messages about which the user's hook decides.
    undecided_bytes: u64,
    /// The rank number of the next payload.
    next_number: u64,
    /// Returns a random number from 0 to 1.
    random: Box<dyn FnMut() -> f64 + Send>,
}

/// A payload that is being handled.
#[derive(Debug)]
struct Delivered<T> {
    whole: Whole,
    bytes: u64,
    /// Duplicates that arrived after the delivery.
    late: Vec<T>,
}

impl<T> Reassembler<T> {
    pub(crate) fn new(limits: Limits, random: impl FnMut() -> f64 + Send + 'static) -> Self {
        // Longer than a payload's timeout, which starts again after each delay.
        let lifetime = limits.timeout.saturating_mul(2).max(limits.finished_for);
        Self {
            limits,
            partial: BTreeMap::new(),
            delivered: BTreeMap::new(),
            finished: ExpiringMap::new(limits.max_finished, limits.finished_for),
            without_first: ExpiringMap::new(MAX_WITHOUT_FIRST, limits.timeout),
            overflow_backoff: Backoff::new(lifetime),
            refused_backoff: Backoff::new(lifetime),
            expired: ExpiringMap::new(MAX_REMEMBERED, lifetime),
            returned: ExpiringMap::new(MAX_REMEMBERED, MAX_VISIBILITY_TIMEOUT),
            bytes: 0,
            undecided_bytes: 0,
            next_number: 0,
            random: Box::new(random),
        }
    }

    /// Accepts a received segment, and returns the actions that follow from it.
    pub(crate) fn offer(&mut self, header: &Header, size: SegmentSize, token: T, now: Instant) -> Vec<Action<T>> {
        let (whole, key) = (&header.whole, key_of(&header.whole));
        let (len, cost) = (size.len, cost(size.memory));
        if self.finished.get(&key, now).is_some() {
            return vec![Action::Delete { token }];
        }
        if let Some(until) = self.returned.get(&key, now).filter(|until| **until > now) {
            let (after, why) = (*until - now, ReturnReason::PayloadReturned);
            return vec![Action::Return { token, after, why }];
        }
        let message = Buffered { token, cost };
        if let Some(delivered) = self.delivered.get(&whole.id) {
            return if delivered.whole == *whole {
                self.add_late(whole, message)
            } else {
                self.refuse(header, message, IncompleteCause::Conflict, now)
            };
        }
        let agrees = |partial: &PartialPayload<T>| partial.agrees(header, len);
        if !header.allows_len(len) || !self.partial.get(&whole.id).is_none_or(agrees) {
            return self.refuse(header, message, IncompleteCause::Conflict, now);
        }
        if min_total_cost(whole) > self.limits.max_bytes || cost > self.limits.max_bytes {
            return self.refuse(header, message, IncompleteCause::TooLarge, now);
        }
        self.add(header, len, message, now)
    }

    fn add(&mut self, header: &Header, len: u64, message: Buffered<T>, now: Instant) -> Vec<Action<T>> {
        let (id, cost) = (&header.whole.id, message.cost);
        let mut actions = Vec::new();
        let (rank, replaceable, own_cost) = match self.partial.get(id) {
            Some(partial) => (partial.rank, partial.replaceable_cost(header.index), partial.min_cost()),
            None => (self.new_rank(id, now), None, 0),
        };
        // A duplicate evicts nothing. It replaces an older message of its segment.
        let has_room = match replaceable {
            Some(replaceable) if cost > self.free().saturating_add(replaceable) => {
                return vec![self.return_message(message.token, ReturnReason::Duplicate)];
            }
            Some(_) => cost <= self.free(),
            None if own_cost.saturating_add(cost) > self.limits.max_bytes => {
                return self.refuse_too_large(header, len, message, now);
            }
            None => {
                self.free_payload_slot(id, rank, now, &mut actions) && self.free_bytes(cost, rank, now, &mut actions)
            }
        };
        if !has_room && replaceable.is_none() {
            actions.push(self.return_overflow(id, message.token, now));
            return actions;
        }
        let partial = self.partial.entry(id.clone()).or_insert_with(|| {
            self.next_number += 1;
            PartialPayload::new(header.whole.clone(), rank, now)
        });
        let surplus = partial.add(header, len, message, has_room);
        let is_complete = partial.is_complete();
        self.bytes += cost;
        if let Some(surplus) = surplus {
            self.bytes -= surplus.cost;
            actions.push(self.return_message(surplus.token, ReturnReason::Duplicate));
        }
        if is_complete {
            actions.extend(self.deliver(id));
        }
        actions
    }

    fn deliver(&mut self, id: &str) -> Option<Action<T>> {
        let partial = self.partial.remove(id)?;
        let bytes = partial.cost();
        self.without_first.remove(id);
        self.overflow_backoff.reset(id);
        self.expired.remove(id);
        let (whole, segments, duplicates) = partial.into_tokens();
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

    /// Buffers a duplicate of a payload that is being handled, up to one for each segment.
    fn add_late(&mut self, whole: &Whole, message: Buffered<T>) -> Vec<Action<T>> {
        let (cost, free) = (message.cost, self.free());
        let max_late = usize::try_from(whole.count).unwrap_or(usize::MAX);
        match self.delivered.get_mut(&whole.id) {
            Some(delivered) if delivered.late.len() < max_late && cost <= free => {
                delivered.late.push(message.token);
                delivered.bytes += cost;
                self.bytes += cost;
                Vec::new()
            }
            _ => vec![self.return_message(message.token, ReturnReason::Duplicate)],
        }
    }

    /// Records that the payload was acknowledged. Its segments that arrive from now on are deleted.
    pub(crate) fn acked(&mut self, id: &str, now: Instant) -> Vec<Action<T>> {
        let Some(delivered) = self.remove_delivered(id) else {
            return Vec::new();
        };
        self.finished.insert(&key_of(&delivered.whole), (), now);
        delivered
            .late
            .into_iter()
            .map(|token| Action::Delete { token })
            .collect()
    }

    /// Records that the payload was returned to the queue, where it stays hidden until this time.
    pub(crate) fn returned(&mut self, id: &str, until: Instant, now: Instant) -> Vec<Action<T>> {
        let Some(delivered) = self.remove_delivered(id) else {
            return Vec::new();
        };
        let after = self.hide_until(&delivered.whole, until, now);
        return_after(delivered.late, ReturnReason::PayloadReturned, after).collect()
    }

    /// Returns a partial payload to the queue, and with it all of its segments that arrive within this time.
    pub(crate) fn return_partial(&mut self, id: &str, after: Duration, now: Instant) -> Vec<Action<T>> {
        let mut actions = Vec::new();
        if let Some(partial) = self.remove_partial(id) {
            let until = now.checked_add(after).unwrap_or(now);
            let after = self.hide_until(&partial.whole, until, now);
            return_all(partial, ReturnReason::PayloadReturned, after, &mut actions);
        }
        actions
    }

    fn hide_until(&mut self, whole: &Whole, until: Instant, now: Instant) -> Duration {
        if until > now {
            self.returned.insert(&key_of(whole), until, now);
        }
        until.saturating_duration_since(now)
    }

    fn remove_delivered(&mut self, id: &str) -> Option<Delivered<T>> {
        let delivered = self.delivered.remove(id)?;
        self.bytes -= delivered.bytes;
        Some(delivered)
    }

    /// Removes and returns the messages whose leases are lost, as `is_lost` says. They arrive again if they are still
    /// in the queue. The other messages of their payloads stay.
    pub(crate) fn remove_lost(&mut self, mut is_lost: impl FnMut(&T) -> bool, now: Instant) -> Vec<T> {
        let mut lost = Vec::new();
        self.partial.retain(|_, partial| {
            let before = partial.cost();
            lost.extend(partial.remove_lost(&mut is_lost, now));
            self.bytes -= before - partial.cost();
            partial.have() > 0
        });
        // The bytes of late duplicates are freed with their payload.
        for delivered in self.delivered.values_mut() {
            lost.extend(delivered.late.extract_if(.., |token| is_lost(token)));
        }
        lost
    }

    /// Returns the actions that are due. Call it at the [`next_deadline`](Self::next_deadline).
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action<T>> {
        let is_due = |partial: &&PartialPayload<T>| self.deadline(partial).is_some_and(|deadline| deadline <= now);
        let due: Vec<String> = self
            .partial
            .values()
            .filter(is_due)
            .map(|partial| partial.whole.id.clone())
            .collect();
        let mut actions = Vec::new();
        for partial in due.iter().filter_map(|id| self.remove_partial(id)).collect::<Vec<_>>() {
            if !self.is_expired(&partial, now) {
                let after = self.random_delay();
                return_all(partial, ReturnReason::FirstSegmentMissing, after, &mut actions);
                continue;
            }
            let after = self.overflow_delay(&partial.whole.id, now);
            self.expired.insert(&partial.whole.id, (), now);
            actions.push(self.report(partial, IncompleteCause::Expired, after));
        }
        actions
    }

    /// Returns `true` if the payload has used up its timeout.
    ///
    /// Returning it for a competing consumer does not restart the timeout. Otherwise a payload without a first segment would
    /// move between consumers forever, and none would report it.
    fn is_expired(&mut self, partial: &PartialPayload<T>, now: Instant) -> bool {
        let id = &partial.whole.id;
        let since = self
            .without_first
            .get(id, now)
            .copied()
            .unwrap_or(partial.began)
            .min(partial.began);
        let is_expired = now.saturating_duration_since(since) >= self.limits.timeout;
        if is_expired {
            self.without_first.remove(id);
        } else {
            self.without_first.insert(id, since, now);
        }
        is_expired
    }

    /// Returns the next time at which [`tick`](Self::tick) has actions, if nothing else happens before.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.partial.values().filter_map(|partial| self.deadline(partial)).min()
    }

    /// Returns `None` if the deadline is beyond the range of the clock.
    fn deadline(&self, partial: &PartialPayload<T>) -> Option<Instant> {
        let timeout = partial.began.checked_add(self.limits.timeout);
        let without_first = self.limits.first_segment_timeout.filter(|_| !partial.has_first());
        let first_segment = without_first.and_then(|timeout| partial.without_first_since.checked_add(timeout));
        timeout.into_iter().chain(first_segment).min()
    }

    /// Returns all buffered messages to the queue, for a shutdown. Payloads that are being handled stay.
    pub(crate) fn drain(&mut self) -> Vec<Action<T>> {
        let mut tokens = Vec::new();
        for partial in std::mem::take(&mut self.partial).into_values() {
            self.bytes -= partial.cost();
            let (_, newest, older) = partial.into_tokens();
            tokens.extend(newest.into_iter().chain(older));
        }
        for delivered in self.delivered.values_mut() {
            tokens.append(&mut delivered.late);
        }
        return_after(tokens, ReturnReason::Shutdown, Duration::ZERO).collect()
    }

    /// Returns the buffered messages, whose leases have to be extended.
    pub(crate) fn buffered(&self) -> impl Iterator<Item = &T> {
        let partial = self.partial.values().flat_map(PartialPayload::tokens);
        partial.chain(self.delivered.values().flat_map(|delivered| &delivered.late))
    }

    /// Returns the buffered messages of a partial payload.
    pub(crate) fn partial_mut(&mut self, id: &str) -> impl Iterator<Item = &mut T> {
        self.partial
            .get_mut(id)
            .into_iter()
            .flat_map(PartialPayload::tokens_mut)
    }

    fn remove_partial(&mut self, id: &str) -> Option<PartialPayload<T>> {
        let partial = self.partial.remove(id)?;
        self.bytes -= partial.cost();
        Some(partial)
    }
}

/// Returns the key of a payload. It contains the digest, because a sender may use an id again, and no segment of
/// another payload may be deleted.
fn key_of(whole: &Whole) -> String {
    format!("{} {}", whole.id, whole.digest)
}

/// Returns all messages with the same delay, so that one receive can return many of them to the consumer that gathers
/// the payload. It then needs luck in a few receives, not for each segment.
fn return_all<T>(partial: PartialPayload<T>, why: ReturnReason, after: Duration, actions: &mut Vec<Action<T>>) {
    let (_, newest, older) = partial.into_tokens();
    actions.extend(return_after(newest.into_iter().chain(older), why, after));
}

fn return_after<T>(
    tokens: impl IntoIterator<Item = T>,
    why: ReturnReason,
    after: Duration,
) -> impl Iterator<Item = Action<T>> {
    tokens
        .into_iter()
        .map(move |token| Action::Return { token, after, why })
}

/// Omits the tokens, which contain messages.
impl<T> fmt::Debug for Reassembler<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler")
            .field("limits", &self.limits)
            .field("partial", &self.partial.len())
            .field("delivered", &self.delivered.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
