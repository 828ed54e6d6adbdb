//! FIFO message groups: a group yields its messages in order, up to the first one that is in flight or delayed.

use std::collections::{BTreeSet, HashMap};

/// The groups of a FIFO queue.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<String, Group>,
    /// Groups that a receive may start with, by the key of their first message.
    open: BTreeSet<(u64, String)>,
}

#[derive(Debug, Default)]
struct Group {
    /// Messages that are not in flight, in order.
    waiting: BTreeSet<u64>,
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
    /// Returns the message that a receive may start with.
    fn head(&self) -> Option<u64> {
        self.due_from(0)
    }

    /// Returns the first message from `key` on, unless it is delayed or a message between `key` and it is in flight.
    fn due_from(&self, key: u64) -> Option<u64> {
        let first = *self.waiting.range(key..).next()?;
        let blocked = self.delayed.contains(&first) || self.in_flight.range(key..first).next().is_some();
        (!blocked).then_some(first)
    }
}

impl Groups {
    pub(crate) fn enter(&mut self, key: u64, name: &str, delayed: bool) {
        self.update(name, |group| {
            group.waiting.insert(key);
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

    pub(crate) fn release(&mut self, key: u64, name: &str) {
        self.update(name, |group| {
            group.in_flight.remove(&key);
            group.waiting.insert(key);
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
    /// from the open group with the oldest first message.
    pub(crate) fn take(&mut self, begun: &mut Option<Begun>) -> Option<u64> {
        let (group, key) = match begun.take().and_then(|begun| self.next_of(begun)) {
            Some(next) => next,
            None => self.open.first().map(|(key, name)| (name.clone(), *key))?,
        };
        self.update(&group, |group| {
            group.waiting.remove(&key);
            group.in_flight.insert(key);
        });
        *begun = Some(Begun { group, last: key });
        Some(key)
    }

    /// Returns the message after those that this receive took, which do not block their group for it.
    fn next_of(&self, begun: Begun) -> Option<(String, u64)> {
        let key = self.groups.get(&begun.group)?.due_from(begun.last + 1)?;
        Some((begun.group, key))
    }

    /// Changes a group, and updates the open groups.
    fn update(&mut self, name: &str, change: impl FnOnce(&mut Group)) {
        let group = self.groups.entry(name.to_owned()).or_default();
        if let Some(head) = group.head() {
            self.open.remove(&(head, name.to_owned()));
        }
        change(group);
        if let Some(head) = group.head() {
            self.open.insert((head, name.to_owned()));
        } else if group.in_flight.is_empty() && group.waiting.is_empty() {
            self.groups.remove(name);
        }
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
        groups.release(2, "a");
        assert_eq!(take(&mut groups, 10), [2]);
        groups.release(3, "a");
        assert!(take(&mut groups, 10).is_empty());
        groups.release(2, "a");
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

    #[test]
    fn finished_groups_are_forgotten() {
        let mut groups = queue(&[(1, "a")]);
        take(&mut groups, 1);
        groups.leave(1, "a");
        assert!(groups.groups.is_empty() && groups.open.is_empty());
    }
}
