//! The setting for messages whose payload no longer exists.

use std::time::Duration;

/// The action on a message whose payload no longer exists. Applied once per delivery, when its payload is requested.
///
/// A payload is missing only if the [store itself says so](crate::Error::is_missing_payload). Throttling, a refusal, a
/// network failure, a missing bucket and a gateway's 404 are failures of the store, and the message stays in the queue.
/// The caller receives the error in every case.
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
    /// Returns the message to the queue, which delivers it again after this time. If the queue has a dead-letter queue,
    /// the message ends there.
    Return(Duration),
    /// Sends the message, with its pointer, to the queue with this URL, and deletes it once that is confirmed. On a FIFO
    /// queue it keeps its message group, and its message id becomes the deduplication id.
    MoveTo(String),
    /// Deletes the message.
    Delete,
}
