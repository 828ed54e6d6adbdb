//! The setting for messages whose payload no longer exists.

use std::time::Duration;

/// The action on a message whose payload no longer exists. Applied once per delivery, when its payload is requested.
///
/// A payload is missing only if the [store itself says so](crate::Error::is_missing_payload). Other failures do not trigger
/// the action: throttling, denied access, a network failure, a missing bucket, or a gateway's 404. The message then stays in
/// the queue. The caller receives the error in every case.
///
/// ```no_run
/// # fn example(client: sqs_client::Client) -> Result<(), sqs_extended::Error> {
/// use std::time::Duration;
/// use object_store::memory::InMemory;
/// use sqs_extended::ExtendedClient;
/// use sqs_extended::receive::MissingPayload;
///
/// let extended = ExtendedClient::builder(client)
///     .offload_to(InMemory::new(), "my-bucket")
///     .missing_payload(MissingPayload::Return(Duration::from_secs(60)))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingPayload {
    /// Does nothing. The caller decides.
    #[default]
    Keep,
    /// Returns the message to the queue, which delivers it again after this time. If the queue has a dead-letter queue, the
    /// message moves there after the configured number of receives.
    Return(Duration),
    /// Sends the message, with its pointer, to the queue with this URL, and deletes it once that is confirmed. It keeps its
    /// message group. On a FIFO queue, the message id becomes the deduplication id, and the group of a message without one.
    MoveTo(String),
    /// Deletes the message.
    Delete,
}
