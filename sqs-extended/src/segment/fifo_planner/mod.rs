//! Decides what to do with the segments of one payload that a receive brought of a FIFO group, of which they are the first.
//!
//! SQS yields a group in order, at most 10 messages at a time, up to the first one that is in flight. So a payload must be
//! complete within one receive. What is not complete is returned and received again: the rest is still being sent, is in
//! flight at another consumer, or never comes. The order of a group tells more. Whatever precedes the beginning of a
//! payload that was sent again is there, so that an incomplete payload before it stays incomplete. What is behind in the
//! group is the queue's consumer's to keep in order.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::payload::digest::Digest;
use crate::segment::expiring_map::Memory;
use crate::segment::{Header, MAX_FIFO_SEGMENTS, Whole};

/// The receives within 31 seconds of a payload that is incomplete, as the pauses double from nothing and a second on. A
/// consumer that was killed hides what it held for 30 seconds, unless its visibility timeout is set otherwise.
pub(crate) const RECEIVES_WHILE_HIDDEN: u32 = 7;

/// The longest pause before an incomplete payload is received again, and the group with it; also after it was reported.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The number of incomplete payloads whose attempts are remembered.
const MAX_REMEMBERED: usize = 1_024;

/// After this long without a receive it is a new one.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// The number of payloads that are remembered as finished, and for how long.
const MAX_FINISHED: usize = 10_000;
const FINISHED_FOR: Duration = Duration::from_secs(3_600);

/// The time for which SQS deduplicates.
const DEDUPLICATION_WINDOW: Duration = Duration::from_secs(300);

/// A received segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) header: &'a Header,
    /// The number of its bytes.
    pub(crate) len: u64,
    pub(crate) message_id: &'a str,
    /// The time at which SQS accepted the message, by SQS's clock.
    pub(crate) sent: Option<SystemTime>,
}

/// The decision about segments, by their places in what was received. Those that are in no list are to be returned to the
/// queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The segments, in their order, are a payload whose bytes are still to be verified.
    Set {
        segments: Vec<usize>,
        /// Older messages of the same segments, to be settled with them.
        duplicates: Vec<usize>,
    },
    /// These are to be deleted: nothing that is still to be delivered needs them.
    Delete { segments: Vec<usize>, why: Needless },
    /// The payload stays incomplete. Its messages are to be returned, and block the group, unless the user decides
    /// otherwise.
    Incomplete {
        segments: Vec<usize>,
        /// How many of the payload's segments these are.
        have: u32,
        after: Duration,
    },
    /// All of them are to be returned.
    Release { after: Duration },
}

/// The reason why segments are to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needless {
    /// Their payload was acknowledged.
    Finished,
    /// Their payload is incomplete, and was sent again in another way.
    SentAgain,
    /// A later message holds the same segment.
    Duplicate,
}

/// A payload that was acknowledged: what still comes of it is to be deleted.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    key: String,
    digest: Digest,
    /// The time at which its first message was sent.
    since: Option<SystemTime>,
    /// SQS would have swallowed what was sent under its deduplication id before this time.
    until: Option<SystemTime>,
}

impl Finished {
    /// Describes the payload that these segments are the whole of.
    pub(crate) fn new(group: &str, whole: &Whole, sent: impl IntoIterator<Item = Option<SystemTime>>) -> Self {
        let sent: Vec<SystemTime> = sent.into_iter().flatten().collect();
        let latest = sent.iter().max().copied();
        Self {
            key: key(group, &whole.id),
            digest: whole.digest.clone(),
            since: sent.into_iter().min(),
            until: latest.and_then(|latest| latest.checked_add(DEDUPLICATION_WINDOW)),
        }
    }

    fn covers(&self, received: &Received<'_>) -> bool {
        self.until.zip(received.sent).is_some_and(|(until, sent)| sent < until)
    }

    fn was_sent_after(&self, received: &Received<'_>) -> bool {
        self.since.zip(received.sent).is_some_and(|(since, sent)| sent < since)
    }
}

/// Payloads of two groups can have one id, where deduplication is by group.
fn key(group: &str, id: &str) -> String {
    format!("{id} {group}")
}

/// Plans receives, and remembers how often the first payload of a group was incomplete, and which are finished.
#[derive(Debug)]
pub(crate) struct Planner {
    /// How often, and since when.
    attempts: Memory<(u32, Instant)>,
    finished: Memory<Finished>,
    age: Duration,
}

impl Planner {
    /// After `age` a payload that is still incomplete is reported.
    pub(crate) fn new(age: Duration) -> Self {
        Self {
            attempts: Memory::new(MAX_REMEMBERED, REMEMBERED_FOR),
            finished: Memory::new(MAX_FINISHED, FINISHED_FOR),
            age,
        }
    }

