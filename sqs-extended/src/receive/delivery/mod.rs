//! A received message and its payload.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use sqs_client::Message;
use sqs_client::types::{MessageAttributeValue, MessageSystemAttributes};

use crate::error::{Error, ErrorKind};
use crate::payload::stream::{PayloadReader, PayloadStream};
use crate::payload_store::{PayloadStore, Removed};
use crate::pointer::{EmbeddedReceiptHandle, InvalidReceiptHandle, Pointer};
use crate::receive::assembled::Assembled;
use crate::receive::claim::Claim;
use crate::receive::download;
use crate::receive::outcome::{PayloadOutcome, RetainReason};
use crate::receive::rejected::Rejected;

use crate::receive::body::{Content, payloads};
use crate::shared::Shared;

/// A received message whose payload can be read, wherever it is.
///
/// The payload of an offloaded message is fetched when it is asked for, anew each time, and what is given is verified:
/// its length, and its digest if the pointer has one. Failing that is an error and leaves the delivery as it was, to be
/// tried again, [released](Self::nack) or left to come back by itself.
///
/// SQS delivers at least once. A duplicate of a message that was acknowledged already finds its payload gone:
/// [`Error::is_missing_payload`].
///
/// All methods take `&self`, so that a long download can be accompanied by [`extend_visibility`](Self::extend_visibility).
///
/// ```no_run
/// # async fn example(delivery: sqs_extended::ExtendedDelivery) -> Result<(), sqs_extended::Error> {
/// delivery.download_to("restored.tar").await?; // Ok only after length and digest were found right
/// delivery.ack().await?; // the message first, then its payload
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ExtendedDelivery(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    claim: Claim,
    /// Without its body, and without the reserved attributes.
    message: Message,
    content: Content,
}

impl ExtendedDelivery {
    /// A lease ends this long before the visibility timeout does, or a quarter of the timeout where that is less: 1 second. Two
    /// clocks and a network may differ by that.
    pub const LEASE_MARGIN: Duration = sqs_client::internal::LEASE_MARGIN;

    /// Sees what the message is; no I/O.
    pub(crate) fn open(shared: &Arc<Shared>, claim: Claim, mut message: Message) -> Result<Self, Rejected> {
        match Content::of(shared, &claim, &mut message) {
            Ok(content) => Ok(Self::new(shared, claim, message, content)),
            Err(error) => Err(Rejected::new(message, error)),
        }
    }

    /// What came in segments; `message` is what came with the first of them.
    pub(crate) fn assembled(shared: &Arc<Shared>, claim: Claim, message: Message, payload: Assembled) -> Self {
        Self::new(shared, claim, message, Content::Assembled(payload))
    }

    fn new(shared: &Arc<Shared>, claim: Claim, message: Message, content: Content) -> Self {
        Self(Arc::new(Inner {
            shared: Arc::clone(shared),
            claim,
            message,
            content,
        }))
    }

