//! The splitting of inputs into batches, in their order.

use std::iter::Peekable;

use crate::batch::actions::Batch;
use crate::client::batch_limit::BatchLimit;
use crate::limits;

/// The size of a batch so far, as SQS counts it. The first entry always fits, so a message above the limit gets a batch
/// of its own.
#[derive(Debug)]
pub(crate) struct Fill {
    limit: usize,
    entries: usize,
    bytes: usize,
}

impl Fill {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: 0,
            bytes: 0,
        }
    }

    /// Adds an entry of this many bytes if there is room for it. Returns `true` if there was.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let room = self.entries == 0 || !self.is_full() && bytes <= self.limit.saturating_sub(self.bytes);
        if room {
            self.entries += 1;
            self.bytes += bytes;
        }
        room
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries >= limits::MAX_BATCH_ENTRIES || self.bytes >= self.limit
    }
}

/// An iterator over the batches. It reads as many inputs as fit into the next one.
pub(super) struct Plan<B: Batch> {
    items: Peekable<Box<dyn Iterator<Item = B::Item> + Send>>,
    limit: BatchLimit,
    ordered: bool,
}

impl<B: Batch> Plan<B> {
    pub(super) fn new(items: Box<dyn Iterator<Item = B::Item> + Send>, limit: BatchLimit, ordered: bool) -> Self {
        Self {
            items: items.peekable(),
            limit,
            ordered,
        }
    }
}

impl<B: Batch> Iterator for Plan<B> {
    type Item = Vec<B::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = Vec::new();
        let mut fill = Fill::new(self.limit.bytes());
        // A message that every server would refuse is not sent, so it counts no bytes.
        let ordered = self.ordered;
        let fits = |fill: &mut Fill, item: &B::Item| fill.add(B::check(item, ordered).map_or(0, |()| B::size(item)));
        while let Some(item) = self.items.next_if(|item| fits(&mut fill, item)) {
            batch.push(item);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::OutgoingMessage;
    use crate::operation::SendMessageBatch;

    fn plan(sizes: Vec<usize>) -> Vec<Vec<usize>> {
        plan_within(limits::MAX_MESSAGE_BYTES, sizes)
    }

    fn plan_within(limit: usize, sizes: Vec<usize>) -> Vec<Vec<usize>> {
        let messages = sizes.into_iter().map(|size| OutgoingMessage::new("x".repeat(size)));
        let plan = Plan::<SendMessageBatch>::new(Box::new(messages), BatchLimit::new(limit), false);
        plan.map(|batch| batch.iter().map(OutgoingMessage::size).collect())
            .collect()
    }

    #[test]
    fn a_batch_is_full_at_ten_entries_or_a_mebibyte() {
        let lengths = |sizes| plan(sizes).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(vec![1; 25]), [10, 10, 5]);
        assert_eq!(lengths(vec![limits::MAX_MESSAGE_BYTES / 2; 4]), [2, 2]);
        assert_eq!(lengths(vec![limits::MAX_MESSAGE_BYTES / 2 + 1; 3]), [1, 1, 1]);
        assert_eq!(lengths(vec![limits::MAX_MESSAGE_BYTES, 1]), [1, 1]);
        assert!(lengths(vec![]).is_empty());
    }

    #[test]
    fn an_invalid_message_counts_no_bytes() {
        let planned = plan(vec![1, 0, limits::MAX_MESSAGE_BYTES + 1, 2]);
        assert_eq!(planned, [[1, 0, limits::MAX_MESSAGE_BYTES + 1, 2]]);
    }

    #[test]
    fn a_message_beyond_a_lower_limit_travels_alone() {
        assert_eq!(
            plan_within(10, vec![4, 6, 1, 11, 2, 8]),
            [vec![4, 6], vec![1], vec![11], vec![2, 8]]
        );
    }

    proptest! {
        #[test]
        fn batches_keep_order_and_limits(sizes in prop::collection::vec(prop_oneof![
            1..100_usize,
            100_000..400_000_usize,
            limits::MAX_MESSAGE_BYTES - 2..limits::MAX_MESSAGE_BYTES + 2,
        ], 0..40)) {
            let planned = plan(sizes.clone());
            for batch in &planned {
                prop_assert!(!batch.is_empty() && batch.len() <= limits::MAX_BATCH_ENTRIES);
                let bytes: usize = batch.iter().filter(|size| **size <= limits::MAX_MESSAGE_BYTES).sum();
                prop_assert!(bytes <= limits::MAX_MESSAGE_BYTES);
            }
            prop_assert_eq!(planned.concat(), sizes);
        }
    }
}
