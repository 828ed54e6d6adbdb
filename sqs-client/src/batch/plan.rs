//! Inputs split into batches, in their order.

use std::iter::Peekable;

use super::Batch;
use crate::error::Error;
use crate::limits;

/// An input as its batch sends it, or why no server takes it: those ride along, so that results stay in order.
pub(crate) type Planned<B> = Result<<B as Batch>::Item, Error>;

/// How full a batch is, as SQS counts.
#[derive(Debug, Default)]
pub(crate) struct Fill {
    entries: usize,
    bytes: usize,
}

impl Fill {
    /// Adds an entry of so many bytes, if there is room for it; says whether there was.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let room = !self.is_full() && bytes <= limits::MAX_MESSAGE_BYTES.saturating_sub(self.bytes);
        if room {
            self.entries += 1;
            self.bytes += bytes;
        }
        room
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries >= limits::MAX_BATCH_ENTRIES || self.bytes >= limits::MAX_MESSAGE_BYTES
    }
}

/// Takes from the inputs as many as fit into a batch, whenever one is asked for.
pub(super) struct Plan<B: Batch> {
    items: Peekable<Box<dyn Iterator<Item = B::Item> + Send>>,
}

impl<B: Batch> Plan<B> {
    pub(super) fn new(items: Box<dyn Iterator<Item = B::Item> + Send>) -> Self {
        Self {
            items: items.peekable(),
        }
    }
}

impl<B: Batch> Iterator for Plan<B> {
    type Item = Vec<Planned<B>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = Vec::new();
        let mut fill = Fill::default();
        let fits = |fill: &mut Fill, item: &B::Item| fill.add(B::check(item).map_or(0, |()| B::size(item)));
        while let Some(item) = self.items.next_if(|item| fits(&mut fill, item)) {
            batch.push(match B::check(&item) {
                Ok(()) => Ok(item),
                Err(error) => Err(error.with_operation(B::NAME)),
            });
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

    fn plan(sizes: Vec<usize>) -> Vec<Vec<Result<usize, ()>>> {
        let messages = sizes.into_iter().map(|size| OutgoingMessage::new("x".repeat(size)));
        let sizes = |batch: Vec<Planned<SendMessageBatch>>| {
            let size = |planned: Planned<SendMessageBatch>| planned.map(|message| message.size()).map_err(drop);
            batch.into_iter().map(size).collect()
        };
        Plan::<SendMessageBatch>::new(Box::new(messages)).map(sizes).collect()
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
    fn what_no_server_takes_fails_alone_in_its_place() {
        let planned = plan(vec![1, 0, limits::MAX_MESSAGE_BYTES + 1, 2]);
        assert_eq!(planned, [[Ok(1), Err(()), Err(()), Ok(2)]]);
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
                let bytes: usize = batch.iter().flatten().sum();
                prop_assert!(bytes <= limits::MAX_MESSAGE_BYTES);
            }
            let expected: Vec<_> = sizes
                .into_iter()
                .map(|size| if size <= limits::MAX_MESSAGE_BYTES { Ok(size) } else { Err(()) })
                .collect();
            prop_assert_eq!(planned.concat(), expected);
        }
    }
}
