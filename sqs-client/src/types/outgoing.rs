use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::limits;
use crate::types::text::seconds;
use crate::types::{MessageAttributeValue, bounded_id};
use crate::validate;

/// A message to send, alone or as an entry of a batch.
///
/// ```
/// use std::time::Duration;
/// use sqs_client::OutgoingMessage;
///
/// let message = OutgoingMessage::new("hello").delay(Duration::from_secs(5)).message_attribute("lang", "en");
/// assert_eq!(message.size(), "hello".len() + "lang".len() + "String".len() + "en".len());
///
/// // A FIFO queue requires a message group.
/// let ordered = OutgoingMessage::new("paid").message_group_id("order-7").message_deduplication_id("order-7-paid");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
#[must_use]
pub struct OutgoingMessage {
    /// The body: 1 byte to 1 MiB of the characters `#x9`, `#xA`, `#xD`, `#x20`–`#xD7FF`, `#xE000`–`#xFFFD` and
    /// `#x10000`–`#x10FFFF`
    /// ([source](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)).
    #[serde(rename = "MessageBody")]
    pub body: String,
    /// The delay before the message becomes visible. Range: 0–900 s. Default: the queue's delay. A FIFO queue does not
    /// accept a delay per message.
    #[serde(
        default,
        rename = "DelaySeconds",
        with = "seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub delay: Option<Duration>,
    /// The message attributes, by name: up to 10.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub message_attributes: BTreeMap<String, MessageAttributeValue>,
    /// Attributes for SQS itself, which supports only `AWSTraceHeader`. They do not count toward the message size.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub message_system_attributes: BTreeMap<String, MessageAttributeValue>,
    /// The deduplication id, for FIFO queues. SQS does not deliver another message with the same id within 5 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_deduplication_id: Option<String>,
    /// The message group. FIFO queues deliver its messages in order. Standard queues use it as the tenant for fair
    /// delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_group_id: Option<String>,
}

/// Implements the setters of a message for a type that has one: `$this => $message` names the message within `self`.
macro_rules! message_setters {
    ($this:ident => $message:expr) => {
        /// Sets the delay before the message becomes visible, in whole seconds (rounded up). Range: 0–900 s. Default: the
        /// queue's delay. A FIFO queue does not accept a delay per message.
        pub fn delay(mut self, delay: std::time::Duration) -> Self {
            let $this = &mut self;
            $message.delay = Some(delay);
            self
        }

        /// Adds a message attribute. Range: up to 10 attributes. Default: none.
        pub fn message_attribute(
            mut self,
            name: impl Into<String>,
            value: impl Into<crate::types::MessageAttributeValue>,
        ) -> Self {
            let $this = &mut self;
            $message.message_attributes.insert(name.into(), value.into());
            self
        }

        /// Sets the message group. A FIFO queue delivers a group in order. A standard queue uses it as the tenant for
        /// fair delivery. Range: 1–128 characters. Default: none, which a FIFO queue does not accept.
        pub fn message_group_id(mut self, id: impl Into<String>) -> Self {
            let $this = &mut self;
            $message.message_group_id = Some(id.into());
            self
        }

        /// Sets the deduplication id on a FIFO queue. SQS accepts another message with the same id within 5 minutes and
        /// does not deliver it. Range: 1–128 characters. Default: none. A FIFO queue accepts that only with
        /// content-based deduplication, which uses the SHA-256 of the body.
        pub fn message_deduplication_id(mut self, id: impl Into<String>) -> Self {
            let $this = &mut self;
            $message.message_deduplication_id = Some(id.into());
            self
        }

        /// Sets the AWS X-Ray trace header, which is the system attribute `AWSTraceHeader`. Default: none.
        pub fn trace_header(mut self, header: impl Into<String>) -> Self {
            let $this = &mut self;
            $message.message_system_attributes.insert(
                "AWSTraceHeader".to_owned(),
                crate::types::MessageAttributeValue::string(header),
            );
            self
        }
    };
}
pub(crate) use message_setters;

