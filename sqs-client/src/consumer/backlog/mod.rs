//! The messages that wait for a handler, and which of them may have one: one at a time of a group, groups in parallel.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

/// The place of an item in its group: the lower comes first.
pub(super) type Place = u64;

/// The waiting items, in order of arrival.
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

#[derive(Debug)]
struct Group<T> {
    /// The waiting items, in the order of their places.
    behind: VecDeque<(Place, T)>,
    /// The number of items that share the claim; none while a returned item is awaited.
    claims: usize,
    /// The step after the last item of the claim.
    then: Then,
    /// The item with the claim waits for its next turn.
    parked: bool,
    /// The item behind the awaited one was returned as well.
    probed: bool,
}

/// The step after an item that had a part in its group's claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next item's turn.
    Next,
    /// Nothing, until the returned item of this place comes again, or this time comes.
    Await(Place, Instant),
    /// All that wait behind leave.
    Leave,
}

impl Then {
    /// Returns the step after both items.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Leave, _) | (_, Self::Leave) => Self::Leave,
            (Self::Await(a, until), Self::Await(b, later)) => Self::Await(a.min(b), until.max(later)),
            (Self::Await(place, until), Self::Next) | (Self::Next, Self::Await(place, until)) => {
                Self::Await(place, until)
            }
            (Self::Next, Self::Next) => Self::Next,
        }
    }
}

/// Items of groups that waited in vain for what was returned.
#[derive(Debug)]
pub(super) struct Overdue<T> {
    /// The next of a group, to be returned as well. It has the group's claim.
    pub(super) probes: Vec<T>,
    /// All of a group whose next item did not come again either.
    pub(super) rest: Vec<T>,
    /// The groups of `rest`.
    pub(super) groups: Vec<String>,
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

impl<T> Group<T> {
    fn insert(&mut self, place: Place, item: T) {
        let at = self.behind.partition_point(|(other, _)| *other <= place);
        self.behind.insert(at, (place, item));
    }

    fn awaits(&self) -> Option<(Place, Instant)> {
        match self.then {
            Then::Await(place, until) if self.claims == 0 => Some((place, until)),
            _ => None,
        }
    }

