//! FIFO message groups: order within a group, and a group that is locked while any of it is in flight.

use std::collections::{BTreeSet, HashMap};

/// The groups of a FIFO queue.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<String, Group>,
    /// Groups that a receive may begin with, by the key of their first message.
    open: BTreeSet<(u64, String)>,
}

#[derive(Debug, Default)]
struct Group {
    /// Not in flight, in order.
    waiting: BTreeSet<u64>,
    /// Those of the waiting whose delay has not run out.
    delayed: BTreeSet<u64>,
    in_flight: usize,
}

impl Group {
    /// The message that comes next, if it is due.
    fn head(&self) -> Option<u64> {
        let first = self.waiting.first()?;
        (!self.delayed.contains(first)).then_some(*first)
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
            group.in_flight -= 1;
            group.waiting.insert(key);
        });
    }

    pub(crate) fn leave(&mut self, key: u64, name: &str, in_flight: bool) {
        self.update(name, |group| {
            group.waiting.remove(&key);
            group.delayed.remove(&key);
            group.in_flight -= usize::from(in_flight);
        });
    }

    /// Takes the next message: of the group that this receive has begun with, while it has more that are due;
    /// then of the open group whose first message is the oldest.
    pub(crate) fn take(&mut self, begun: &mut Option<String>) -> Option<u64> {
        let more = begun.as_ref().and_then(|name| self.groups.get(name)?.head());
        let key = match more {
            Some(key) => key,
            None => {
                let (key, name) = self.open.first()?.clone();
                *begun = Some(name);
                key
            }
        };
        let name = begun.clone()?;
        self.update(&name, |group| {
            group.waiting.remove(&key);
            group.in_flight += 1;
        });
        Some(key)
    }

    /// Changes a group and keeps the set of open groups true.
    fn update(&mut self, name: &str, change: impl FnOnce(&mut Group)) {
        let group = self.groups.entry(name.to_owned()).or_default();
        if let Some(head) = group.head() {
            self.open.remove(&(head, name.to_owned()));
        }
        change(group);
        match group.head() {
            Some(head) if group.in_flight == 0 => {
                self.open.insert((head, name.to_owned()));
            }
            None if group.in_flight == 0 && group.waiting.is_empty() => {
                self.groups.remove(name);
            }
            _ => {}
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
    fn as_many_of_one_group_as_possible_then_the_next() {
        let mut groups = queue(&[(1, "a"), (2, "b"), (3, "a"), (4, "b")]);
        assert_eq!(take(&mut groups, 3), [1, 3, 2]);
        // Both groups are locked now, b's last message with it.
        assert!(take(&mut groups, 10).is_empty());
    }

    #[test]
    fn a_group_opens_when_nothing_of_it_is_in_flight() {
        let mut groups = queue(&[(1, "a"), (2, "a"), (3, "a")]);
        assert_eq!(take(&mut groups, 2), [1, 2]);
        groups.leave(1, "a", true);
        assert!(take(&mut groups, 1).is_empty());
        groups.release(2, "a");
        assert_eq!(take(&mut groups, 10), [2, 3]);
    }

    #[test]
    fn a_delayed_head_holds_its_group_only() {
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
        groups.leave(1, "a", true);
        assert!(groups.groups.is_empty() && groups.open.is_empty());
    }
}