impl OutgoingMessage {
    /// Creates a message with this body.
    pub fn new(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            delay: None,
            message_attributes: BTreeMap::new(),
            message_system_attributes: BTreeMap::new(),
            message_deduplication_id: None,
            message_group_id: None,
        }
    }

    message_setters!(this => this);

    /// Returns the message's size in bytes as SQS counts it: the body and, for each message attribute, its name, data
    /// type and value. See [`limits::MAX_MESSAGE_BYTES`].
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes: usize = self
            .message_attributes
            .iter()
            .map(|(name, value)| name.len() + value.size())
            .sum();
        self.body.len() + attributes
    }

    /// Estimates the size in a request, without the growth by escapes.
    pub(crate) fn encoded_size(&self) -> usize {
        self.size() + 512
    }

    /// Checks the rules that every queue enforces, and those of a FIFO queue if it `is_fifo`.
    pub(crate) fn validate(&self, is_fifo: bool) -> Result<(), Error> {
        if self.body.is_empty() {
            return Err(Error::invalid_input(
                "the message body is empty; SQS accepts 1 byte or more",
            ));
        }
        validate::at_most("message size in bytes", self.size(), limits::MAX_MESSAGE_BYTES)?;
        validate_properties(self, is_fifo)
    }

    /// Checks the characters of the body and of text attributes. Only this check reads the whole message.
    pub(crate) fn validate_content(&self) -> Result<(), Error> {
        validate::characters(|| "message body".to_owned(), &self.body)?;
        validate_attributes(self)
    }
}

/// Checks the characters of a message's attributes.
///
/// # Errors
///
/// SQS would refuse a character.
pub fn validate_attributes(message: &OutgoingMessage) -> Result<(), Error> {
    let attributes = message
        .message_attributes
        .iter()
        .chain(&message.message_system_attributes);
    for (name, value) in attributes {
        let what = || format!("value of message attribute {:?}", bounded_id(name));
        validate::characters(what, value.as_str().unwrap_or_default())?;
    }
    Ok(())
}

/// Checks all properties of a message except its body and its size.
///
/// # Errors
///
/// SQS would refuse a property, or a message to a FIFO queue has no group.
pub fn validate_properties(message: &OutgoingMessage, is_fifo: bool) -> Result<(), Error> {
    if is_fifo && message.message_group_id.is_none() {
        return Err(Error::invalid_input(
            "the queue is a FIFO queue, and the message has no message group id; set one with `message_group_id`",
        ));
    }
    validate::at_most(
        "number of message attributes",
        message.message_attributes.len(),
        limits::MAX_MESSAGE_ATTRIBUTES,
    )?;
    validate::no_longer_than("delay", message.delay, limits::MAX_DELAY)?;
    validate::id("message group id", message.message_group_id.as_deref())?;
    validate::id("message deduplication id", message.message_deduplication_id.as_deref())
}

impl From<String> for OutgoingMessage {
    fn from(body: String) -> Self {
        Self::new(body)
    }
}

impl From<&str> for OutgoingMessage {
    fn from(body: &str) -> Self {
        Self::new(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_queue_requires_a_message_group_id() {
        let message = OutgoingMessage::new("body");
        assert!(message.validate(false).is_ok());
        let error = message.validate(true).unwrap_err();
        assert!(error.message().contains("`message_group_id`"), "{error}");
        assert!(message.message_group_id("g").validate(true).is_ok());
    }

    #[test]
    fn characters_of_body_and_text_attributes_are_checked() {
        let message =
            |value: MessageAttributeValue| OutgoingMessage::new("body").message_attribute("secret-free", value);
        assert!(
            message(MessageAttributeValue::binary(vec![0, 1]))
                .validate_content()
                .is_ok()
        );
        let error = message(MessageAttributeValue::string("a\u{1}"))
            .validate_content()
            .unwrap_err();
        let expected = "the value of message attribute \"secret-free\" has the character U+0001 at byte 1,";
        assert!(error.message().starts_with(expected), "{error}");
        assert!(OutgoingMessage::new("a\u{ffff}").validate_content().is_err());
        assert!(OutgoingMessage::new("a").trace_header("\0").validate_content().is_err());
    }
}
