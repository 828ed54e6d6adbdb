//! The three batch actions, as splitting and resending them requires.

use std::time::Duration;

use crate::error::Error;
use crate::operation::{
    ChangeMessageVisibilityBatch, DeleteMessageBatch, Operation, SendMessageBatch, SendMessageOutput,
};
use crate::queue_name::is_fifo;
use crate::types::{
    BatchOutput, BatchResultEntry, ChangeMessageVisibilityBatchEntry, DeleteMessageBatchEntry, OutgoingMessage,
    SendMessageBatchEntry, SendMessageBatchResultEntry,
};
use crate::{limits, validate};

/// A batch action whose inputs can be split. Only this crate's actions implement it.
///
/// ```no_run
/// use sqs_client::Error;
/// use sqs_client::batch::{Batch, Batches};
///
/// async fn send_and_count<B: Batch>(batches: Batches<B>) -> Vec<Result<B::Result, Error>> {
///     let results = batches.await;
///     println!("{}: {} of {} done", B::NAME, results.iter().flatten().count(), results.len());
///     results
/// }
/// ```
pub trait Batch: Operation<Output = BatchOutput<Self::Done>> + Sized {
    /// The caller's input for one entry.
    type Item: Send + 'static;
    /// The caller's result for one entry.
    type Result: Send + 'static;
    #[doc(hidden)]
    type Entry: Send + 'static;
    #[doc(hidden)]
    type Done: Send + 'static;
    /// `true` if a FIFO queue keeps the order of the items.
    #[doc(hidden)]
    const ORDERED: bool = false;

    #[doc(hidden)]
    fn new(queue_url: String, entries: Vec<Self::Entry>) -> Self;
    #[doc(hidden)]
    fn into_entries(self) -> Vec<Self::Entry>;
    #[doc(hidden)]
    fn entry(id: String, item: Self::Item) -> Self::Entry;
    #[doc(hidden)]
    fn id(entry: &Self::Entry) -> &str;
    #[doc(hidden)]
    fn done(done: Self::Done) -> (String, Self::Result);
    /// Returns the number of bytes that the item adds to a batch.
    #[doc(hidden)]
    fn size(item: &Self::Item) -> usize {
        let _ = item;
        0
    }
    /// Returns the message group whose order the item must keep on a FIFO queue.
    #[doc(hidden)]
    fn group(item: &Self::Item) -> Option<&str> {
        let _ = item;
        None
    }
    /// Checks an item before any I/O. `ordered` says whether the queue [keeps the order](keeps_order) of items.
    #[doc(hidden)]
    fn check(item: &Self::Item, ordered: bool) -> Result<(), Error> {
        let _ = (item, ordered);
        Ok(())
    }
    /// Checks the whole content of an item, which takes longer than [`check`](Self::check).
    #[doc(hidden)]
    fn check_content(item: &Self::Item) -> Result<(), Error> {
        let _ = item;
        Ok(())
    }
}

/// Returns `true` if these items must keep their order at this queue, so that none may overtake one that is retried.
pub(crate) fn keeps_order<B: Batch>(queue_url: &str) -> bool {
    B::ORDERED && is_fifo(queue_url)
}

/// Implements the part of [`Batch`] that the three actions have in common.
macro_rules! batch {
    ($batch:ident of $entry:ty, done $done:ty => $($rest:tt)*) => {
        impl Batch for $batch {
            type Entry = $entry;
            type Done = $done;

            fn new(queue_url: String, entries: Vec<$entry>) -> Self {
                Self { queue_url, entries }
            }

            fn into_entries(self) -> Vec<$entry> {
                self.entries
            }

            fn id(entry: &$entry) -> &str {
                &entry.id
            }

            $($rest)*
        }
    };
}

batch!(SendMessageBatch of SendMessageBatchEntry, done SendMessageBatchResultEntry =>
    type Item = OutgoingMessage;
    type Result = SendMessageOutput;
    const ORDERED: bool = true;

    fn entry(id: String, message: OutgoingMessage) -> SendMessageBatchEntry {
        SendMessageBatchEntry::new(id, message)
    }

    fn done(done: SendMessageBatchResultEntry) -> (String, SendMessageOutput) {
        (done.id, done.output)
    }

    fn size(message: &OutgoingMessage) -> usize {
        message.size()
    }

    fn group(message: &OutgoingMessage) -> Option<&str> {
        message.message_group_id.as_deref()
    }

    fn check(message: &OutgoingMessage, ordered: bool) -> Result<(), Error> {
        message.validate(ordered)
    }

    fn check_content(message: &OutgoingMessage) -> Result<(), Error> {
        message.validate_content()
    }
);

batch!(DeleteMessageBatch of DeleteMessageBatchEntry, done BatchResultEntry =>
    type Item = String;
    type Result = ();

    fn entry(id: String, receipt_handle: String) -> DeleteMessageBatchEntry {
        DeleteMessageBatchEntry::new(id, receipt_handle)
    }

    fn done(done: BatchResultEntry) -> (String, ()) {
        (done.id, ())
    }
);

batch!(ChangeMessageVisibilityBatch of ChangeMessageVisibilityBatchEntry, done BatchResultEntry =>
    type Item = (String, Duration);
    type Result = ();

    fn entry(id: String, (receipt_handle, timeout): (String, Duration)) -> ChangeMessageVisibilityBatchEntry {
        ChangeMessageVisibilityBatchEntry::new(id, receipt_handle, timeout)
    }

    fn done(done: BatchResultEntry) -> (String, ()) {
        (done.id, ())
    }

    fn check((_, timeout): &(String, Duration), _: bool) -> Result<(), Error> {
        validate::no_longer_than("visibility timeout", *timeout, limits::MAX_VISIBILITY_TIMEOUT)
    }
);
