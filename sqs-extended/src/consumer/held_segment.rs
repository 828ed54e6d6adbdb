//! A segment that is held.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use sqs_client::{Client, Delivery, Message, OutgoingMessage};

use crate::error::Error;
use crate::receive::claimed_segments::log_failure;
use crate::receive::segment_bytes::SegmentBytes;
use crate::segment::{Header, InvalidSegment, SegmentSize};
use crate::send::message::sent_on;
use crate::send::policy::is_fifo;

/// A received segment, and what it takes to settle it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) delivery: Delivery,
    pub(super) header: Header,
    /// What the caller gave the message, without the segment's bytes and header.
    pub(super) message: Message,
    pub(super) bytes: SegmentBytes,
}

impl Segment {
    /// # Errors
    ///
    /// The segment is not sound.
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

    /// Bytes of the payload, and bytes that all of the message takes.
    pub(super) fn size(&self) -> SegmentSize {
        let attributes = self.message.message_attributes.iter();
        let attributes: usize = attributes.map(|(name, value)| name.len() + value.size()).sum();
        let said = self.message.attributes.iter();
        let said: usize = said.map(|(name, value)| name.as_str().len() + value.len()).sum();
        let ids = self.message.message_id.len() + self.message.receipt_handle.len();
        // The delivery has ids and system attributes once more, and the header is kept as text would be.
        let beside = attributes + 2 * (said + ids) + self.header.to_string().len();
        SegmentSize {
            len: self.len(),
            memory: self.len().saturating_add(u64::try_from(beside).unwrap_or(u64::MAX)),
        }
    }

    /// Returns it to the queue. If this fails it is dropped, and so returned once more.
    pub(super) async fn release(self, after: Duration) {
        // Its bytes are not needed any more.
        let Self { delivery, .. } = self;
        if let Err(error) = delivery.nack(after).await {
            log_failure(&delivery, &error, "a segment could not be returned");
        }
    }

    /// Deletes it. If this fails it comes again after the backoff.
    pub(super) async fn delete(self) {
        let Self { delivery, .. } = self;
        if let Err(error) = delivery.ack().await {
            log_failure(&delivery, &error, "a segment could not be deleted");
            return_with_backoff(&delivery).await;
        }
    }

    /// Sends it to another queue, and deletes it once that is confirmed. If this fails it comes again after the backoff.
    pub(super) async fn move_to(self, client: &Client, queue_url: &str) {
        let sent = match self.again(queue_url).await {
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
                log_failure(&self.delivery, &*error, "a segment could not be moved");
                return_with_backoff(&self.delivery).await;
            }
        }
    }

    async fn again(&self, queue_url: &str) -> Result<OutgoingMessage, Error> {
        let chunks: Vec<Bytes> = self.bytes.clone().chunks().try_collect().await?;
        let mut sent = sent_on(self.header.seal(chunks.concat().into()), &self.message, queue_url);
        // All of a payload go to one group, whatever queue they are from.
        if is_fifo(queue_url) && self.message.attributes.message_group_id().is_none() {
            sent.message_group_id = Some(self.header.whole.id.clone());
        }
        Ok(sent)
    }
}

async fn return_with_backoff(delivery: &Delivery) {
    if let Err(error) = delivery.nack_with_backoff().await {
        log_failure(delivery, &error, "a segment could not be returned");
    }
}
