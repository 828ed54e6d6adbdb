//! The order of delivery on a standard queue: by arrival, except that the messages of a noisy message group wait for those
//! of quiet ones. SQS calls this a fair queue.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::rng::Rng;

/// The minimum number of messages that a noisy group has in flight.
const NOISY_IN_FLIGHT: usize = 30;

/// A noisy group has more than a tenth of all messages in flight.
const NOISY_SHARE: usize = 10;

/// The available messages of a standard queue. Each message without a group is a tenant of its own, and so never noisy.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    ready: BTreeMap<u64, Slot>,
    /// The rank of each tenant's first available message.
    heads: BTreeSet<u64>,
    /// Tenants with a group, while they have messages that are available or in flight.
    groups: HashMap<Arc<str>, Group>,
    in_flight: usize,
}

#[derive(Debug)]
struct Slot {
    key: u64,
    group: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Group {
    /// The ranks of the available messages.
    ready: BTreeSet<u64>,
    in_flight: usize,
}

impl Tenants {
    /// Makes a message available. `rank` is its place in the order, and `group` is empty if it has none.
    pub(crate) fn enter(&mut self, key: u64, rank: u64, group: &str) {
        let group = (!group.is_empty()).then(|| self.join(group, rank));
        if group.is_none() {
            self.heads.insert(rank);
        }
        self.ready.insert(rank, Slot { key, group });
    }

    /// Adds an available message to a group, and returns the group's name.
    fn join(&mut self, name: &str, rank: u64) -> Arc<str> {
        let known = self.groups.get_key_value(name).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| name.into());
        let group = self.groups.entry(name.clone()).or_default();
        let head = group.ready.first().copied();
        group.ready.insert(rank);
        if head.is_none_or(|head| rank < head) {
            self.heads.insert(rank);
            if let Some(head) = head {
                self.heads.remove(&head);
            }
        }
        name
    }

    /// Takes the next message, which is then in flight. With a random number generator, it is a random one.
    pub(crate) fn take(&mut self, shuffle: Option<&Rng>) -> Option<u64> {
        let rank = match shuffle {
            Some(rng) => self.any(rng)?,
            None => self.next()?,
        };
        let slot = self.ready.get(&rank)?;
        let (key, group) = (slot.key, slot.group.clone());
        self.hold(rank, group.as_deref());
        Some(key)
    }

    /// Marks an available message as in flight again. Returns `false` if it is not available.
    pub(crate) fn retake(&mut self, rank: u64) -> bool {
        let Some(slot) = self.ready.get(&rank) else {
            return false;
        };
        let group = slot.group.clone();
        self.hold(rank, group.as_deref());
        true
    }

    fn hold(&mut self, rank: u64, group: Option<&str>) {
        self.in_flight += 1;
        if let Some(group) = group.and_then(|name| self.groups.get_mut(name)) {
            group.in_flight += 1;
        }
        self.leave(rank);
    }

    /// Counts a message no longer as in flight.
    pub(crate) fn settle(&mut self, group: &str) {
        self.in_flight -= 1;
        if let Some(tenant) = self.groups.get_mut(group) {
            tenant.in_flight -= 1;
            self.forget_idle(group);
        }
    }

    /// Removes a message if it is available.
    pub(crate) fn leave(&mut self, rank: u64) {
        let Some(slot) = self.ready.remove(&rank) else {
            return;
        };
        let was_head = self.heads.remove(&rank);
        if let Some(name) = slot.group
            && let Some(group) = self.groups.get_mut(&name)
        {
            group.ready.remove(&rank);
            if let Some(next) = group.ready.first().filter(|_| was_head) {
                self.heads.insert(*next);
            }
            self.forget_idle(&name);
        }
    }

    fn forget_idle(&mut self, name: &str) {
        let idle = |group: &Group| group.ready.is_empty() && group.in_flight == 0;
        if self.groups.get(name).is_some_and(idle) {
            self.groups.remove(name);
        }
    }

    /// Returns the rank of the oldest message of a quiet tenant, or else of the oldest one. Fewer than ten groups are noisy at
    /// the same time, because each has more than a tenth of all messages in flight, so few heads are passed over.
    fn next(&self) -> Option<u64> {
        let quiet = self.heads.iter().find(|rank| !self.is_noisy(**rank));
        quiet.or_else(|| self.heads.first()).copied()
    }

