//! What to do with the segments of one payload that a receive brought of a FIFO group, of which they are the first.
//!
//! SQS shows nothing more of a group while any of it is in flight: what is not complete within one receive can be completed
//! only by giving it back and receiving again. What is behind in the group is the queue's consumer's to keep in order.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::memory::Memory;
use super::{Header, Whole};

/// How often a payload that is the first of its group is given back as incomplete before it is reported as such, if its time
/// is not over before. As the pauses double from nothing and a second on, that takes 31 seconds: a sender has that long to
/// send the rest.
pub(crate) const MAX_ATTEMPTS: u32 = 7;

/// After how long a payload that was reported comes back, and the group with it.
pub(crate) const REPORTED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Of how many payloads it is known how often they were given back.
const MAX_REMEMBERED: usize = 1_024;

/// After this long without a receive it is a new one.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// What to do with segments, by their places in what was received. Those that are in no list are to be given back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The segments, in their order, are a payload whose bytes are still to be verified.
    Set {
        segments: Vec<usize>,
        /// Older messages of the same segments, to be settled with them.
        duplicates: Vec<usize>,
    },
    /// The payload stays incomplete. Its messages are to be given back, and block the group, unless the user decides
    /// otherwise.
    Incomplete {
        segments: Vec<usize>,
        /// How many of the payload's segments these are.
        have: u32,
        after: Duration,
    },
    /// All of them are to be given back.
    Release { after: Duration },
}

/// Plans receives, and remembers how often the first payload of a group was incomplete.
#[derive(Debug)]
pub(crate) struct Planner {
    /// How often, and since when.
    attempts: Memory<(u32, Instant)>,
    age: Duration,
}

impl Planner {
    /// After `age` a payload that is still incomplete is reported.
    pub(crate) fn new(age: Duration) -> Self {
        Self {
            attempts: Memory::new(MAX_REMEMBERED, REMEMBERED_FOR),
            age,
        }
    }

    /// What to do with these segments, which are in the order in which they were received, each with how many bytes it
    /// holds. They are of the payload that the first of them is of; what contradicts that is no part of it.
    pub(crate) fn plan(&mut self, received: &[(&Header, u64)], now: Instant) -> Step {
        let Some((first, _)) = received.first() else {
            return Step::Release { after: Duration::ZERO };
        };
        let set = Set::find(&first.whole, received);
        if set.is_complete {
            self.attempts.forget(&first.whole.id);
            return set.into_step();
        }
        self.incomplete(&first.whole.id, &set, now)
    }

    fn incomplete(&mut self, id: &str, set: &Set, now: Instant) -> Step {
        let (before, since) = self.attempts.get(id, now).copied().unwrap_or((0, now));
        self.attempts.remember(id, (before.saturating_add(1), since), now);
        let may_come = now.saturating_duration_since(since) < self.age || before == 0;
        if before + 1 < MAX_ATTEMPTS && may_come {
            let pause = before.checked_sub(1).map_or(0, |doublings| 1 << doublings);
            return Step::Release {
                after: Duration::from_secs(pause),
            };
        }
        Step::Incomplete {
            segments: sorted(set.newest.values().chain(&set.older).copied()),
            have: u32::try_from(set.newest.len()).unwrap_or(u32::MAX),
            after: REPORTED_AGAIN_AFTER,
        }
    }
}

fn sorted(places: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut places: Vec<usize> = places.collect();
    places.sort_unstable();
    places
}

/// The messages of one payload, by their places.
struct Set {
    /// The newest of each segment, by index.
    newest: BTreeMap<u32, usize>,
    older: Vec<usize>,
    is_complete: bool,
}

impl Set {
    /// Gathers the payload's segments up to the one that completes it: whatever comes later with the same id was sent again,
    /// and is a payload of its own.
    fn find(whole: &Whole, received: &[(&Header, u64)]) -> Self {
        let mut set = Self {
            newest: BTreeMap::new(),
            older: Vec::new(),
            is_complete: false,
        };
        let mut ranges = BTreeMap::new();
        let of_it = received
            .iter()
            .enumerate()
            .filter(|(_, (header, _))| header.whole == *whole);
        for (place, (header, len)) in of_it {
            set.older.extend(set.newest.insert(header.index, place));
            ranges.insert(header.index, (header.offset, header.offset.saturating_add(*len)));
            set.is_complete = touch(whole, &ranges);
            if set.is_complete {
                break;
            }
        }
        set
    }

    fn into_step(self) -> Step {
        Step::Set {
            segments: self.newest.into_values().collect(),
            duplicates: self.older,
        }
    }
}

/// Whether these ranges, by index, are all of the payload, one after the other.
fn touch(whole: &Whole, ranges: &BTreeMap<u32, (u64, u64)>) -> bool {
    let mut at = 0;
    let one_after_another = ranges.values().all(|(offset, end)| {
        let touches = *offset == at;
        at = *end;
        touches
    });
    usize::try_from(whole.count).is_ok_and(|count| count == ranges.len()) && one_after_another && at == whole.total
}

#[cfg(test)]
mod tests;
