//! Received messages that are no deliveries.

use std::{error, fmt};

use sqs_client::Message;
use sqs_client::types::RejectedMessage;

use crate::error::Error;

/// A received message that claims to point to a payload, but in a way that is refused: its pointer is malformed, or
/// names what the client is not configured to touch. The store was not called. Or it is a segment of a payload, of which a
/// receive by itself cannot make anything. Or the queue's client rejected it, because it could not be read, or is not what
/// the server says it sent.
///
/// The message is still in the queue: unless it is deleted by its receipt handle, it comes back, and in the end goes
/// to the dead-letter queue if there is one.
pub struct Rejected(Box<(Message, Error)>);

impl Rejected {
    pub(crate) fn new(message: Message, error: Error) -> Self {
        let error = error.with_receipt_handle(&message.receipt_handle);
        Self(Box::new((message, error)))
    }

    pub(super) fn by_client(rejected: RejectedMessage) -> Self {
        let error = Error::queue("the queue's client rejected the message", rejected.error);
        Self::new(rejected.message, error)
    }

    /// The message as it was received, with its receipt handle. What the queue's client could not read of it is empty.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.0.0
    }

    /// Why it is refused; of kind [`RefusedPointer`](crate::ErrorKind::RefusedPointer),
    /// [`UnexpectedSegment`](crate::ErrorKind::UnexpectedSegment), or [`Queue`](crate::ErrorKind::Queue) where the queue's client rejected it.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.1
    }

    /// The receipt handle, to delete the message or to change its visibility with.
    #[must_use]
    pub fn receipt_handle(&self) -> &str {
        &self.0.0.receipt_handle
    }
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        rejected.0.1
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the received message was rejected: {}", self.error())
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("message_id", &self.0.0.message_id)
            .field("error", &self.0.1)
            .finish_non_exhaustive()
    }
}

impl error::Error for Rejected {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // `Display` has the error's own text already.
        error::Error::source(&self.0.1)
    }
}
