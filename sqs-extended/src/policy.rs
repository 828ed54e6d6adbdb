//! What travels in the message and what is offloaded.

use bytes::Bytes;
use sqs_client::{OutgoingMessage, limits};

use crate::client::DEFAULT_THRESHOLD;
use crate::envelope::{ReservedAttribute, is_reserved};
use crate::error::Error;

/// More than a pointer, its extras and the reserved attribute take of a message.
const POINTER_BYTES: usize = 2 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) threshold: usize,
    pub(crate) attribute: ReservedAttribute,
    pub(crate) extras: bool,
}

impl Policy {
    /// How many bytes of body `message` takes inline, beside its attributes.
    pub(crate) fn room(&self, message: &OutgoingMessage) -> usize {
        self.threshold.saturating_sub(attribute_bytes(message))
    }

    /// What is wrong with a message whichever way its payload travels.
    ///
    /// # Errors
    ///
    /// An attribute has a reserved name, there are too many, or a FIFO queue's message has no group.
    pub(crate) fn check(&self, message: &OutgoingMessage, queue_url: &str) -> Result<(), Error> {
        if let Some(name) = message.message_attributes.keys().find(|name| is_reserved(name)) {
            return Err(Error::invalid(format!(
                "the message attribute {name} is reserved for pointers"
            )));
        }
        check_count(message, limits::MAX_MESSAGE_ATTRIBUTES, "a message")?;
        if is_fifo(queue_url) && message.message_group_id.is_none() {
            return Err(Error::invalid("a message to a FIFO queue needs a message group id"));
        }
        Ok(())
    }

    /// What is wrong with a message whose payload is offloaded; to be asked before gigabytes are uploaded in vain.
    ///
    /// # Errors
    ///
    /// The attributes leave no room for the pointer or for the reserved attribute.
    pub(crate) fn check_offloaded(&self, message: &OutgoingMessage) -> Result<(), Error> {
        let most = limits::MAX_MESSAGE_ATTRIBUTES - 1;
        check_count(message, most, "an offloaded message (one is reserved for the pointer)")?;
        let limit = self.threshold.max(DEFAULT_THRESHOLD);
        let attributes = attribute_bytes(message);
        if attributes + POINTER_BYTES > limit {
            return Err(Error::invalid(format!(
                "the message attributes take {attributes} bytes, which leaves no room for the pointer in {limit}"
            )));
        }
        Ok(())
    }
}

/// The payload as a message body, or the payload again if SQS would not take it as one: a body is text of the allowed
/// characters, and not empty.
pub(crate) fn into_body(payload: Bytes) -> Result<String, Bytes> {
    if !is_body(&payload) {
        return Err(payload);
    }
    String::from_utf8(payload.into()).map_err(|error| error.into_bytes().into())
}

pub(crate) fn is_body(payload: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(payload) else {
        return false;
    };
    let has_control = text.bytes().any(|b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r'));
    !text.is_empty() && !has_control && !text.contains(['\u{FFFE}', '\u{FFFF}'])
}

/// Whether the queue is a FIFO queue, which its name says.
pub(crate) fn is_fifo(queue_url: &str) -> bool {
    queue_url.ends_with(".fifo")
}

/// The message has no body yet when its payload's way is decided.
fn attribute_bytes(message: &OutgoingMessage) -> usize {
    message.size().saturating_sub(message.body.len())
}

fn check_count(message: &OutgoingMessage, most: usize, whose: &str) -> Result<(), Error> {
    let count = message.message_attributes.len();
    if count > most {
        return Err(Error::invalid(format!(
            "{count} message attributes; {whose} takes at most {most}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const STANDARD: &str = "http://localhost/queue";
    const FIFO: &str = "http://localhost/queue.fifo";

    fn policy(threshold: usize) -> Policy {
        Policy {
            threshold,
            attribute: ReservedAttribute::default(),
            extras: true,
        }
    }

    fn with_attributes(count: usize) -> OutgoingMessage {
        (0..count).fold(OutgoingMessage::new(""), |message, i| {
            message.message_attribute(format!("a{i}"), "v")
        })
    }

    #[test]
    fn attributes_count_towards_the_threshold() {
        let message = OutgoingMessage::new("").message_attribute("name", "value");
        // 4 of the name, 6 of "String", 5 of the value.
        assert_eq!(policy(100).room(&message), 85);
        assert_eq!(policy(10).room(&message), 0);
    }

    #[test]
    fn ten_attributes_inline_and_nine_offloaded() {
        let policy = policy(DEFAULT_THRESHOLD);
        assert!(policy.check(&with_attributes(10), STANDARD).is_ok());
        assert!(policy.check(&with_attributes(11), STANDARD).is_err());
        assert!(policy.check_offloaded(&with_attributes(9)).is_ok());
        let error = policy.check_offloaded(&with_attributes(10)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn reserved_names_and_groupless_fifo_messages_are_refused() {
        let policy = policy(DEFAULT_THRESHOLD);
        for attribute in ReservedAttribute::ALL {
            let message = OutgoingMessage::new("").message_attribute(attribute.name(), "1");
            assert!(policy.check(&message, STANDARD).is_err());
        }
        assert!(policy.check(&with_attributes(0), FIFO).is_err());
        assert!(policy.check(&with_attributes(0).message_group_id("g"), FIFO).is_ok());
    }

    #[test]
    fn attributes_that_leave_no_room_for_the_pointer_are_refused() {
        let large = OutgoingMessage::new("").message_attribute("a", "v".repeat(DEFAULT_THRESHOLD - POINTER_BYTES));
        assert!(policy(0).check_offloaded(&large).is_err());
        assert!(policy(limits::MAX_MESSAGE_BYTES).check_offloaded(&large).is_ok());
    }

    #[test]
    fn only_what_sqs_takes_is_a_body() {
        for body in ["a", "\t\n\r", "é\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}", "\u{7f}"] {
            assert_eq!(into_body(body.into()).as_deref(), Ok(body));
        }
        for body in ["", "\0", "a\u{b}", "\u{1f}", "a\u{FFFE}", "\u{FFFF}a"] {
            assert!(into_body(body.into()).is_err(), "{body:?}");
        }
        assert!(into_body(Bytes::from_static(&[0xff, 0xfe])).is_err());
    }
}
