//! Opens the payloads that pointers name, after it authenticates the pointers.

use crate::error::Error;
use crate::payload::stream::PayloadStream;
use crate::payload_store::{Located, PayloadStore};
use crate::pointer::Envelope;

/// Checks a pointer from a message of this queue, without I/O. `queue` is the queue's name, URL or ARN. Only the name counts.
///
/// # Errors
///
/// The pointer names an object outside the configured bucket and prefix, or its authentication code is missing or wrong.
pub(super) fn locate(payloads: &PayloadStore, envelope: Box<Envelope>, queue: &str) -> Result<Located, Error> {
    let located = payloads.locate(envelope)?;
    if let Some(keys) = payloads.pointer_keys() {
        keys.verify(&located.envelope, queue)?;
    }
    Ok(located)
}

impl PayloadStore {
    /// Opens the payload of a message that this crate's client did not receive. The message may come from SNS, from an event
    /// of AWS Lambda, or from another client. [`ParsedMessage`](crate::pointer::ParsedMessage) reads the envelope from it.
    ///
    /// `queue` is the URL, the ARN or the name of the message's queue. It matters only if pointers are
    /// [authenticated](crate::store::PayloadStoreBuilder::pointer_keys).
    ///
    /// # Errors
    ///
    /// [`RefusedPointer`](crate::ErrorKind::RefusedPointer) if the pointer names an object outside the configured bucket
    /// and prefix, or is not authenticated. The store was not called in this case. Otherwise the store failed, does not have
    /// the payload, or has one of another length. Or the payload's encoding is not supported, or its key is not available.
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
        Ok(self.fetch(&located, &codec).await?.into_stream())
    }
}
