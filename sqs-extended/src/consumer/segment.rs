//! A segment that is held.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use sqs_client::{Client, Message, OutgoingMessage};

use crate::error::Error;
use crate::outgoing::sent_on;
use crate::policy::is_fifo;
use crate::segment::{Header, InvalidSegment, SegmentBytes};

/// A received segment, and what it takes to settle it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) delivery: sqs_client::Delivery,
    pub(super) header: Header,
    /// What the caller gave the message, without the segment's bytes and header.
    pub(super) message: Message,
    pub(super) bytes: SegmentBytes,
}

impl Segment {
    /// # Errors
    ///
    /// The segment is not sound.
    pub(super) fn take(mut delivery: sqs_client::Delivery, header: Header) -> Result<Self, InvalidSegment> {
        let mut message = delivery.take_message();
        let bytes = SegmentBytes::take(&header, &mut message)?;
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

    /// What becomes of it if this fails is that it is dropped, and so given back.
    pub(super) async fn release(self, after: Duration) {
        if let Err(error) = self.delivery.nack(after).await {
            self.warn(&error, "a segment could not be given back");
        }
    }

    pub(super) async fn delete(self) {
        if let Err(error) = self.delivery.ack().await {
            self.warn(&error, "a segment could not be deleted");
        }
    }

    /// Sends it to another queue, and deletes it once that is confirmed.
    pub(super) async fn move_to(self, client: &Client, queue_url: &str) {
        let sent = match self.again(queue_url).await {
            Ok(message) => client.send_message(queue_url, message).await,
            Err(error) => return self.warn(&error, "a segment could not be read again"),
        };
        match sent {
            Ok(_) => self.delete().await,
            Err(error) => self.warn(&error, "a segment could not be moved"),
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

    fn warn(&self, error: &(dyn std::error::Error + 'static), what: &'static str) {
        tracing::warn!(message_id = self.message.message_id, error, "{what}");
    }
}
