//! The setting for messages whose payload no longer exists.

use std::time::Duration;

/// The action on a message whose payload no longer exists. Applied once per delivery, when its payload is requested.
///
/// A payload is missing only by the [store's own word](crate::Error::is_missing_payload) about the object. Throttling, a
/// refusal, a network's failure, a missing bucket and a gateway's 404 are failures of the store, and the message stays.
/// The caller gets the error in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingPayload {
    /// Nothing: whoever asked decides.
    #[default]
    Keep,
    /// The message is given back to the queue, which shows it again after this time, and moves it to the dead-letter
    /// queue in the end if it has one.
    Return(Duration),
    /// The message is sent to the queue of this URL as it was received, its pointer included, and deleted once that is
    /// confirmed. On a FIFO queue its group is that of the message, and its id the deduplication id.
    MoveTo(String),
    /// The message is deleted.
    Delete,
}
