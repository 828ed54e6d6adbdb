//! A message to send: the payload, and what goes with it.

use sqs_client::{Message, OutgoingMessage};

use crate::payload::source::Payload;
use crate::send::policy::is_fifo;

/// Gives `sent` what a received message came with: its message attributes, group and trace. On a FIFO queue the message's
/// id is the deduplication id, so that it is there once though it be sent again after a lost answer, and the group where
/// it had none.
pub(crate) fn sent_on(mut sent: OutgoingMessage, message: &Message, queue_url: &str) -> OutgoingMessage {
    let attributes = &message.attributes;
    sent.message_attributes.extend(message.message_attributes.clone());
    sent.message_group_id = attributes.message_group_id().map(str::to_owned);
    if is_fifo(queue_url) {
        let id = || message.message_id.clone();
        sent.message_group_id.get_or_insert_with(id);
        sent.message_deduplication_id = Some(id());
    }
    match attributes.aws_trace_header() {
        Some(header) => sent.trace_header(header),
        None => sent,
    }
}

/// A message to send, as an entry of [`send_messages`](crate::ExtendedClient::send_messages).
///
/// ```
/// use sqs_extended::ExtendedMessage;
///
/// let message = ExtendedMessage::new("large or small").message_attribute("lang", "en");
/// ```
#[derive(Debug)]
#[must_use]
pub struct ExtendedMessage {
    pub(crate) payload: Payload,
    /// Without a body.
    pub(crate) message: OutgoingMessage,
    pub(crate) payload_key: Option<String>,
}

/// The setters of a message, written once for all that hold one: `$this => $place` names the [`ExtendedMessage`].
macro_rules! message_setters {
    ($this:ident => $place:expr) => {
        /// Adds an attribute of the sender's. A message takes 10 of them; one in the store or in segments 9, as one is
        /// reserved.
        pub fn message_attribute(
            self,
            name: impl Into<String>,
            value: impl Into<sqs_client::types::MessageAttributeValue>,
        ) -> Self {
            self.change(|message| message.message_attribute(name, value))
        }

        /// Puts the message into a group: ordered delivery on a FIFO queue, where it is required; fair delivery on a
        /// standard one. Up to 128 characters.
        pub fn message_group_id(self, id: impl Into<String>) -> Self {
            self.change(|message| message.message_group_id(id))
        }

        /// Names the message for deduplication on a FIFO queue: the same id within 5 minutes is not delivered again.
        /// Up to 128 characters. An offloaded or split message without one takes the payload's digest.
        pub fn message_deduplication_id(self, id: impl Into<String>) -> Self {
            self.change(|message| message.message_deduplication_id(id))
        }

        /// Hides the message for this long after it was sent, up to 15 minutes; not on a FIFO queue.
        pub fn delay(self, delay: std::time::Duration) -> Self {
            self.change(|message| message.delay(delay))
        }

        /// Sends an AWS X-Ray trace header along, as the system attribute `AWSTraceHeader`.
        pub fn trace_header(self, header: impl Into<String>) -> Self {
            self.change(|message| message.trace_header(header))
        }

        /// Stores the payload, if it is offloaded, under this key after the prefix, rather than a new one. Whoever
        /// sends the message again after a failure can so reuse its place; it must not be any other payload's. What
        /// is stored there stays if the message is refused, as an earlier one may point to it. An upload in parts under such
        /// a key costs one more request, because an older object must not be taken for the new one.
        pub fn payload_key(mut self, key: impl Into<String>) -> Self {
            let $this = &mut self;
            $place.payload_key = Some(key.into());
            self
        }

        fn change(mut self, change: impl FnOnce(sqs_client::OutgoingMessage) -> sqs_client::OutgoingMessage) -> Self {
            let $this = &mut self;
            let message = std::mem::replace(&mut $place.message, sqs_client::OutgoingMessage::new(""));
            $place.message = change(message);
            self
        }
    };
}
pub(crate) use message_setters;

impl ExtendedMessage {
    /// A message with this payload and nothing else.
    pub fn new(payload: impl Into<Payload>) -> Self {
        Self {
            payload: payload.into(),
            message: OutgoingMessage::new(""),
            payload_key: None,
        }
    }

    message_setters!(this => this);

    /// The group whose order it must keep in this queue.
    pub(crate) fn ordered_group(&self, queue_url: &str) -> Option<String> {
        let group = self.message.message_group_id.clone();
        group.filter(|_| is_fifo(queue_url))
    }
}

impl<P: Into<Payload>> From<P> for ExtendedMessage {
    fn from(payload: P) -> Self {
        Self::new(payload)
    }
}
