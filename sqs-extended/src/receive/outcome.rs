//! What came of an acknowledgement.

use crate::error::Error;

/// What [`ExtendedDelivery::ack`](crate::ExtendedDelivery::ack) did with the payload. The message is deleted in any case.
#[derive(Debug)]
#[non_exhaustive]
pub enum PayloadOutcome {
    /// The payload travelled in the queue.
    NoStoredPayload,
    /// The payload was deleted from the store, or was gone already.
    PayloadDeleted,
    /// The payload is still in the store.
    PayloadRetained(RetainReason),
}

/// Why an acknowledged message's payload was left in the store.
#[derive(Debug)]
#[non_exhaustive]
pub enum RetainReason {
    /// As the store's [`Deletion`](crate::store::Deletion) is set.
    Configured,
    /// The visibility timeout was over, or nearly, when the message's deletion was confirmed. The message may then have
    /// been given to another consumer, who still needs the payload, as SQS confirms the deletion by a stale receipt
    /// handle without deleting anything.
    LeaseExpired,
    /// The store failed. No message points to the payload any more.
    DeleteFailed(Error),
}
