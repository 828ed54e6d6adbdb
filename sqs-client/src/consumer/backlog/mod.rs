//! The buffered messages, and the order in which they may be handled. Each group has one at a time, and groups run in
//! parallel.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

/// The position of an item in its group. The lowest comes first.
pub(super) type Position = u64;

/// The buffered items, in order of arrival.
///
/// One item at a time claims its group: the one that is ready or was popped. Other items may share its claim. The claim ends
/// after [`done`](Self::done) was called for each of them. Items without a group are ready at once.
#[derive(Debug)]
pub(super) struct Backlog<T> {
    ready: VecDeque<T>,
    groups: HashMap<String, Group<T>>,
    /// The number of items in `ready` and `groups`.
    len: usize,
}

#[derive(Debug)]
struct Group<T> {
    /// The waiting items, in the order of their positions.
    behind: VecDeque<(Position, T)>,
    /// The number of items that share the claim. Zero while a returned item is awaited.
    claims: usize,
    /// The step after the last item of the claim.
    next: NextStep,
    /// `true` while the item with the claim waits for its retry.
    awaiting_retry: bool,
    /// `true` if the items behind the awaited one were also returned.
    probed: bool,
}

/// The step after an item that shared its group's claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// The next item has its turn.
    Proceed,
    /// The group waits until the returned item of this position comes again, or until this time.
    Await(Position, Instant),
    /// All items behind it leave the backlog.
    Leave,
}

impl NextStep {
    /// Returns the step after both items.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Leave, _) | (_, Self::Leave) => Self::Leave,
            (Self::Await(a, until), Self::Await(b, later)) => Self::Await(a.min(b), until.max(later)),
            (Self::Await(position, until), Self::Proceed) | (Self::Proceed, Self::Await(position, until)) => {
                Self::Await(position, until)
            }
            (Self::Proceed, Self::Proceed) => Self::Proceed,
        }
    }
}

/// The items of groups that waited in vain for a returned item.
#[derive(Debug)]
pub(super) struct Overdue<T> {
    /// The next item of each group and those that belong with it, to be returned also. They share the group's claim.
    pub(super) probes: Vec<T>,
    /// All items of the groups whose next item was not received again either.
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
    fn insert(&mut self, position: Position, item: T) {
        let at = self.behind.partition_point(|(other, _)| *other <= position);
        self.behind.insert(at, (position, item));
    }

    /// Returns the number of items behind the claim that belong with the first of them, itself included.
    fn len_of_first(&self, belongs: impl Fn(&T, &T) -> bool) -> usize {
        let mut items = self.behind.iter().map(|(_, item)| item);
        items
            .next()
            .map_or(0, |first| 1 + items.take_while(|later| belongs(first, later)).count())
    }

    fn awaits(&self) -> Option<(Position, Instant)> {
        match self.next {
            NextStep::Await(position, until) if self.claims == 0 => Some((position, until)),
            _ => None,
        }
    }

