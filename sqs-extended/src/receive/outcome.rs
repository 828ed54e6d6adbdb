//! What came of an acknowledgement.

use crate::error::Error;

/// What [`Delivery::ack`](crate::Delivery::ack) did with the payload. The message is deleted in any case.
#[derive(Debug)]
#[non_exhaustive]
pub enum AckOutcome {
    /// The payload travelled in the queue.
    Inline,
    /// The payload was deleted from the store, or was gone already.
    PayloadDeleted,
    /// The payload is still in the store.
    PayloadKept(KeptReason),
}

/// Why an acknowledged message's payload was left in the store.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeptReason {
    /// As the store's [`Deletion`](crate::Deletion) is set.
    Configured,
    /// The visibility timeout was over, or nearly, when the message's deletion was confirmed. The message may then have
    /// been given to another consumer, who still needs the payload, as SQS confirms the deletion by a stale receipt
    /// handle without deleting anything.
    LeaseExpired,
    /// The store failed. No message points to the payload any more.
    DeleteFailed(Error),
}
