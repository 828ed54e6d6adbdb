//! Opens payloads that a pointer names, which is authenticated first.

use crate::error::Error;
use crate::payload::stream::PayloadStream;
use crate::payload_store::{Located, PayloadStore};
use crate::pointer::Envelope;

/// Locates the payload of a message of this queue; no I/O.
///
/// # Errors
///
/// The pointer names what we must not touch, or is not authenticated as it has to be for a message of this queue.
pub(super) fn locate(payloads: &PayloadStore, envelope: Box<Envelope>, queue: &str) -> Result<Located, Error> {
    let located = payloads.locate(envelope)?;
    if let Some(keys) = payloads.pointer_keys() {
        keys.verify(&located.envelope, queue)?;
    }
    Ok(located)
}

impl PayloadStore {
    /// The payload of a message that came another way than by a receive of ours: from SNS, to a Lambda function, or by
    /// another client; see [`ParsedMessage`](crate::pointer::ParsedMessage). `queue` is the URL, the ARN or the name of
    /// the queue that it is from, which counts where pointers are [authenticated](PayloadStoreBuilder::pointer_keys).
    ///
    /// # Errors
    ///
    /// The pointer names what we must not touch, or is not authenticated as it has to be: then the store was not called.
    /// Otherwise the store fails, does not have the payload, or has one of another length.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// ```
    /// # async fn example(payloads: sqs_extended::PayloadStore, event: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::TryStreamExt;
    /// use sqs_extended::pointer::{LambdaRecord, ParsedMessage, PayloadLocation};
    ///
    /// let record: LambdaRecord = serde_json::from_str(event)?;
    /// match ParsedMessage::from_message(&record.message)?.contents {
    ///     PayloadLocation::Inline(body) => println!("{body}"),
    ///     PayloadLocation::Offloaded(envelope) => {
    ///         let mut payload = payloads.open(&envelope, &record.queue_arn).await?;
    ///         while let Some(chunk) = payload.try_next().await? {
    ///             println!("{} bytes", chunk.len());
    ///         }
    ///     }
    ///     _ => {}
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn open(&self, envelope: &Envelope, queue: &str) -> Result<PayloadStream, Error> {
        let located = locate(self, Box::new(envelope.clone()), queue)?;
        let codec = self.codec().cloned().unwrap_or_default();
        self.fetch(&located, &codec).await
    }
}