    /// Returns the number of items that wait for an earlier one, which waits as well.
    fn stalled(&self) -> usize {
        match self.awaiting_retry {
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

    /// Returns `true` if [`pop`](Self::pop) would return an item.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Adds an item. Returns `true` if its group awaited it.
    pub(super) fn push(&mut self, group: Option<&str>, position: Position, item: T) -> bool {
        self.len += 1;
        let Some(name) = group else {
            self.ready.push_back(item);
            return false;
        };
        let Some(group) = self.groups.get_mut(name) else {
            let claimed = Group {
                behind: VecDeque::new(),
                claims: 1,
                next: NextStep::Proceed,
                awaiting_retry: false,
                probed: false,
            };
            self.groups.insert(name.to_owned(), claimed);
            self.ready.push_back(item);
            return false;
        };
        match group.awaits() {
            Some((awaited, _)) if position <= awaited => {
                (group.claims, group.next, group.probed) = (1, NextStep::Proceed, false);
                self.ready.push_back(item);
                true
            }
            _ => {
                group.insert(position, item);
                false
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let item = self.ready.pop_front()?;
        self.len -= 1;
        Some(item)
    }

    /// Removes and returns the items behind the group's claim that pass the filter. They share the claim.
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

    /// Removes and returns all items behind the group's claim. The claim stays.
    pub(super) fn remove_behind(&mut self, group: &str) -> Vec<T> {
        self.groups.get_mut(group).map_or_else(Vec::new, |group| {
            let behind = std::mem::take(&mut group.behind);
            self.len -= behind.len();
            behind.into_iter().map(|(_, item)| item).collect()
        })
    }

    /// Ends one item's share of the group's claim. After the last share, the next item gets the claim, unless a returned
    /// item is awaited or all items leave. Returns the items that leave.
    pub(super) fn done(&mut self, name: &str, next: NextStep) -> Vec<T> {
        let Some(group) = self.groups.get_mut(name) else {
            return Vec::new();
        };
        group.claims = group.claims.saturating_sub(1);
        group.next = group.next.and(next);
        if group.claims > 0 {
            return Vec::new();
        }
        let first = group.behind.front().map(|(position, _)| *position);
        match (group.next, first) {
            (NextStep::Await(awaited, _), Some(first)) if first > awaited => Vec::new(),
            (NextStep::Leave, _) | (_, None) => self.leave(name),
            _ => {
                (group.claims, group.next, group.probed) = (1, NextStep::Proceed, false);
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

    /// Lets the item with the group's claim wait for its retry. Returns `false` if other items share the claim.
    pub(super) fn await_retry(&mut self, name: &str) -> bool {
        match self.groups.get_mut(name) {
            Some(group) if group.claims == 1 => {
                group.awaiting_retry = true;
                true
            }
            _ => false,
        }
    }

    /// Returns `true` if the items behind the group's claim can await a returned item, so that at most `max` items do.
    pub(super) fn may_wait(&self, name: &str, max: usize) -> bool {
        let behind = self.groups.get(name).map_or(0, |group| group.behind.len());
        let waiting = self.groups.values().filter(|group| group.awaits().is_some());
        waiting.map(|group| group.behind.len()).sum::<usize>() + behind <= max
    }

    /// Returns `true` if any item waits behind the group's claim.
    pub(super) fn has_behind(&self, name: &str) -> bool {
        self.groups.get(name).is_some_and(|group| !group.behind.is_empty())
    }

    /// Returns `true` if a returned item of any group is awaited.
    pub(super) fn awaits(&self) -> bool {
        self.groups.values().any(|group| group.awaits().is_some())
    }

    /// Returns the number of items that await their retry, or wait for an earlier one of their group that does or that was
    /// returned.
    pub(super) fn stalled(&self) -> usize {
        self.groups.values().map(Group::stalled).sum()
    }

    /// Queues an item that shares its group's claim. If it has the claim alone, it is ready at once. Otherwise its turn
    /// follows the other sharers. Returns `true` if it has the claim.
    pub(super) fn requeue(&mut self, group: Option<&str>, position: Position, item: T) -> bool {
        self.len += 1;
        match group.and_then(|name| self.groups.get_mut(name)) {
            Some(group) if group.claims > 1 => {
                group.claims -= 1;
                group.insert(position, item);
                false
            }
            group => {
                if let Some(group) = group {
                    group.awaiting_retry = false;
                }
                self.ready.push_front(item);
                true
            }
        }
    }

    /// Replaces a buffered receipt by a newer one. Returns `false` if there is none.
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

    /// Removes and returns the items to return to the queue, from the groups whose wait for a returned item is over.
    /// `belongs(first, later)` tells if two items belong together, so that neither is returned without the other.
    pub(super) fn overdue(&mut self, now: Instant, belongs: impl Fn(&T, &T) -> bool) -> Overdue<T> {
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
            let probes = group.len_of_first(&belongs);
            if group.probed || group.behind.len() == probes {
                overdue.rest.extend(self.leave(&name));
                overdue.groups.push(name);
            } else {
                (group.claims, group.next, group.probed) = (probes, NextStep::Proceed, true);
                self.len -= probes;
                overdue
                    .probes
                    .extend(group.behind.drain(..probes).map(|(_, item)| item));
            }
        }
        overdue
    }

    /// Returns the time of the next [`overdue`](Self::overdue) group.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        let awaited = self.groups.values().filter_map(Group::awaits);
        awaited.map(|(_, until)| until).min()
    }

    /// Removes and returns all buffered items. Claims of popped items stay.
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
