//! The messages of one payload among the first messages of a group.

use std::collections::BTreeMap;

use crate::segment::fifo_planner::step::{DeleteReason, Received};
use crate::segment::header::Whole;

/// The maximum number of segments of a payload on a FIFO queue: 10. SQS delivers a message group up to the first message in
/// flight, and up to 10 messages in one receive. So no more of one group can be in flight together.
pub(crate) const MAX_FIFO_SEGMENTS: u32 = 10;

/// The messages of one payload, by their positions in the receive.
pub(super) struct GroupPrefix {
    /// The newest message of each segment, by the segment's index.
    newest: BTreeMap<u32, usize>,
    /// The older messages, each with the index of its segment.
    older: Vec<(u32, usize)>,
    is_complete: bool,
}

impl GroupPrefix {
    /// Collects the payload's segments up to the one that completes it. A later segment with the same id belongs to a
    /// repetition of the payload, which is a payload of its own.
    pub(super) fn find(whole: &Whole, received: &[Received<'_>]) -> Self {
        let mut prefix = Self {
            newest: BTreeMap::new(),
            older: Vec::new(),
            is_complete: false,
        };
        let mut ranges = BTreeMap::new();
        let own = received
            .iter()
            .enumerate()
            .filter(|(_, received)| received.header.whole == *whole);
        for (position, Received { header, len, .. }) in own {
            let older = prefix.newest.insert(header.index, position);
            prefix.older.extend(older.map(|older| (header.index, older)));
            ranges.insert(header.index, (header.offset, header.offset.saturating_add(*len)));
            prefix.is_complete = cover(whole, &ranges);
            if prefix.is_complete {
                break;
            }
        }
        prefix
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The number of distinct segments.
    pub(super) fn have(&self) -> u32 {
        u32::try_from(self.newest.len()).unwrap_or(u32::MAX)
    }

    /// The newest message of each segment in the payload's order, and the older messages.
    pub(super) fn into_positions(self) -> (Vec<usize>, Vec<usize>) {
        let older = self.older.into_iter().map(|(_, position)| position);
        (self.newest.into_values().collect(), older.collect())
    }

    /// The positions of all messages, in the order of the receive.
    pub(super) fn positions(&self) -> Vec<usize> {
        let older = self.older.iter().map(|(_, position)| position);
        let mut positions: Vec<usize> = self.newest.values().chain(older).copied().collect();
        positions.sort_unstable();
        positions
    }

    /// Returns the messages of an incomplete payload to delete, because they prevent a repetition of the payload from
    /// being received.
    pub(super) fn to_delete(&self, received: &[Received<'_>], is_overdue: bool) -> Option<(Vec<usize>, DeleteReason)> {
        let positions = self.positions();
        if self.is_sent_again(&positions, received, is_overdue) {
            return Some((positions, DeleteReason::SentAgain));
        }
        let duplicates = self.duplicates(received);
        (!duplicates.is_empty()).then_some((duplicates, DeleteReason::Duplicate))
    }

    /// Returns `true` if the receive contains the payload again in other segments, so that its sender has given up on
    /// these. The repetition must be complete, unless one receive cannot return both, or these segments are overdue.
    fn is_sent_again(&self, positions: &[usize], received: &[Received<'_>], is_overdue: bool) -> bool {
        let last = positions.last().copied().unwrap_or_default();
        let count = u32::try_from(positions.len()).unwrap_or(u32::MAX);
        let mut other_firsts = received
            .iter()
            .enumerate()
            .filter(|(position, other)| other.header.index == 0 && !positions.contains(position));
        other_firsts.any(|(position, other)| {
            let whole = &other.header.whole;
            let exceeds_receive = position > last && count.saturating_add(whole.count) > MAX_FIFO_SEGMENTS;
            exceeds_receive || is_overdue || Self::find(whole, received).is_complete
        })
    }

    /// Returns the older messages of segments that were sent again unchanged, after the deduplication interval.
    /// Excludes an older receipt of the same message.
    fn duplicates(&self, received: &[Received<'_>]) -> Vec<usize> {
        let is_same_segment = |older: &Received<'_>, newer: &Received<'_>| {
            older.message_id != newer.message_id
                && older.len == newer.len
                && older.header.offset == newer.header.offset
                && older.header.checksum == newer.header.checksum
        };
        let duplicates = self.older.iter().filter(|(index, older)| {
            let newer = self.newest.get(index).and_then(|newer| received.get(*newer));
            received
                .get(*older)
                .zip(newer)
                .is_some_and(|(older, newer)| is_same_segment(older, newer))
        });
        duplicates.map(|(_, position)| *position).collect()
    }
}

/// Returns `true` if these ranges, by index, cover the payload without gaps or overlaps.
fn cover(whole: &Whole, ranges: &BTreeMap<u32, (u64, u64)>) -> bool {
    let mut covered = 0;
    let are_adjacent = ranges.values().all(|(offset, end)| {
        let is_adjacent = *offset == covered;
        covered = *end;
        is_adjacent
    });
    usize::try_from(whole.count).is_ok_and(|count| count == ranges.len()) && are_adjacent && covered == whole.total
}
