//! The segments of one payload that have arrived so far.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::payload::digest::Digest;
use crate::segment::header::{Header, Whole};

/// The bookkeeping of one buffered message, in addition to the message itself.
const OVERHEAD: u64 = 1024;

/// The number of older messages that are buffered for each segment, to be deleted with the payload.
const MAX_OLDER: usize = 2;

/// Returns the cost of buffering a message that occupies this much memory.
pub(super) fn cost(memory: u64) -> u64 {
    memory.saturating_add(OVERHEAD)
}

/// Returns a lower bound for the cost of all segments of a payload.
pub(super) fn min_total_cost(whole: &Whole) -> u64 {
    whole.total.saturating_add(u64::from(whole.count) * OVERHEAD)
}

/// The precedence of a payload when room is short. The payload of the highest rank is returned first: one that has
/// expired before, and else the one that began last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) has_expired: bool,
    /// Grows with each payload that begins.
    pub(super) number: u64,
}

/// A payload of which some segments are buffered. `T` is the caller's token of a message.
#[derive(Debug)]
pub(super) struct PartialPayload<T> {
    pub(super) whole: Whole,
    pub(super) rank: Rank,
    pub(super) began: Instant,
    /// The time since which the first segment has been missing.
    pub(super) without_first_since: Instant,
    segments: BTreeMap<u32, Segment<T>>,
}

#[derive(Debug)]
struct Segment<T> {
    offset: u64,
    len: u64,
    checksum: Digest,
    newest: Buffered<T>,
    older: Vec<Buffered<T>>,
}

/// A message and the cost of buffering it.
#[derive(Debug)]
pub(super) struct Buffered<T> {
    pub(super) token: T,
    pub(super) cost: u64,
}

impl<T> Segment<T> {
    fn messages(&self) -> impl Iterator<Item = &Buffered<T>> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    fn cost(&self) -> u64 {
        self.messages().map(|message| message.cost).sum()
    }

    fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

impl<T> PartialPayload<T> {
    pub(super) fn new(whole: Whole, rank: Rank, now: Instant) -> Self {
        Self {
            whole,
            rank,
            began: now,
            without_first_since: now,
            segments: BTreeMap::new(),
        }
    }

    pub(super) fn cost(&self) -> u64 {
        self.segments.values().map(Segment::cost).sum()
    }

    /// The cost without duplicates.
    pub(super) fn min_cost(&self) -> u64 {
        self.segments.values().map(|segment| segment.newest.cost).sum()
    }

    /// The number of distinct segments.
    pub(super) fn have(&self) -> u32 {
        u32::try_from(self.segments.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.have() == self.whole.count
    }

    pub(super) fn has_first(&self) -> bool {
        self.segments.contains_key(&0)
    }

    /// Returns the cost that a duplicate of this segment frees by replacing the oldest message. `None` if the segment
    /// has not arrived.
    pub(super) fn replaceable_cost(&self, index: u32) -> Option<u64> {
        let segment = self.segments.get(&index)?;
        Some(segment.older.first().unwrap_or(&segment.newest).cost)
    }

    /// Returns `true` if the segment belongs to this payload. It must describe the same whole, and equal the buffered segment
    /// of the same index. It must neither overlap its neighbors nor leave a gap to adjacent ones.
    pub(super) fn agrees(&self, header: &Header, len: u64) -> bool {
        let (index, offset, end) = (header.index, header.offset, header.offset.saturating_add(len));
        // Each missing segment between two buffered ones has at least one byte.
        let fits = |(before, before_end): (u32, u64), (after, after_start): (u32, u64)| {
            let missing = u64::from(after.saturating_sub(before).saturating_sub(1));
            let gap = after_start.checked_sub(before_end);
            gap.is_some_and(|gap| if missing == 0 { gap == 0 } else { gap >= missing })
        };
        let before = self.segments.range(..index).next_back();
        let after = self.segments.range(index.saturating_add(1)..).next();
        let is_same = |segment: &Segment<T>| {
            segment.offset == offset && segment.len == len && segment.checksum == header.checksum
        };
        self.whole == header.whole
            && before.is_none_or(|(at, before)| fits((*at, before.end()), (index, offset)))
            && after.is_none_or(|(at, after)| fits((index, end), (*at, after.offset)))
            && self.segments.get(&index).is_none_or(is_same)
    }

    /// Adds a segment that [agrees](Self::agrees).
    ///
    /// Keeps an older message of the same segment. Returns the oldest one if there are too many, or if `has_room` is
    /// `false`.
    pub(super) fn add(
        &mut self,
        header: &Header,
        len: u64,
        message: Buffered<T>,
        has_room: bool,
    ) -> Option<Buffered<T>> {
        let Some(segment) = self.segments.get_mut(&header.index) else {
            let segment = Segment {
                offset: header.offset,
                len,
                checksum: header.checksum.clone(),
                newest: message,
                older: Vec::new(),
            };
            self.segments.insert(header.index, segment);
            return None;
        };
        segment.older.push(std::mem::replace(&mut segment.newest, message));
        (!has_room || segment.older.len() > MAX_OLDER).then(|| segment.older.remove(0))
    }

    /// Removes and returns the lost messages. An older message of the same segment replaces a lost newest one.
    pub(super) fn remove_lost(&mut self, is_lost: &mut impl FnMut(&T) -> bool, now: Instant) -> Vec<T> {
        let had_first = self.has_first();
        let mut lost = Vec::new();
        for (index, mut segment) in std::mem::take(&mut self.segments) {
            lost.extend(segment.older.extract_if(.., |message| is_lost(&message.token)));
            if is_lost(&segment.newest.token) {
                let Some(next) = segment.older.pop() else {
                    lost.push(segment.newest);
                    continue;
                };
                lost.push(std::mem::replace(&mut segment.newest, next));
            }
            self.segments.insert(index, segment);
        }
        if had_first && !self.has_first() {
            self.without_first_since = now;
        }
        lost.into_iter().map(|message| message.token).collect()
    }

    /// Removes and returns all but the newest message of each segment.
    pub(super) fn remove_duplicates(&mut self) -> impl Iterator<Item = T> {
        let older = self
            .segments
            .values_mut()
            .flat_map(|segment| std::mem::take(&mut segment.older));
        older.map(|message| message.token)
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = &T> {
        self.segments
            .values()
            .flat_map(Segment::messages)
            .map(|message| &message.token)
    }

    pub(super) fn tokens_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.segments
            .values_mut()
            .flat_map(|segment| std::iter::once(&mut segment.newest).chain(&mut segment.older))
            .map(|message| &mut message.token)
    }

    /// Returns the newest message of each segment in the payload's order, and the older messages.
    pub(super) fn into_tokens(self) -> (Whole, Vec<T>, Vec<T>) {
        let mut older = Vec::new();
        let newest = self.segments.into_values().map(|segment| {
            older.extend(segment.older.into_iter().map(|message| message.token));
            segment.newest.token
        });
        (self.whole, newest.collect(), older)
    }
}
