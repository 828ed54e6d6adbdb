//! The messages that wait for a handler, and which of them may have one: one at a time of a group, groups in parallel.

use std::collections::{HashMap, VecDeque};

/// What waits, in order of arrival.
///
/// A group is claimed by one of its items at a time: by the one that is ready or was taken, and those that were claimed
/// with it, until [`done`](Self::done) was said of each. Items without a group are ready at once.
#[derive(Debug)]
pub(super) struct Backlog<T> {
    ready: VecDeque<T>,
    groups: HashMap<String, Group<T>>,
    /// In `ready` and `groups`.
    len: usize,
}

/// A claimed group.
#[derive(Debug)]
struct Group<T> {
    behind: VecDeque<T>,
    /// How many items share the claim.
    claims: usize,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            groups: HashMap::new(),
            len: 0,
        }
    }
}

impl<T> Backlog<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether [`pop`](Self::pop) would bring one.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn push(&mut self, group: Option<&str>, item: T) {
        self.len += 1;
        let Some(group) = group else {
            return self.ready.push_back(item);
        };
        match self.groups.get_mut(group) {
            Some(group) => group.behind.push_back(item),
            None => {
                let claimed = Group {
                    behind: VecDeque::new(),
                    claims: 1,
                };
                self.groups.insert(group.to_owned(), claimed);
                self.ready.push_back(item);
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let item = self.ready.pop_front()?;
        self.len -= 1;
        Some(item)
    }

    /// Of those that wait behind the group's claim, takes what passes the filter to share the claim.
    pub(super) fn claim_behind(&mut self, group: &str, mut filter: impl FnMut(&T) -> bool) -> Vec<T> {
        let Some(group) = self.groups.get_mut(group) else {
            return Vec::new();
        };
        let (taken, behind): (Vec<T>, _) = std::mem::take(&mut group.behind).into_iter().partition(&mut filter);
        group.behind = behind.into();
        group.claims += taken.len();
        self.len -= taken.len();
        taken
    }

    /// One with a part in the group's claim is done. After the last, the claim goes to the next item, if there is one.
    pub(super) fn done(&mut self, group: &str) {
        let Some(claimed) = self.groups.get_mut(group) else {
            return;
        };
        claimed.claims = claimed.claims.saturating_sub(1);
        if claimed.claims > 0 {
            return;
        }
        match claimed.behind.pop_front() {
            Some(next) => {
                claimed.claims = 1;
                self.ready.push_back(next);
            }
            None => drop(self.groups.remove(group)),
        }
    }

    /// Takes what waits behind the group's claim, to be given back to the queue. The claim stays.
    pub(super) fn take_behind(&mut self, group: &str) -> VecDeque<T> {
        let group = self.groups.get_mut(group);
        let behind = group.map(|group| std::mem::take(&mut group.behind)).unwrap_or_default();
        self.len -= behind.len();
        behind
    }

    /// Takes all that waits. Claims of items that were taken before stay.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.len = 0;
        let behind = self
            .groups
            .values_mut()
            .flat_map(|group| std::mem::take(&mut group.behind));
        self.ready.drain(..).chain(behind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_behind_can_share_the_claim_and_the_rest_waits_for_all_of_them() {
        let mut backlog = backlog(&[("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 5)]);
        assert_eq!(backlog.pop(), Some(1));
        assert_eq!(backlog.claim_behind("a", |item| item % 2 == 0), [2, 4]);
        assert_eq!(backlog.len(), 2);
        backlog.done("a");
        backlog.done("a");
        assert_eq!(pop_all(&mut backlog), [5], "one of a still has a part in the claim");
        backlog.done("a");
        assert_eq!(pop_all(&mut backlog), [3]);
        assert!(backlog.claim_behind("c", |_| true).is_empty());
    }

    fn backlog(items: &[(&str, u32)]) -> Backlog<u32> {
        let mut backlog = Backlog::default();
        for (group, item) in items {
            backlog.push(Some(*group).filter(|group| !group.is_empty()), *item);
        }
        backlog
    }

    fn pop_all(backlog: &mut Backlog<u32>) -> Vec<u32> {
        std::iter::from_fn(|| backlog.pop()).collect()
    }

    #[test]
    fn one_at_a_time_of_a_group_and_groups_in_parallel() {
        let mut backlog = backlog(&[("a", 1), ("a", 2), ("b", 3), ("", 4), ("", 5), ("b", 6)]);
        assert_eq!(pop_all(&mut backlog), [1, 3, 4, 5]);
        backlog.done("b");
        assert_eq!(pop_all(&mut backlog), [6]);
        backlog.done("b");
        backlog.push(Some("b"), 7);
        assert_eq!(pop_all(&mut backlog), [7], "the group was free");
        backlog.done("a");
        assert_eq!((pop_all(&mut backlog), backlog.len()), (vec![2], 0));
    }

    #[test]
    fn after_a_failure_the_rest_of_the_group_is_taken_and_other_groups_stay() {
        let mut backlog = backlog(&[("a", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5)]);
        assert_eq!(pop_all(&mut backlog), [1, 3]);
        assert_eq!(backlog.take_behind("a"), [2, 4]);
        backlog.push(Some("a"), 6);
        assert_eq!(backlog.pop(), None, "the failed one still has the claim");
        backlog.done("a");
        assert_eq!(backlog.pop(), Some(6));
        backlog.done("b");
        assert_eq!((backlog.pop(), backlog.len()), (Some(5), 0));
    }

    #[test]
    fn all_can_be_taken() {
        let mut backlog = backlog(&[("a", 1), ("a", 2), ("", 3)]);
        assert_eq!(backlog.pop(), Some(1));
        let mut all = backlog.drain();
        all.sort_unstable();
        assert_eq!((all, backlog.len()), (vec![2, 3], 0));
        backlog.done("a");
        assert!(backlog.groups.is_empty(), "nothing is kept of a finished group");
    }
}
