//! What travels in the message and what is offloaded.

use bytes::Bytes;
use sqs_client::{OutgoingMessage, limits};

use crate::error::Error;
use crate::pointer::is_reserved;
use crate::segment::{self, is_body};
use crate::send::strategy::Strategy;

/// The size up to which a message travels inline by default, in bytes, as in the libraries of AWS.
pub(crate) const DEFAULT_THRESHOLD: usize = 262_144;

/// The smallest segments that can be asked for: room for any header, and something beside it.
const MIN_SEGMENT_SIZE: usize = 4_096;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) threshold: usize,
    pub(crate) strategy: Strategy,
    pub(crate) split_limit: usize,
    pub(crate) segment_size: usize,
    pub(crate) always_offload: bool,
    pub(crate) queue_limits: bool,
}

impl Policy {
    /// # Errors
    ///
    /// A setting is out of its range, or needs a store and there is none.
    pub(crate) fn validate(&self, has_store: bool) -> Result<(), Error> {
        let most = limits::MAX_MESSAGE_BYTES;
        if self.threshold > most {
            return Err(Error::invalid(format!(
                "the threshold is out of range: at most {most} bytes"
            )));
        }
        if !(MIN_SEGMENT_SIZE..=most).contains(&self.segment_size) {
            return Err(Error::invalid(format!(
                "the size of segments is out of range: {MIN_SEGMENT_SIZE} to {most} bytes"
            )));
        }
        if (self.strategy == Strategy::Offload || self.always_offload) && !has_store {
            return Err(Error::invalid("there is no store to offload to; call `offload_to`"));
        }
        Ok(())
    }

    pub(crate) fn may_split(&self) -> bool {
        matches!(self.strategy, Strategy::Split | Strategy::Auto) && !self.always_offload
    }

    pub(crate) fn may_offload(&self) -> bool {
        matches!(self.strategy, Strategy::Offload | Strategy::Auto) || self.always_offload
    }

    /// How many bytes of body `message` takes inline, beside its attributes, where no message may be longer than `limit`.
    pub(crate) fn room(&self, message: &OutgoingMessage, limit: usize) -> usize {
        self.threshold.min(limit).saturating_sub(attribute_bytes(message))
    }

    /// The longest message that may be sent where nothing is known of the queue: older servers take no more than the
    /// default.
    pub(crate) fn assumed_limit(&self) -> usize {
        self.threshold.max(DEFAULT_THRESHOLD)
    }

    /// What is wrong with a message whichever way its payload travels.
    ///
    /// # Errors
    ///
    /// An attribute has a reserved name, there are too many, or a FIFO queue's message has no group.
    pub(crate) fn check(&self, message: &OutgoingMessage, queue_url: &str) -> Result<(), Error> {
        // Of an inline message, too: its receiver would take it for a pointer or a segment.
        let is_ours = |name: &&String| is_reserved(name) || segment::ATTRIBUTES.contains(&name.as_str());
        if let Some(name) = message.message_attributes.keys().find(is_ours) {
            return Err(Error::invalid(format!(
                "the message attribute {name} is reserved for pointers and segments"
            )));
        }
        check_count(message, limits::MAX_MESSAGE_ATTRIBUTES, "a message")?;
        if is_fifo(queue_url) && message.message_group_id.is_none() {
            return Err(Error::invalid("a message to a FIFO queue needs a message group id"));
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
            strategy: Strategy::Offload,
            split_limit: 0,
            segment_size: DEFAULT_THRESHOLD,
            always_offload: false,
            queue_limits: false,
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
        assert_eq!(policy(100).room(&message, 1000), 85);
        assert_eq!(policy(100).room(&message, 90), 75);
        assert_eq!(policy(10).room(&message, 1000), 0);
    }

    #[test]
    fn ten_attributes_are_most() {
        let policy = policy(DEFAULT_THRESHOLD);
        assert!(policy.check(&with_attributes(10), STANDARD).is_ok());
        let error = policy.check(&with_attributes(11), STANDARD).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn reserved_names_and_groupless_fifo_messages_are_refused() {
        let policy = policy(DEFAULT_THRESHOLD);
        for name in [
            "SQSLargePayloadSize",
            "ExtendedPayloadSize",
            "S3MessageBodyKey",
            "SQSExtendedSegment",
            "SQSExtendedSegmentBytes",
        ] {
            let message = OutgoingMessage::new("").message_attribute(name, "1");
            assert!(policy.check(&message, STANDARD).is_err());
        }
        assert!(policy.check(&with_attributes(0), FIFO).is_err());
        assert!(policy.check(&with_attributes(0).message_group_id("g"), FIFO).is_ok());
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
