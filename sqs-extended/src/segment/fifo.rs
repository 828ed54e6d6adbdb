//! What to do with the messages of one message group of a FIFO queue that one receive brought.
//!
//! SQS shows nothing more of a group while any of it is in flight: what is not complete within one receive can be completed
//! only by giving it back and receiving again. Nothing of the group may be handled before what is in front of it.

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

/// A message, as far as its group's order goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    /// A message that is no segment.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the consumer orders whole messages by itself")
    )]
    Whole,
    /// A segment that holds so many bytes.
    Segment(&'a Header, u64),
}

/// What to do with messages, by their places in what was received; to be done in order. Every place is in one step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The message is a payload.
    Whole(usize),
    /// The segments, in their order, are a payload whose bytes are still to be verified.
    Set {
        segments: Vec<usize>,
        /// Older messages of the same segments, to be settled with them.
        duplicates: Vec<usize>,
    },
    /// The first payload of the group stays incomplete. The messages are to be given back, and block the group, unless the
    /// user decides otherwise.
    Incomplete {
        segments: Vec<usize>,
        /// How many of the payload's segments these are.
        have: u32,
        after: Duration,
    },
    /// The messages are to be given back.
    Release { messages: Vec<usize>, after: Duration },
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

    /// What to do with these messages of one group, which are in the order in which they were received. What comes behind
    /// an incomplete payload is given back with it.
    pub(crate) fn plan(&mut self, received: &[Item<'_>], now: Instant) -> Vec<Step> {
        let mut left: BTreeMap<usize, Item<'_>> = received.iter().copied().enumerate().collect();
        let mut steps = Vec::new();
        while let Some((first, item)) = left.pop_first() {
            let Item::Segment(header, _) = item else {
                steps.push(Step::Whole(first));
                continue;
            };
            left.insert(first, item);
            let set = Set::find(&header.whole, &left);
            left.retain(|place, _| set.all().all(|taken| taken != *place));
            if set.is_complete {
                self.attempts.forget(&header.whole.id);
                steps.push(set.into_step());
                continue;
            }
            // Behind others it may be that the receive was just too short for it.
            if steps.is_empty() {
                let rest = left.into_keys().collect();
                steps.extend(self.incomplete(&header.whole.id, &set, rest, now).into_iter().flatten());
            } else {
                steps.extend(release(set.all().chain(left.into_keys()), Duration::ZERO));
            }
            break;
        }
        steps
    }

    fn incomplete(&mut self, id: &str, set: &Set, rest: Vec<usize>, now: Instant) -> [Option<Step>; 2] {
        let (before, since) = self.attempts.get(id, now).copied().unwrap_or((0, now));
        self.attempts.remember(id, (before.saturating_add(1), since), now);
        let may_come = now.saturating_duration_since(since) < self.age || before == 0;
        if before + 1 < MAX_ATTEMPTS && may_come {
            let pause = before.checked_sub(1).map_or(0, |doublings| 1 << doublings);
            let all = release(set.all().chain(rest), Duration::from_secs(pause));
            return [all, None];
        }
        let incomplete = Step::Incomplete {
            segments: sorted(set.all()),
            have: u32::try_from(set.newest.len()).unwrap_or(u32::MAX),
            after: REPORTED_AGAIN_AFTER,
        };
        [Some(incomplete), release(rest.into_iter(), Duration::ZERO)]
    }
}

fn release(places: impl Iterator<Item = usize>, after: Duration) -> Option<Step> {
    let messages = sorted(places);
    (!messages.is_empty()).then_some(Step::Release { messages, after })
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
    /// Gathers the payload's segments among these messages up to the one that completes it: whatever comes later with the
    /// same id was sent again, and is a payload of its own.
    fn find(whole: &Whole, messages: &BTreeMap<usize, Item<'_>>) -> Self {
        let mut set = Self {
            newest: BTreeMap::new(),
            older: Vec::new(),
            is_complete: false,
        };
        let mut ends = BTreeMap::new();
        for (place, item) in messages {
            match item {
                Item::Segment(header, len) if header.whole == *whole => {
                    set.older.extend(set.newest.insert(header.index, *place));
                    ends.insert(header.index, (header.offset, header.offset.saturating_add(*len)));
                    set.is_complete = touch(whole, &ends);
                }
                _ => {}
            }
            if set.is_complete {
                break;
            }
        }
        set
    }

    fn all(&self) -> impl Iterator<Item = usize> {
        self.newest.values().chain(&self.older).copied()
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