    /// Decides what to do with these segments of the group, which are in the order in which they were received. They have the
    /// payload id of the first of them; what contradicts that one is no part of its payload. `sent_again` says that the
    /// payload is also behind them as an ordinary message.
    pub(crate) fn plan(&mut self, group: &str, received: &[Received<'_>], sent_again: bool, now: Instant) -> Step {
        let Some(first) = received.first() else {
            return Step::Release { after: Duration::ZERO };
        };
        let key = key(group, &first.header.whole.id);
        let set = Set::find(&first.header.whole, received);
        if let Some(segments) = self.finished(&key, first, &set, received, now) {
            let why = Needless::Finished;
            return Step::Delete { segments, why };
        }
        if set.is_complete {
            self.attempts.forget(&key);
            return set.into_step();
        }
        if sent_again {
            let (segments, why) = (set.places(), Needless::SentAgain);
            return Step::Delete { segments, why };
        }
        self.incomplete(&key, &set, received, now)
    }

    /// The payload was acknowledged, and all or a part of it is deleted.
    pub(crate) fn finish(&mut self, finished: Finished, now: Instant) {
        let key = finished.key.clone();
        self.finished.remember(&key, finished, now);
    }

    /// The segments that come late. If the same payload comes again as a whole nothing of it was deleted, and it is
    /// delivered. So is a whole payload that was sent before: SQS swallows only what is sent later.
    fn finished(
        &mut self,
        key: &str,
        first: &Received<'_>,
        set: &Set,
        received: &[Received<'_>],
        now: Instant,
    ) -> Option<Vec<usize>> {
        let finished = self.finished.get(key, now)?;
        let is_due = first.header.whole.digest == finished.digest || finished.was_sent_after(first);
        if !finished.covers(first) || (set.is_complete && is_due) {
            return None;
        }
        let late = received
            .iter()
            .enumerate()
            .filter(|(_, received)| finished.covers(received));
        Some(late.map(|(place, _)| place).collect())
    }

    fn incomplete(&mut self, key: &str, set: &Set, received: &[Received<'_>], now: Instant) -> Step {
        let (before, since) = self.attempts.get(key, now).copied().unwrap_or((0, now));
        let is_over = before > 0 && now.saturating_duration_since(since) >= self.age;
        if let Some((segments, why)) = set.needless(received, is_over) {
            return Step::Delete { segments, why };
        }
        self.attempts.remember(key, (before.saturating_add(1), since), now);
        if !is_over {
            return Step::Release { after: pause(before) };
        }
        Step::Incomplete {
            segments: set.places(),
            have: u32::try_from(set.newest.len()).unwrap_or(u32::MAX),
            after: LONGEST_PAUSE,
        }
    }
}

/// Returns `true` if the payload of the first of these is all here.
pub(crate) fn is_complete(received: &[Received<'_>]) -> bool {
    let first = received.first();
    first.is_some_and(|first| Set::find(&first.header.whole, received).is_complete)
}

/// The pause after a payload was incomplete, as it was this many times before.
fn pause(before: u32) -> Duration {
    let seconds = before
        .checked_sub(1)
        .map_or(0, |doublings| 1_u64.checked_shl(doublings).unwrap_or(u64::MAX));
    Duration::from_secs(seconds).min(LONGEST_PAUSE)
}

/// The messages of one payload, by their places.
struct Set {
    /// The newest of each segment, by index.
    newest: BTreeMap<u32, usize>,
    /// Each with the index of its segment.
    older: Vec<(u32, usize)>,
    is_complete: bool,
}

impl Set {
    /// Gathers the payload's segments up to the one that completes it: whatever comes later with the same id was sent again,
    /// and is a payload of its own.
    fn find(whole: &Whole, received: &[Received<'_>]) -> Self {
        let mut set = Self {
            newest: BTreeMap::new(),
            older: Vec::new(),
            is_complete: false,
        };
        let mut ranges = BTreeMap::new();
        let of_it = received
            .iter()
            .enumerate()
            .filter(|(_, received)| received.header.whole == *whole);
        for (place, Received { header, len, .. }) in of_it {
            let older = set.newest.insert(header.index, place);
            set.older.extend(older.map(|older| (header.index, older)));
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
            duplicates: self.older.into_iter().map(|(_, place)| place).collect(),
        }
    }

    /// The places of all, in the order in which they were received.
    fn places(&self) -> Vec<usize> {
        let older = self.older.iter().map(|(_, place)| place);
        let mut places: Vec<usize> = self.newest.values().chain(older).copied().collect();
        places.sort_unstable();
        places
    }

    /// Those of an incomplete payload that keep what was sent again from being received, or would once it has had its time.
    fn needless(&self, received: &[Received<'_>], is_over: bool) -> Option<(Vec<usize>, Needless)> {
        let places = self.places();
        if self.is_sent_again(&places, received, is_over) {
            return Some((places, Needless::SentAgain));
        }
        let duplicates = self.duplicates(received);
        (!duplicates.is_empty()).then_some((duplicates, Needless::Duplicate))
    }

    /// Returns `true` if the payload comes again in other segments, so that its sender has given up on these. It must be all there,
    /// unless there is no room for it in a receive beside these, or these have had their time.
    fn is_sent_again(&self, places: &[usize], received: &[Received<'_>], is_over: bool) -> bool {
        let last = places.last().copied().unwrap_or_default();
        let here = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let mut begins = received
            .iter()
            .enumerate()
            .filter(|(place, other)| other.header.index == 0 && !places.contains(place));
        begins.any(|(place, other)| {
            let whole = &other.header.whole;
            let has_no_room = place > last && here.saturating_add(whole.count) > MAX_FIFO_SEGMENTS;
            has_no_room || is_over || Self::find(whole, received).is_complete
        })
    }

    /// The older messages of segments that are here once more: of a payload that was sent again as it was, long after. Not
    /// an older receipt of the same message.
    fn duplicates(&self, received: &[Received<'_>]) -> Vec<usize> {
        let is_same = |older: &Received<'_>, newer: &Received<'_>| {
            older.message_id != newer.message_id
                && older.len == newer.len
                && older.header.offset == newer.header.offset
                && older.header.checksum == newer.header.checksum
        };
        let here_again = self.older.iter().filter(|(index, older)| {
            let newer = self.newest.get(index).and_then(|newer| received.get(*newer));
            received
                .get(*older)
                .zip(newer)
                .is_some_and(|(older, newer)| is_same(older, newer))
        });
        here_again.map(|(_, place)| *place).collect()
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