    /// The id that SQS gave the message.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.0.message.message_id
    }

    /// The handle of this receipt of the message.
    #[must_use]
    pub fn receipt_handle(&self) -> &str {
        &self.0.message.receipt_handle
    }

    /// The sender's attributes that were asked for, without those that mark a pointer.
    #[must_use]
    pub fn message_attributes(&self) -> &BTreeMap<String, MessageAttributeValue> {
        &self.0.message.message_attributes
    }

    /// What SQS says of the message, as far as it was asked for.
    #[must_use]
    pub fn attributes(&self) -> &MessageSystemAttributes {
        &self.0.message.attributes
    }

    /// Where the payload is stored; `None` if it travelled in the message.
    #[must_use]
    pub fn pointer(&self) -> Option<&Pointer> {
        match &self.0.content {
            Content::Inline(_) | Content::Assembled(_) => None,
            Content::Offloaded { located, .. } => Some(&located.envelope.pointer),
        }
    }

    /// Whether the payload is in the object store.
    #[must_use]
    pub fn is_offloaded(&self) -> bool {
        self.pointer().is_some()
    }

    /// The receipt handle in the form in which AWS's Java library gives it to its users, with the pointer hidden in it;
    /// `None` if the payload travelled in the queue, whose handles are as they are.
    ///
    /// # Errors
    ///
    /// Bucket, key or handle cannot be told apart in that form.
    pub fn embedded_receipt_handle(&self) -> Option<Result<EmbeddedReceiptHandle, InvalidReceiptHandle>> {
        let pointer = self.pointer()?;
        Some(EmbeddedReceiptHandle::new(
            &*pointer.bucket,
            &*pointer.key,
            self.receipt_handle(),
        ))
    }

    /// The payload's length in bytes; of an offloaded one, as its sender says, if it does.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.0.content {
            Content::Inline(body) => u64::try_from(body.len()).ok(),
            Content::Offloaded { located, .. } => located.envelope.size,
            Content::Assembled(payload) => Some(payload.size()),
        }
    }

    /// The payload as text.
    ///
    /// # Errors
    ///
    /// As for [`bytes`](Self::bytes), or the payload is not UTF-8.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn text(&self) -> Result<String, Error> {
        let bytes = self.bytes().await?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.error(Error::plain(ErrorKind::NotText, "the payload is not UTF-8 text"))),
        }
    }

    /// The payload in one piece.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream) and its items, or the payload is larger than
    /// [`max_in_memory`](crate::ExtendedClientBuilder::max_in_memory).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn bytes(&self) -> Result<Bytes, Error> {
        if let Some(bytes) = self.0.content.in_memory() {
            return Ok(bytes.clone());
        }
        let limit = self.0.shared.max_in_memory;
        let fits = |size| usize::try_from(size).is_ok_and(|size| size <= limit);
        if !self.size().is_none_or(fits) {
            return Err(self.error(not_in_memory(limit)));
        }
        let mut stream = self.stream().await?;
        if !stream.size().is_none_or(fits) {
            return Err(self.error(not_in_memory(limit)));
        }
        let mut bytes = BytesMut::with_capacity(self.reserve(&stream));
        while let Some(chunk) = stream.try_next().await? {
            if chunk.len() > limit - bytes.len() {
                return Err(self.error(not_in_memory(limit)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Fetches the payload, so that it is there when it is asked for. A failure is told when it is asked for again.
    pub(crate) async fn fetch_ahead(&self) {
        let bytes = self.bytes().await;
        if let (Ok(bytes), Content::Offloaded { fetched, .. }) = (bytes, &self.0.content) {
            // Nobody else fetches ahead.
            let _ = fetched.set(bytes);
        }
    }

    /// What the store says, so that a sender's false claim makes us reserve nothing.
    fn reserve(&self, stream: &PayloadStream) -> usize {
        let as_stored = self.pointer().is_some_and(|pointer| pointer.encoding.is_plain());
        let size = stream.size().filter(|_| as_stored);
        size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
    }

    /// The payload as a reader. Reaching the end without an error means that all that was read is right; until then it
    /// is not known to be. An [`Error`] is found inside of the `io::Error`.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// ```no_run
    /// # async fn example(delivery: sqs_extended::ExtendedDelivery) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut reader = delivery.reader().await?;
    /// tokio::io::copy(&mut reader, &mut tokio::io::stdout()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn reader(&self) -> Result<PayloadReader, Error> {
        self.stream().await.map(PayloadReader::new)
    }

    /// The payload as a stream of chunks. Reaching the end without an error means that all chunks were right; until
    /// then it is not known.
    ///
    /// # Errors
    ///
    /// The store fails, does not have the payload, or has one of another length. An item of the stream is an error if
    /// the store fails later, or if at the end the payload is not what was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the stream, ends the download and changes nothing.
    pub async fn stream(&self) -> Result<PayloadStream, Error> {
        let inner = &*self.0;
        let codec = &inner.shared.codec;
        if let Some(bytes) = self.0.content.in_memory() {
            return Ok(PayloadStream::inline(bytes.clone()));
        }
        let stream = match &inner.content {
            Content::Inline(body) => Ok(PayloadStream::inline(body.clone())),
            Content::Assembled(payload) => payload.stream(codec).await,
            Content::Offloaded { located, sealed, .. } => {
                let fetched = self.payloads()?.fetch(located, codec).await;
                if fetched.as_ref().is_err_and(Error::is_missing_payload) {
                    let Shared { missing, sender, .. } = &*inner.shared;
                    missing.act(sender, &inner.claim, &inner.message, sealed).await;
                }
                fetched
            }
        };
        let stream = stream.map_err(|error| self.error(error))?;
        Ok(stream.of_message(self.receipt_handle()))
    }

    /// Writes the payload to a file, and says how long it is. The bytes go to a temporary file beside it, which takes
    /// its name, replacing what is there, only after length and digest were found right and the file was synced to
    /// disk: so an acknowledgement that follows can delete the payload without a risk.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream) and its items, or the file cannot be written, or `path` is something else than a
    /// regular file. What was at `path` is as it was.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the temporary file is deleted, and what was at `path` is as it was; or else, at the
    /// very end, the whole payload is there.
    pub async fn download_to(&self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let path = path.as_ref().to_owned();
        download::save(self.stream().await?, path)
            .await
            .map_err(|error| self.error(error))
    }

    /// Acknowledges the message: deletes it from the queue, and then its payload from the store, if the message is
    /// surely ours until that is confirmed. A payload that could not be deleted is no error, as the message is dealt
    /// with; the outcome tells.
    ///
    /// # Errors
    ///
    /// The message could not be deleted; its payload was not touched. The delivery can be acknowledged again.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the message may be deleted or not. Its payload may stay behind, but is never deleted
    /// before the message.
    pub async fn ack(&self) -> Result<PayloadOutcome, Error> {
        let surely_ours = self
            .0
            .claim
            .delete()
            .await
            .map_err(|error| self.error(Error::queue("the message could not be deleted", error)))?;
        let Content::Offloaded { located, .. } = &self.0.content else {
            return Ok(PayloadOutcome::NoStoredPayload);
        };
        if !surely_ours {
            return Ok(PayloadOutcome::PayloadRetained(RetainReason::LeaseExpired));
        }
        Ok(match self.payloads()?.remove(located).await {
            Removed::Deleted => PayloadOutcome::PayloadDeleted,
            Removed::Kept => PayloadOutcome::PayloadRetained(RetainReason::Configured),
            Removed::Failed(error) => PayloadOutcome::PayloadRetained(RetainReason::DeleteFailed(self.error(error))),
        })
    }

    /// Gives the message back to the queue, to be delivered again after this time, at once if it is zero. Its payload
    /// stays.
    ///
    /// # Errors
    ///
    /// The visibility timeout could not be changed, or could and the answer was lost: the message comes back at the
    /// latest when its visibility timeout is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is as if the request had failed.
    pub async fn nack(&self, after: Duration) -> Result<(), Error> {
        self.changed(self.0.claim.release(after).await)
    }

    /// Hides the message from other consumers for this long from now, in place of what is left of its visibility
    /// timeout. SQS allows 12 hours in all.
    ///
    /// # Errors
    ///
    /// The visibility timeout could not be changed, or could and the response was lost. Until another call succeeds, the
    /// shorter of the two counts for [`ack`](Self::ack). A lease that is over stays over, even if SQS confirms a later call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is as if the request had failed.
    pub async fn extend_visibility(&self, timeout: Duration) -> Result<(), Error> {
        self.changed(self.0.claim.extend(timeout).await)
    }

    /// Whether it was acknowledged or given back, as far as the consumer knows that it is from.
    pub(crate) fn is_settled(&self) -> bool {
        self.0.claim.is_settled()
    }

    /// Gives the segments of a payload back by the consumer's backoff; does nothing to what is no such thing.
    pub(crate) async fn release_set_with_backoff(&self) -> Result<(), Error> {
        match &self.0.claim {
            Claim::Segments(set) => self.changed(set.release_with_backoff().await),
            Claim::Leased(_) | Claim::Consumed(_) => Ok(()),
        }
    }

    fn changed(&self, changed: Result<(), sqs_client::Error>) -> Result<(), Error> {
        changed.map_err(|error| self.error(Error::queue("the message's visibility could not be changed", error)))
    }

    fn payloads(&self) -> Result<&PayloadStore, Error> {
        payloads(&self.0.shared)
    }

    fn error(&self, error: Error) -> Error {
        error.with_receipt_handle(self.receipt_handle())
    }
}

fn not_in_memory(limit: usize) -> Error {
    Error::plain(
        ErrorKind::TooLarge,
        format!("the payload is larger than the {limit} bytes that are allowed in memory; read it as a stream"),
    )
}

impl fmt::Debug for ExtendedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the body nor the receipt handle.
        f.debug_struct("ExtendedDelivery")
            .field("message_id", &self.0.message.message_id)
            .field("size", &self.size())
            .field("pointer", &self.pointer())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