    fn is_noisy(&self, rank: u64) -> bool {
        let group = self.ready.get(&rank).and_then(|slot| slot.group.as_ref());
        let in_flight = group.and_then(|name| self.groups.get(name)).map_or(0, |g| g.in_flight);
        in_flight >= NOISY_IN_FLIGHT && in_flight * NOISY_SHARE > self.in_flight
    }

    /// Returns a random rank in logarithmic time: the first at or after a random point of the range.
    fn any(&self, rng: &Rng) -> Option<u64> {
        let (first, _) = self.ready.first_key_value()?;
        let (last, _) = self.ready.last_key_value()?;
        let span = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let point = first + rng.below(span) as u64;
        self.ready.range(point..).next().map(|(rank, _)| *rank)
    }
}

#[cfg(test)]
impl Tenants {
    /// Returns `true` if no group and no message is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.heads.is_empty() && self.ready.is_empty() && self.in_flight == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes up to `count` messages.
    fn take(tenants: &mut Tenants, count: usize) -> Vec<u64> {
        std::iter::from_fn(|| tenants.take(None)).take(count).collect()
    }

    /// Adds messages whose keys are their ranks.
    fn enter(tenants: &mut Tenants, keys: std::ops::Range<u64>, group: &str) {
        keys.for_each(|key| tenants.enter(key, key, group));
    }

    #[test]
    fn shuffling_yields_all_messages_out_of_order() {
        let rng = Rng::new(1);
        let mut tenants = Tenants::default();
        enter(&mut tenants, 0..50, "");
        enter(&mut tenants, 50..100, "g");
        let taken: Vec<u64> = std::iter::from_fn(|| tenants.take(Some(&rng))).collect();
        assert!(!taken.is_sorted());
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 100);
    }

    #[test]
    fn messages_are_taken_by_arrival_while_no_group_is_noisy() {
        let mut tenants = Tenants::default();
        enter(&mut tenants, 0..3, "a");
        enter(&mut tenants, 3..5, "b");
        enter(&mut tenants, 5..6, "");
        enter(&mut tenants, 6..8, "a");
        assert_eq!(take(&mut tenants, 10), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn quiet_groups_come_before_a_group_with_thirty_messages_in_flight() {
        let mut tenants = Tenants::default();
        enter(&mut tenants, 0..40, "noisy");
        enter(&mut tenants, 40..42, "quiet");
        enter(&mut tenants, 42..43, "");
        assert_eq!(take(&mut tenants, 29), (0..29).collect::<Vec<_>>());
        assert_eq!(take(&mut tenants, 1), [29], "with 29 in flight the group is quiet");
        assert_eq!(take(&mut tenants, 4), [40, 41, 42, 30]);
        // With fewer messages in flight it is quiet again.
        enter(&mut tenants, 43..44, "quiet");
        (0..2).for_each(|_| tenants.settle("noisy"));
        assert_eq!(take(&mut tenants, 2), [31, 43]);
    }

    #[test]
    fn a_group_with_a_tenth_of_all_messages_in_flight_is_quiet() {
        let mut tenants = Tenants::default();
        enter(&mut tenants, 0..270, "");
        enter(&mut tenants, 270..310, "g");
        take(&mut tenants, 300);
        enter(&mut tenants, 310..311, "other");
        assert_eq!(take(&mut tenants, 1), [300], "30 of 300 are a tenth, not more");
        assert_eq!(take(&mut tenants, 1), [310], "31 of 301 are more than a tenth");
    }

    #[test]
    fn idle_groups_are_forgotten() {
        let mut tenants = Tenants::default();
        enter(&mut tenants, 0..2, "a");
        assert_eq!(take(&mut tenants, 1), [0]);
        tenants.leave(1);
        assert_eq!(tenants.groups.len(), 1, "a message is in flight");
        tenants.settle("a");
        enter(&mut tenants, 2..3, "b");
        tenants.leave(2);
        assert!(tenants.is_empty());
    }
}
