//! Makes room for earlier payloads by returning later ones.

use std::time::Duration;

use tokio::time::Instant;

use crate::segment::reassembler::partial_payload::{PartialPayload, Rank};
use crate::segment::reassembler::{Action, Reassembler, ReturnReason, return_all};

impl<T> Reassembler<T> {
    /// Returns the rank of a payload that begins now.
    pub(super) fn new_rank(&mut self, id: &str, now: Instant) -> Rank {
        Rank {
            has_expired: self.expired.get(id, now).is_some(),
            number: self.next_number,
        }
    }

    /// Ensures that the number of payloads allows for this one. If the payload is new and has not expired before, one
    /// that has expired is returned for it.
    pub(super) fn free_payload_slot(
        &mut self,
        id: &str,
        rank: Rank,
        now: Instant,
        actions: &mut Vec<Action<T>>,
    ) -> bool {
        if self.partial.contains_key(id) || self.partial.len() + self.delivered.len() < self.limits.max_payloads {
            return true;
        }
        let last = self.partial.values().max_by_key(|partial| partial.rank);
        let evicted = last.filter(|partial| partial.rank.has_expired && !rank.has_expired);
        let evicted = evicted.map(|partial| partial.whole.id.clone());
        let Some(partial) = evicted.and_then(|id| self.remove_partial(&id)) else {
            return false;
        };
        self.evict(partial, now, actions);
        true
    }

    fn evict(&mut self, partial: PartialPayload<T>, now: Instant, actions: &mut Vec<Action<T>>) {
        let after = self.overflow_delay(&partial.whole.id, now);
        return_all(partial, ReturnReason::Overflow, after, actions);
    }

    /// Frees `cost` bytes: returns duplicates, and then payloads of a higher rank, the highest first. Returns no
    /// payload if that would not suffice.
    pub(super) fn free_bytes(&mut self, cost: u64, rank: Rank, now: Instant, actions: &mut Vec<Action<T>>) -> bool {
        if cost <= self.free() {
            return true;
        }
        // Duplicates must not prevent a payload from completion, least of all their own.
        let mut duplicates = Vec::new();
        for partial in self.partial.values_mut() {
            let before = partial.cost();
            duplicates.extend(partial.remove_duplicates());
            self.bytes -= before - partial.cost();
        }
        actions.extend(
            duplicates
                .into_iter()
                .map(|token| self.return_message(token, ReturnReason::Duplicate)),
        );
        let evictable = self.partial.values().filter(|partial| partial.rank > rank);
        if self.free() + evictable.map(PartialPayload::cost).sum::<u64>() < cost {
            return false;
        }
        while self.free() < cost {
            let last = self.partial.values().max_by_key(|partial| partial.rank);
            let last = last.map(|partial| partial.whole.id.clone());
            let Some(partial) = last.and_then(|id| self.remove_partial(&id)) else {
                return false;
            };
            self.evict(partial, now, actions);
        }
        true
    }

    pub(super) fn free(&self) -> u64 {
        self.limits
            .max_bytes
            .saturating_sub(self.bytes)
            .saturating_sub(self.undecided_bytes)
    }

    /// Returns a message for which there is no room.
    pub(super) fn return_overflow(&mut self, id: &str, token: T, now: Instant) -> Action<T> {
        let after = self.overflow_delay(id, now);
        let why = ReturnReason::Overflow;
        Action::Return { token, after, why }
    }

    /// Returns the delay of a payload that has no room or has expired.
    pub(super) fn overflow_delay(&mut self, id: &str, now: Instant) -> Duration {
        let random = self.random_delay();
        self.overflow_backoff.delay(id, now, random)
    }

    /// Returns a random delay in whole seconds, each with the same probability, because SQS accepts only whole seconds.
    pub(super) fn random_delay(&mut self) -> Duration {
        let (min, max) = self.limits.return_delay;
        let fraction = Some((self.random)()).filter(|fraction| (0.0..=1.0).contains(fraction));
        let range = max.saturating_sub(min) + Duration::from_secs(1);
        let delay = min + range.mul_f64(fraction.unwrap_or_default());
        Duration::from_secs(delay.min(max).as_secs())
    }

    pub(super) fn return_message(&mut self, token: T, why: ReturnReason) -> Action<T> {
        let after = self.random_delay();
        Action::Return { token, after, why }
    }
}
