//! A received segment and its message.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use sqs_client::internal::{DeliveryExt as _, forward, is_fifo};
use sqs_client::{Client, Delivery, Message, OutgoingMessage};

use crate::error::Error;
use crate::receive::claimed_segments::log_failure;
use crate::receive::segment_bytes::SegmentBytes;
use crate::segment::{Header, InvalidSegment, SegmentSize};

/// A received segment with the delivery of its message.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) delivery: Delivery,
    pub(super) header: Header,
    /// The sender's message, without the segment's bytes and header.
    pub(super) message: Message,
    pub(super) bytes: SegmentBytes,
}

impl Segment {
    /// Takes the segment out of a delivery.
    ///
    /// # Errors
    ///
    /// The segment is malformed.
    pub(super) fn take(mut delivery: Delivery, header: Header) -> Result<Self, InvalidSegment> {
        let mut message = delivery.take_message();
        let bytes = header.take_bytes(&mut message)?;
        Ok(Self {
            delivery,
            header,
            message,
            bytes: SegmentBytes::Memory(bytes),
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len()
    }

    /// Returns the payload bytes of the segment, and the bytes that its message uses in memory.
    pub(super) fn size(&self) -> SegmentSize {
        let attributes = self.message.message_attributes.iter();
        let attributes: usize = attributes.map(|(name, value)| name.len() + value.size()).sum();
        let system = self.message.attributes.iter();
        let system: usize = system.map(|(name, value)| name.as_str().len() + value.len()).sum();
        let ids = self.message.message_id.len() + self.message.receipt_handle.len();
        // The delivery has a copy of ids and system attributes. The header uses about as much memory as its text.
        let overhead = attributes + 2 * (system + ids) + self.header.to_string().len();
        SegmentSize {
            len: self.len(),
            memory: self.len().saturating_add(u64::try_from(overhead).unwrap_or(u64::MAX)),
        }
    }

    /// Returns the message to the queue. A failure is logged, and dropping the delivery returns it once more.
    pub(super) async fn return_to_queue(self, delay: Duration) {
        // Frees the bytes before the request.
        let Self { delivery, .. } = self;
        if let Err(error) = delivery.nack(delay).await {
            log_failure(&delivery, &error, "failed to return a segment to the queue");
        }
    }

    /// Deletes the message. A failure is logged, and the message is delivered again after the backoff.
    pub(super) async fn delete(self) {
        let Self { delivery, .. } = self;
        if let Err(error) = delivery.ack().await {
            log_failure(&delivery, &error, "failed to delete a segment");
            return_with_backoff(&delivery).await;
        }
    }

    /// Sends the message to another queue, and deletes it once that is confirmed. A failure is logged, and the message is
    /// delivered again after the backoff.
    pub(super) async fn move_to(self, client: &Client, queue_url: &str) {
        let sent = match self.to_outgoing(queue_url).await {
            Ok(message) => client
                .send_message(queue_url, message)
                .await
                .map(drop)
                .map_err(Into::into),
            Err(error) => Err(Box::<dyn std::error::Error + Send + Sync>::from(error)),
        };
        match sent {
            Ok(()) => self.delete().await,
            Err(error) => {
                log_failure(&self.delivery, &*error, "failed to move a segment to another queue");
                return_with_backoff(&self.delivery).await;
            }
        }
    }

    async fn to_outgoing(&self, queue_url: &str) -> Result<OutgoingMessage, Error> {
        let chunks: Vec<Bytes> = self.bytes.clone().chunks().try_collect().await?;
        let sealed = self.header.seal(chunks.concat().into());
        let mut outgoing = forward(sealed, &self.message, queue_url);
        // All segments of a payload go to one group, even from a standard queue.
        if is_fifo(queue_url) && self.message.attributes.message_group_id().is_none() {
            outgoing.message_group_id = Some(self.header.whole.id.clone());
        }
        Ok(outgoing)
    }
}

async fn return_with_backoff(delivery: &Delivery) {
    if let Err(error) = delivery.nack_with_backoff().await {
        log_failure(delivery, &error, "failed to return a segment to the queue");
    }
}