    /// The number of items that wait for an earlier one, which waits as well.
    fn stalled(&self) -> usize {
        match self.parked {
            true => self.behind.len() + 1,
            false if self.claims == 0 => self.behind.len(),
            false => 0,
        }
    }
}

impl<T> Backlog<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if [`pop`](Self::pop) would bring an item.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns `true` if the group awaited this item.
    pub(super) fn push(&mut self, group: Option<&str>, place: Place, item: T) -> bool {
        self.len += 1;
        let Some(name) = group else {
            self.ready.push_back(item);
            return false;
        };
        let Some(group) = self.groups.get_mut(name) else {
            let claimed = Group {
                behind: VecDeque::new(),
                claims: 1,
                then: Then::Next,
                parked: false,
                probed: false,
            };
            self.groups.insert(name.to_owned(), claimed);
            self.ready.push_back(item);
            return false;
        };
        match group.awaits() {
            Some((awaited, _)) if place <= awaited => {
                (group.claims, group.then, group.probed) = (1, Then::Next, false);
                self.ready.push_back(item);
                true
            }
            _ => {
                group.insert(place, item);
                false
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
        let (taken, behind): (Vec<_>, _) = std::mem::take(&mut group.behind)
            .into_iter()
            .partition(|(_, item)| filter(item));
        group.behind = behind.into();
        group.claims += taken.len();
        self.len -= taken.len();
        taken.into_iter().map(|(_, item)| item).collect()
    }

    /// Takes all that wait behind the group's claim. The claim stays.
    pub(super) fn take_behind(&mut self, group: &str) -> Vec<T> {
        self.groups.get_mut(group).map_or_else(Vec::new, |group| {
            let behind = std::mem::take(&mut group.behind);
            self.len -= behind.len();
            behind.into_iter().map(|(_, item)| item).collect()
        })
    }

    /// One with a part in the group's claim is done. After the last, the claim goes to the next item, unless one of
    /// them is awaited or all are to leave; those that leave are returned.
    pub(super) fn done(&mut self, name: &str, then: Then) -> Vec<T> {
        let Some(group) = self.groups.get_mut(name) else {
            return Vec::new();
        };
        group.claims = group.claims.saturating_sub(1);
        group.then = group.then.and(then);
        if group.claims > 0 {
            return Vec::new();
        }
        let first = group.behind.front().map(|(place, _)| *place);
        match (group.then, first) {
            (Then::Await(awaited, _), Some(first)) if first > awaited => Vec::new(),
            (Then::Leave, _) | (_, None) => self.leave(name),
            _ => {
                (group.claims, group.then, group.probed) = (1, Then::Next, false);
                let next = group.behind.pop_front();
                self.ready.extend(next.map(|(_, item)| item));
                Vec::new()
            }
        }
    }

    fn leave(&mut self, name: &str) -> Vec<T> {
        let behind = self.groups.remove(name).map(|group| group.behind).unwrap_or_default();
        self.len -= behind.len();
        behind.into_iter().map(|(_, item)| item).collect()
    }

    /// The item that has the group's claim is to wait for its next turn. `false` if others share the claim.
    pub(super) fn park(&mut self, name: &str) -> bool {
        match self.groups.get_mut(name) {
            Some(group) if group.claims == 1 => {
                group.parked = true;
                true
            }
            _ => false,
        }
    }

    /// Returns `true` if what waits behind the group's claim can wait for a returned item, with at most `most` that do so.
    pub(super) fn may_wait(&self, name: &str, most: usize) -> bool {
        let behind = self.groups.get(name).map_or(0, |group| group.behind.len());
        let waiting = self.groups.values().filter(|group| group.awaits().is_some());
        waiting.map(|group| group.behind.len()).sum::<usize>() + behind <= most
    }

    /// Returns `true` if something waits behind the group's claim.
    pub(super) fn has_behind(&self, name: &str) -> bool {
        self.groups.get(name).is_some_and(|group| !group.behind.is_empty())
    }

    /// Returns `true` if a returned item of any group is awaited.
    pub(super) fn awaits(&self) -> bool {
        self.groups.values().any(|group| group.awaits().is_some())
    }

    /// Returns the number of items that wait for an earlier one of their group which waits or was returned, and of
    /// parked items.
    pub(super) fn stalled(&self) -> usize {
        self.groups.values().map(Group::stalled).sum()
    }

    /// An item with a part in its group's claim takes its turn, now or again: alone at once, or else after the others.
    /// Returns `true` if it has the claim.
    pub(super) fn again(&mut self, group: Option<&str>, place: Place, item: T) -> bool {
        self.len += 1;
        match group.and_then(|name| self.groups.get_mut(name)) {
            Some(group) if group.claims > 1 => {
                group.claims -= 1;
                group.insert(place, item);
                false
            }
            group => {
                if let Some(group) = group {
                    group.parked = false;
                }
                self.ready.push_front(item);
                true
            }
        }
    }

    /// Puts a newer receipt in the place of an older one that waits.
    pub(super) fn replace(&mut self, group: Option<&str>, is_older: impl Fn(&T) -> bool, newer: T) -> bool {
        let behind = group.and_then(|name| self.groups.get_mut(name));
        let behind = behind.into_iter().flat_map(|group| &mut group.behind);
        let mut waiting = self.ready.iter_mut().chain(behind.map(|(_, item)| item));
        match waiting.find(|item| is_older(item)) {
            Some(older) => {
                *older = newer;
                true
            }
            None => false,
        }
    }

    /// Takes from the groups that awaited a returned item until now.
    pub(super) fn overdue(&mut self, now: Instant) -> Overdue<T> {
        let mut overdue = Overdue {
            probes: Vec::new(),
            rest: Vec::new(),
            groups: Vec::new(),
        };
        let late = |group: &Group<T>| group.awaits().is_some_and(|(_, until)| until <= now);
        let names: Vec<String> = self
            .groups
            .iter()
            .filter(|(_, group)| late(group))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let Some(group) = self.groups.get_mut(&name) else {
                continue;
            };
            if group.probed || group.behind.len() == 1 {
                overdue.rest.extend(self.leave(&name));
                overdue.groups.push(name);
            } else if let Some((_, probe)) = group.behind.pop_front() {
                (group.claims, group.then, group.probed) = (1, Then::Next, true);
                self.len -= 1;
                overdue.probes.push(probe);
            }
        }
        overdue
    }

    /// Returns the time of the next [`overdue`](Self::overdue) group.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        let awaited = self.groups.values().filter_map(Group::awaits);
        awaited.map(|(_, until)| until).min()
    }

    /// Takes all that waits. Claims of items that were taken before stay.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.len = 0;
        let behind = self
            .groups
            .values_mut()
            .flat_map(|group| std::mem::take(&mut group.behind));
        let all = self.ready.drain(..).chain(behind.map(|(_, item)| item)).collect();
        self.groups.retain(|_, group| group.claims > 0);
        all
    }
}

#[cfg(test)]
mod tests;
