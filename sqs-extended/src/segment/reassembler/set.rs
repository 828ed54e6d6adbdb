//! The segments of one payload while they gather.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::super::{Header, Whole};
use crate::digest::Digest;

/// What a held message takes of memory beside the bytes of its segment.
const OVERHEAD: u64 = 1024;

/// How many older messages of a segment are held, to be deleted with the payload.
const MAX_OLDER: usize = 2;

/// What holding a segment of so many bytes counts for.
pub(super) fn cost(len: u64) -> u64 {
    len.saturating_add(OVERHEAD)
}

/// What holding all segments of a payload counts for.
pub(super) fn cost_of_all(whole: &Whole) -> u64 {
    whole.total.saturating_add(u64::from(whole.count) * OVERHEAD)
}

#[derive(Debug)]
pub(super) struct Set<S> {
    pub(super) whole: Whole,
    /// Sets that were opened later have higher numbers.
    pub(super) number: u64,
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
    newest: S,
    older: Vec<S>,
}

impl<S> Segment<S> {
    fn cost(&self) -> u64 {
        let older = u64::try_from(self.older.len()).unwrap_or(u64::MAX);
        cost(self.len).saturating_mul(older.saturating_add(1))
    }

    fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

impl<S> Set<S> {
    pub(super) fn new(whole: Whole, number: u64, now: Instant) -> Self {
        Self {
            whole,
            number,
            opened: now,
            without_first: now,
            segments: BTreeMap::new(),
        }
    }

    pub(super) fn cost(&self) -> u64 {
        self.segments.values().map(Segment::cost).sum()
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

    pub(super) fn holds(&self, index: u32) -> bool {
        self.segments.contains_key(&index)
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
    pub(super) fn hold(&mut self, header: &Header, len: u64, token: S, may_add: bool) -> Option<S> {
        let Some(held) = self.segments.get_mut(&header.index) else {
            let segment = Segment {
                offset: header.offset,
                len,
                checksum: header.checksum.clone(),
                newest: token,
                older: Vec::new(),
            };
            self.segments.insert(header.index, segment);
            return None;
        };
        held.older.push(std::mem::replace(&mut held.newest, token));
        (!may_add || held.older.len() > MAX_OLDER).then(|| held.older.remove(0))
    }

    /// Takes out whatever is lost; the next older message of a segment takes the place of the newest.
    pub(super) fn lose(&mut self, is_lost: &mut impl FnMut(&S) -> bool, now: Instant) -> Vec<S> {
        let had_first = self.has_first();
        let mut lost = Vec::new();
        for (index, mut segment) in std::mem::take(&mut self.segments) {
            lost.extend(segment.older.extract_if(.., |token| is_lost(token)));
            if is_lost(&segment.newest) {
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
        lost
    }

    /// Takes out all but the newest message of each segment.
    pub(super) fn shed(&mut self) -> impl Iterator<Item = S> {
        self.segments
            .values_mut()
            .flat_map(|segment| std::mem::take(&mut segment.older))
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = &S> {
        self.segments
            .values()
            .flat_map(|segment| std::iter::once(&segment.newest).chain(&segment.older))
    }

    /// The newest message of each segment in their order, and all others.
    pub(super) fn into_tokens(self) -> (Whole, Vec<S>, Vec<S>) {
        let mut older = Vec::new();
        let newest = self.segments.into_values().map(|segment| {
            older.extend(segment.older);
            segment.newest
        });
        (self.whole, newest.collect(), older)
    }
}
