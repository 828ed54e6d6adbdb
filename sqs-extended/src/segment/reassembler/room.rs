//! What gives way to what where there is no room, and for how long.

use std::time::Duration;

use tokio::time::Instant;

use crate::segment::reassembler::partial_payload::{Rank, Set};
use crate::segment::reassembler::{Action, Reassembler, Released, release_all};

impl<S> Reassembler<S> {
    /// The rank of a payload that is opened now.
    pub(super) fn rank_of(&mut self, id: &str, now: Instant) -> Rank {
        Rank {
            has_expired: self.expired.get(id, now).is_some(),
            number: self.opened,
        }
    }

    /// Makes sure that there may be one payload more where this one is new. One that has expired gives way for it, unless
    /// it has expired as well.
    pub(super) fn make_place(&mut self, id: &str, rank: Rank, now: Instant, actions: &mut Vec<Action<S>>) -> bool {
        if self.gathering.contains_key(id) || self.gathering.len() + self.delivered.len() < self.limits.sets {
            return true;
        }
        let last = self.gathering.values().max_by_key(|set| set.rank);
        let gives_way = last.filter(|set| set.rank.has_expired && !rank.has_expired);
        let Some(set) = gives_way.map(|set| set.whole.id.clone()).and_then(|id| self.close(&id)) else {
            return false;
        };
        self.give_way(set, now, actions);
        true
    }

    pub(super) fn give_way(&mut self, set: Set<S>, now: Instant, actions: &mut Vec<Action<S>>) {
        let after = self.put_off_for(&set.whole.id, now);
        release_all(set, Released::Overflow, after, actions);
    }

    /// Returns payloads of a higher rank, the highest first, until there is room; none if that would not help.
    pub(super) fn make_room(&mut self, cost: u64, rank: Rank, now: Instant, actions: &mut Vec<Action<S>>) -> bool {
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
        let later = self.gathering.values().filter(|set| set.rank > rank);
        if self.free() + later.map(Set::cost).sum::<u64>() < cost {
            return false;
        }
        while self.free() < cost {
            let last = self.gathering.values().max_by_key(|set| set.rank);
            let Some(set) = last.map(|set| set.whole.id.clone()).and_then(|id| self.close(&id)) else {
                return false;
            };
            self.give_way(set, now, actions);
        }
        true
    }

    pub(super) fn free(&self) -> u64 {
        self.limits
            .bytes
            .saturating_sub(self.bytes)
            .saturating_sub(self.deciding)
    }

    pub(super) fn put_off(&mut self, id: &str, token: S, now: Instant) -> Action<S> {
        let after = self.put_off_for(id, now);
        let why = Released::Overflow;
        Action::Release { token, after, why }
    }

    pub(super) fn put_off_for(&mut self, id: &str, now: Instant) -> Duration {
        let chance = self.back_after();
        self.put_off.after(id, now, chance)
    }

    /// In whole seconds, as SQS counts them: each of them is as likely.
    pub(super) fn back_after(&mut self) -> Duration {
        let (least, most) = self.limits.back_after;
        let chance = Some((self.chance)()).filter(|chance| (0.0..=1.0).contains(chance));
        let range = most.saturating_sub(least) + Duration::from_secs(1);
        let after = least + range.mul_f64(chance.unwrap_or_default());
        Duration::from_secs(after.min(most).as_secs())
    }

    pub(super) fn release(&mut self, token: S, why: Released) -> Action<S> {
        let after = self.back_after();
        Action::Release { token, after, why }
    }
}
