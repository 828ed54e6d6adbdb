//! FIFO message groups: a group yields its messages in order, up to the first one that is in flight or delayed. Groups take
//! turns by the rank of their first message.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The groups of a FIFO queue.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<String, Group>,
    /// Groups that a receive may start with, by the rank of their first message.
    open: BTreeSet<(u64, String)>,
}

#[derive(Debug, Default)]
struct Group {
    /// Messages that are not in flight, in order, with their ranks.
    waiting: BTreeMap<u64, u64>,
    /// Waiting messages whose delay has not expired.
    delayed: BTreeSet<u64>,
    in_flight: BTreeSet<u64>,
}

/// The group from which a receive currently takes messages.
#[derive(Debug)]
pub(crate) struct Begun {
    group: String,
    /// The last message that the receive took.
    last: u64,
}

impl Group {
    /// Returns the message that a receive may start with, and its rank.
    fn head(&self) -> Option<(u64, u64)> {
        self.due_from(0)
    }

    /// Returns the first message from `key` on with its rank, unless it is delayed or a message between `key` and it is in
    /// flight.
    fn due_from(&self, key: u64) -> Option<(u64, u64)> {
        let (&first, &rank) = self.waiting.range(key..).next()?;
        let blocked = self.delayed.contains(&first) || self.in_flight.range(key..first).next().is_some();
        (!blocked).then_some((first, rank))
    }
}

impl Groups {
    pub(crate) fn enter(&mut self, key: u64, name: &str, delayed: bool) {
        self.update(name, |group| {
            group.waiting.insert(key, key);
            if delayed {
                group.delayed.insert(key);
            }
        });
    }

    pub(crate) fn wake(&mut self, key: u64, name: &str) {
        self.update(name, |group| {
            group.delayed.remove(&key);
        });
    }

    /// Makes a message in flight available again. Its group then takes its turn as if the message had just arrived, as
    /// recorded from AWS, so that a group whose message is always returned starves no other.
    pub(crate) fn release(&mut self, key: u64, rank: u64, name: &str) {
        self.update(name, |group| {
            group.in_flight.remove(&key);
            group.waiting.insert(key, rank);
        });
    }

    pub(crate) fn leave(&mut self, key: u64, name: &str) {
        self.update(name, |group| {
            group.waiting.remove(&key);
            group.delayed.remove(&key);
            group.in_flight.remove(&key);
        });
    }

    /// Takes the next message. It comes from the receive's current group while that has available messages, and then
    /// from the open group whose turn it is.
    pub(crate) fn take(&mut self, begun: &mut Option<Begun>) -> Option<u64> {
        let next = begun.take().and_then(|begun| self.next_of(begun));
        let (group, key) = next.or_else(|| self.first())?;
        self.update(&group, |group| {
            group.waiting.remove(&key);
            group.in_flight.insert(key);
        });
        *begun = Some(Begun { group, last: key });
        Some(key)
    }

    /// Returns the message after those that this receive took, which do not block their group for it.
    fn next_of(&self, begun: Begun) -> Option<(String, u64)> {
        let (key, _) = self.groups.get(&begun.group)?.due_from(begun.last + 1)?;
        Some((begun.group, key))
    }

    /// Returns the first message of the open group whose turn it is.
    fn first(&self) -> Option<(String, u64)> {
        let (_, name) = self.open.first()?;
        let (key, _) = self.groups.get(name)?.head()?;
        Some((name.clone(), key))
    }

    /// Changes a group, and updates the open groups.
    fn update(&mut self, name: &str, change: impl FnOnce(&mut Group)) {
        let group = self.groups.entry(name.to_owned()).or_default();
        let before = group.head().map(|(_, rank)| rank);
        change(group);
        let after = group.head().map(|(_, rank)| rank);
        if before != after {
            if let Some(rank) = before {
                self.open.remove(&(rank, name.to_owned()));
            }
            self.open.extend(after.map(|rank| (rank, name.to_owned())));
        }
        if group.in_flight.is_empty() && group.waiting.is_empty() {
            self.groups.remove(name);
        }
    }
}

#[cfg(test)]
impl Groups {
    /// Returns `true` if no group is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(groups: &mut Groups, max: usize) -> Vec<u64> {
        let mut begun = None;
        std::iter::from_fn(|| groups.take(&mut begun)).take(max).collect()
    }

    fn queue(entries: &[(u64, &str)]) -> Groups {
        let mut groups = Groups::default();
        entries.iter().for_each(|(key, group)| groups.enter(*key, group, false));
        groups
    }

    #[test]
    fn a_receive_exhausts_one_group_before_the_next() {
        let mut groups = queue(&[(1, "a"), (2, "b"), (3, "a"), (4, "b")]);
        assert_eq!(take(&mut groups, 3), [1, 3, 2]);
        // Both groups are blocked now, including b's last message.
        assert!(take(&mut groups, 10).is_empty());
    }

    #[test]
    fn a_group_yields_messages_up_to_the_first_in_flight() {
        let mut groups = queue(&[(1, "a"), (2, "a"), (3, "a"), (4, "a")]);
        assert_eq!(take(&mut groups, 3), [1, 2, 3]);
        groups.leave(1, "a");
        assert!(take(&mut groups, 1).is_empty());
        groups.release(2, 10, "a");
        assert_eq!(take(&mut groups, 10), [2]);
        groups.release(3, 11, "a");
        assert!(take(&mut groups, 10).is_empty());
        groups.release(2, 12, "a");
        assert_eq!(take(&mut groups, 10), [2, 3, 4]);
    }

    #[test]
    fn a_delayed_head_blocks_only_its_group() {
        let mut groups = queue(&[(2, "b")]);
        groups.enter(0, "a", true);
        groups.enter(1, "a", false);
        assert_eq!(take(&mut groups, 10), [2]);
        groups.wake(0, "a");
        assert_eq!(take(&mut groups, 10), [0, 1]);
    }

    /// Both orders were recorded from AWS.
    #[test]
    fn a_returned_group_waits_for_its_next_turn() {
        let mut groups = queue(&[(1, "a"), (2, "b"), (3, "a"), (4, "b"), (5, "c")]);
        assert_eq!(take(&mut groups, 3), [1, 3, 2]);
        for (key, rank, group) in [(1, 6, "a"), (3, 7, "a"), (2, 8, "b")] {
            groups.release(key, rank, group);
        }
        assert_eq!(take(&mut groups, 10), [5, 1, 3, 2, 4]);

        let mut groups = queue(&[(1, "a"), (2, "a"), (3, "b")]);
        assert_eq!(take(&mut groups, 2), [1, 2]);
        groups.release(1, 4, "a");
        assert_eq!(take(&mut groups, 10), [3, 1]);
    }

    #[test]
    fn a_group_that_is_returned_again_and_again_starves_no_other() {
        let mut groups = queue(&[(1, "poison"), (2, "b"), (3, "c"), (4, "c")]);
        let mut order = Vec::new();
        for rank in 5..10 {
            for key in take(&mut groups, 1) {
                order.push(key);
                match key {
                    1 => groups.release(1, rank, "poison"),
                    2 => groups.leave(2, "b"),
                    key => groups.leave(key, "c"),
                }
            }
        }
        assert_eq!(order, [1, 2, 3, 4, 1]);
    }

    #[test]
    fn finished_groups_are_forgotten() {
        let mut groups = queue(&[(1, "a")]);
        take(&mut groups, 1);
        groups.leave(1, "a");
        assert!(groups.is_empty());
    }
}
