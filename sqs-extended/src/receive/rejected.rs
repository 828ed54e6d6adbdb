//! Received messages that cannot be delivered.

use std::{error, fmt};

use sqs_client::Message;
use sqs_client::types::RejectedMessage;

use crate::error::Error;

/// A received message that cannot be delivered.
///
/// There are three reasons:
///
/// - Its pointer is malformed, fails the [authentication](crate::pointer::PointerKeys), or names an object outside the
///   configured bucket and prefix. Or the client has no payload store. The store was not called.
/// - It is a malformed segment, or one of several segments of a payload. A
///   [consumer](crate::ExtendedClient::consumer) gathers segments, and a receive does not.
/// - The queue's client rejected it, because it could not be read or does not match the checksum that the server sent.
///
/// The message is still in the queue. Delete it by its receipt handle. Otherwise it is delivered again, until it moves to
/// the dead-letter queue if there is one.
///
/// ```no_run
/// # async fn example(extended: sqs_extended::ExtendedClient, queue: &str) -> Result<(), Box<dyn std::error::Error>> {
/// for received in extended.receive(queue).await? {
///     if let Err(rejected) = received {
///         eprintln!("{}: {rejected}", rejected.message().message_id);
///         extended.client().delete_message(queue, rejected.receipt_handle()).await?;
///     }
/// }
/// # Ok(()) }
/// ```
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

    /// Returns the message as it was received. Parts that the queue's client could not read are empty.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.0.0
    }

    /// Returns the reason, of kind [`RefusedPointer`](crate::ErrorKind::RefusedPointer),
    /// [`UnexpectedSegment`](crate::ErrorKind::UnexpectedSegment), or [`Queue`](crate::ErrorKind::Queue) if the queue's
    /// client rejected the message.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.1
    }

    /// Returns the receipt handle, which deletes the message or changes its visibility timeout.
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
        // `Display` contains the error's own text already.
        error::Error::source(&self.0.1)
    }
}
