//! The segments of one payload while they gather.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::payload::digest::Digest;
use crate::segment::{Header, Whole};

/// What a held message takes of memory beside its own bytes: what keeps track of them.
const OVERHEAD: u64 = 1024;

/// How many older messages of a segment are held, to be deleted with the payload.
const MAX_OLDER: usize = 2;

/// What holding a message of so many bytes counts for.
pub(super) fn cost(held: u64) -> u64 {
    held.saturating_add(OVERHEAD)
}

/// What holding all segments of a payload counts for at the least.
pub(super) fn cost_of_all(whole: &Whole) -> u64 {
    whole.total.saturating_add(u64::from(whole.count) * OVERHEAD)
}

/// Which payload gives way to which: one that has expired before to any that has not, and else the later to the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) has_expired: bool,
    /// Sets that were opened later have higher numbers.
    pub(super) number: u64,
}

#[derive(Debug)]
pub(super) struct Set<S> {
    pub(super) whole: Whole,
    /// The lower goes before.
    pub(super) rank: Rank,
    pub(super) opened: Instant,
    /// Since when the first segment has been missing.
    pub(super) without_first: Instant,
    segments: BTreeMap<u32, Segment<S>>,
}

#[derive(Debug)]
struct Segment<S> {
    offset: u64,
    len: u64,
    checksum: Digest,
    newest: Held<S>,
    older: Vec<Held<S>>,
}

/// A message, and what holding it counts for.
#[derive(Debug)]
pub(super) struct Held<S> {
    pub(super) token: S,
    pub(super) cost: u64,
}

impl<S> Segment<S> {
    fn messages(&self) -> impl Iterator<Item = &Held<S>> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    fn cost(&self) -> u64 {
        self.messages().map(|held| held.cost).sum()
    }

    fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

impl<S> Set<S> {
    pub(super) fn new(whole: Whole, rank: Rank, now: Instant) -> Self {
        Self {
            whole,
            rank,
            opened: now,
            without_first: now,
            segments: BTreeMap::new(),
        }
    }

    pub(super) fn cost(&self) -> u64 {
        self.segments.values().map(Segment::cost).sum()
    }

    /// What it counts for once its duplicates are shed.
    pub(super) fn least_cost(&self) -> u64 {
        self.segments.values().map(|segment| segment.newest.cost).sum()
    }

    /// How many of the segments are here.
    pub(super) fn have(&self) -> u32 {
        u32::try_from(self.segments.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.have() == self.whole.count
    }

    pub(super) fn has_first(&self) -> bool {
        self.segments.contains_key(&0)
    }

    /// What a duplicate of this segment can take the place of, where the segment is here.
    pub(super) fn replaceable(&self, index: u32) -> Option<u64> {
        let segment = self.segments.get(&index)?;
        Some(segment.older.first().unwrap_or(&segment.newest).cost)
    }

    /// Whether the segment is one of this payload: it says the same of the whole, does not overlap with its neighbours,
    /// touches those that are next to it, and is the same as the one that is here already.
    pub(super) fn agrees(&self, header: &Header, len: u64) -> bool {
        let (index, offset, end) = (header.index, header.offset, header.offset.saturating_add(len));
        // Whatever is missing in between has a byte at least.
        let fits = |(before, ends): (u32, u64), (after, begins): (u32, u64)| {
            let between = u64::from(after.saturating_sub(before).saturating_sub(1));
            let gap = begins.checked_sub(ends);
            gap.is_some_and(|gap| if between == 0 { gap == 0 } else { gap >= between })
        };
        let before = self.segments.range(..index).next_back();
        let after = self.segments.range(index.saturating_add(1)..).next();
        let same = |held: &Segment<S>| held.offset == offset && held.len == len && held.checksum == header.checksum;
        self.whole == header.whole
            && before.is_none_or(|(at, held)| fits((*at, held.end()), (index, offset)))
            && after.is_none_or(|(at, held)| fits((index, end), (*at, held.offset)))
            && self.segments.get(&index).is_none_or(same)
    }

    /// Holds a segment that [agrees](Self::agrees). An older message of it is held on, and returned once there are too
    /// many, or as `may_add` says that there is no room for one more.
    pub(super) fn hold(&mut self, header: &Header, len: u64, message: Held<S>, may_add: bool) -> Option<Held<S>> {
        let Some(held) = self.segments.get_mut(&header.index) else {
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
        held.older.push(std::mem::replace(&mut held.newest, message));
        (!may_add || held.older.len() > MAX_OLDER).then(|| held.older.remove(0))
    }

    /// Takes out whatever is lost; the next older message of a segment takes the place of the newest.
    pub(super) fn lose(&mut self, is_lost: &mut impl FnMut(&S) -> bool, now: Instant) -> Vec<S> {
        let had_first = self.has_first();
        let mut lost = Vec::new();
        for (index, mut segment) in std::mem::take(&mut self.segments) {
            lost.extend(segment.older.extract_if(.., |held| is_lost(&held.token)));
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
            self.without_first = now;
        }
        lost.into_iter().map(|held| held.token).collect()
    }

    /// Takes out all but the newest message of each segment.
    pub(super) fn shed(&mut self) -> impl Iterator<Item = S> {
        let older = self
            .segments
            .values_mut()
            .flat_map(|segment| std::mem::take(&mut segment.older));
        older.map(|held| held.token)
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = &S> {
        self.segments
            .values()
            .flat_map(Segment::messages)
            .map(|held| &held.token)
    }

    pub(super) fn tokens_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.segments
            .values_mut()
            .flat_map(|segment| std::iter::once(&mut segment.newest).chain(&mut segment.older))
            .map(|held| &mut held.token)
    }

    /// The newest message of each segment in their order, and all others.
    pub(super) fn into_tokens(self) -> (Whole, Vec<S>, Vec<S>) {
        let mut older = Vec::new();
        let newest = self.segments.into_values().map(|segment| {
            older.extend(segment.older.into_iter().map(|held| held.token));
            segment.newest.token
        });
        (self.whole, newest.collect(), older)
    }
}
