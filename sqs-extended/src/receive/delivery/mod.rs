//! A received message and its payload.

mod download_request;
mod outcome;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqs_client::Message;
use sqs_client::types::{MessageAttributeValue, MessageSystemAttributes};

use crate::error::Error;
use crate::payload_store::PayloadStore;
use crate::pointer::{EmbeddedReceiptHandle, InvalidReceiptHandle, Pointer};
use crate::receive::assembled::Assembled;
use crate::receive::body::{Content, payload_store};
use crate::receive::claim::Claim;
use crate::receive::download;
use crate::receive::rejected::Rejected;
use crate::shared::Shared;
pub use download_request::DownloadRequest;

/// A received message, and its payload of any size.
///
/// Each request for the payload of an offloaded message fetches it anew, unless it was
/// [prefetched](crate::receive::ReceiveRequest::prefetch_payloads). Its length is verified, and its digest if the pointer
/// has one. A failed check is an error and changes nothing. Read the payload again, return the message with
/// [`nack`](Self::nack), or wait until its visibility timeout expires.
///
/// SQS delivers at least once. A duplicate of an acknowledged message therefore has no payload. See
/// [`Error::is_missing_payload`].
///
/// All methods take `&self`, so that a long download and [`extend_visibility`](Self::extend_visibility) can run
/// concurrently. Clones share the message.
///
/// ```no_run
/// # async fn example(delivery: sqs_extended::ExtendedDelivery) -> Result<(), sqs_extended::Error> {
/// delivery.download_to("restored.tar").await?; // `Ok` only once length and digest are verified
/// delivery.ack().await?; // deletes the message, then its payload
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ExtendedDelivery(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    claim: Claim,
    /// The message without its body and without the reserved attributes.
    message: Message,
    content: Content,
}

impl ExtendedDelivery {
    /// The margin between the end of a lease and the end of the visibility timeout: 1 second. For a timeout below 4 seconds it
    /// is a quarter of the timeout. It allows for the network and for clocks that differ.
    pub const LEASE_MARGIN: Duration = sqs_client::internal::LEASE_MARGIN;

    /// The length in bytes from which [`download_to`](Self::download_to) continues an earlier download: 16 MiB.
    pub const MIN_RESUMABLE: u64 = download::MIN_RESUMABLE;

    /// Opens a received message, without I/O.
    pub(crate) fn open(shared: &Arc<Shared>, claim: Claim, mut message: Message) -> Result<Self, Rejected> {
        match Content::take(shared, &claim, &mut message) {
            Ok(content) => Ok(Self::new(shared, claim, message, content)),
            Err(error) => Err(Rejected::new(message, error)),
        }
    }

    /// Creates the delivery of a payload that arrived in segments. `message` is the first of them.
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

    /// Returns the id that SQS gave the message. For a payload in segments, it is the first segment's.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.0.message.message_id
    }

    /// Returns the URL of the queue that the message was received from.
    #[must_use]
    pub fn queue_url(&self) -> &str {
        self.0.claim.queue_url()
    }

    /// Returns the receipt handle of this receive. For a payload in segments, it is the first segment's.
    #[must_use]
    pub fn receipt_handle(&self) -> &str {
        &self.0.message.receipt_handle
    }

    /// Returns how many times the message was received, this time included. Returns 1 if the server does not tell.
    ///
    /// For a payload in segments, it is the first segment's count.
    #[must_use]
    pub fn receive_count(&self) -> u32 {
        self.attributes().approximate_receive_count().unwrap_or(1)
    }

    /// Returns the sender's attributes that were requested, without the reserved ones.
    #[must_use]
    pub fn message_attributes(&self) -> &BTreeMap<String, MessageAttributeValue> {
        &self.0.message.message_attributes
    }

    /// Returns the system attributes that were requested.
    #[must_use]
    pub fn attributes(&self) -> &MessageSystemAttributes {
        &self.0.message.attributes
    }

    /// Returns the pointer to the stored payload, or `None` if the payload traveled in the queue.
    #[must_use]
    pub fn pointer(&self) -> Option<&Pointer> {
        match &self.0.content {
            Content::Inline(_) | Content::Assembled(_) => None,
            Content::Offloaded { located, .. } => Some(&located.envelope.pointer),
        }
    }

    /// Returns `true` if the payload is in the payload store.
    #[must_use]
    pub fn is_offloaded(&self) -> bool {
        self.pointer().is_some()
    }

    /// Returns `true` if the payload arrived in [segments](crate::Strategy::Split). A small encrypted payload is a single
    /// segment.
    #[must_use]
    pub fn is_split(&self) -> bool {
        matches!(self.0.content, Content::Assembled(_))
    }

    /// Returns the receipt handle in the format of AWS's Java library, which embeds the pointer. Returns `None` if the
    /// payload traveled in the queue. That library then returns the plain [`receipt_handle`](Self::receipt_handle).
    ///
    /// # Errors
    ///
    /// Bucket, key or handle contain a marker of the format.
    pub fn embedded_receipt_handle(&self) -> Option<Result<EmbeddedReceiptHandle, InvalidReceiptHandle>> {
        let pointer = self.pointer()?;
        Some(EmbeddedReceiptHandle::new(
            &*pointer.bucket,
            &*pointer.key,
            self.receipt_handle(),
        ))
    }

    /// Returns the payload's length in bytes. For an offloaded or split payload it is the sender's claim. Returns `None` if
    /// the sender does not state it.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.0.content {
            Content::Inline(body) => u64::try_from(body.len()).ok(),
            Content::Offloaded { located, .. } => located.envelope.size,
            Content::Assembled(payload) => Some(payload.size()),
        }
    }

    /// Returns the consumer's delivery, or `None` if a single receive returned the message.
    #[cfg(feature = "testing")]
    pub(crate) fn consumed(&self) -> Option<&sqs_client::Delivery> {
        match &self.0.claim {
            Claim::Consumed(delivery) => Some(delivery),
            Claim::Leased(_) | Claim::Segments(_) => None,
        }
    }

    /// Returns a function that ends the lease of a single receive, as if the server had refused an extension.
    #[cfg(feature = "testing")]
    pub(crate) fn lease_ender(&self) -> impl Fn() + Send + Sync + 'static {
        let inner = Arc::downgrade(&self.0);
        move || {
            if let Some(inner) = inner.upgrade()
                && let Claim::Leased(leased) = &inner.claim
            {
                leased.lease.refused();
            }
        }
    }

    fn payload_store(&self) -> Result<&PayloadStore, Error> {
        payload_store(&self.0.shared)
    }

    fn error(&self, error: Error) -> Error {
        error.with_receipt_handle(self.receipt_handle())
    }
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
