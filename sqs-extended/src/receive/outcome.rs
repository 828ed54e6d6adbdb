//! The outcome of an acknowledgement.

use crate::error::Error;

/// The effect of [`ExtendedDelivery::ack`](crate::ExtendedDelivery::ack) on the payload. The message is deleted in any case.
///
/// ```no_run
/// # async fn f(delivery: sqs_extended::ExtendedDelivery) -> Result<(), sqs_extended::Error> {
/// use sqs_extended::receive::PayloadOutcome;
///
/// if let PayloadOutcome::PayloadRetained(reason) = delivery.ack().await? {
///     println!("the payload is still stored: {reason:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum PayloadOutcome {
    /// The payload traveled in the queue.
    NoStoredPayload,
    /// The payload was deleted from the store, or was deleted before.
    PayloadDeleted,
    /// The payload is still in the store.
    PayloadRetained(RetainReason),
}

/// The reason why the payload of an acknowledged message is still in the store.
///
/// ```
/// use sqs_extended::receive::RetainReason;
///
/// fn is_orphaned(reason: &RetainReason) -> bool {
///     matches!(reason, RetainReason::DeleteFailed(_))
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RetainReason {
    /// The store's [`Deletion`](crate::store::Deletion) setting retains it, for a time or for good.
    Configured,
    /// The visibility timeout was over, or nearly over, when the message's deletion was confirmed.
    ///
    /// Another consumer may have received the message and may still need the payload: SQS confirms a deletion by an
    /// expired receipt handle without deleting anything.
    LeaseExpired,
    /// The store failed to delete the payload, which is now an orphaned object.
    DeleteFailed(Error),
}
