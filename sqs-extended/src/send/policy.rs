//! The rules that decide whether a payload travels in a message.

use bytes::Bytes;
use sqs_client::internal::{is_fifo, no_arn, validate_attributes, validate_properties};
use sqs_client::{OutgoingMessage, limits};

use crate::error::Error;
use crate::pointer::is_reserved;
use crate::segment::{self, is_body};
use crate::send::strategy::Strategy;

/// The default size up to which a message travels inline, in bytes, as in AWS's libraries.
pub(crate) const DEFAULT_THRESHOLD: usize = 262_144;

/// The minimum segment size. It leaves room for any header and some bytes of the payload.
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
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// A setting is out of its range, or requires a payload store and there is none.
    pub(crate) fn validate(&self, has_store: bool) -> Result<(), Error> {
        let most = limits::MAX_MESSAGE_BYTES;
        if self.threshold > most {
            return Err(Error::invalid(format!(
                "the threshold is out of range; use 0 to {most} bytes"
            )));
        }
        if !(MIN_SEGMENT_SIZE..=most).contains(&self.segment_size) {
            return Err(Error::invalid(format!(
                "the segment size is out of range; use {MIN_SEGMENT_SIZE} to {most} bytes"
            )));
        }
        if (self.strategy == Strategy::Offload || self.always_offload) && !has_store {
            return Err(Error::invalid(
                "the strategy requires a payload store; set `offload_to` or `payload_store`",
            ));
        }
        Ok(())
    }

    pub(crate) fn may_split(&self) -> bool {
        matches!(self.strategy, Strategy::Split | Strategy::Auto) && !self.always_offload
    }

    pub(crate) fn may_offload(&self) -> bool {
        matches!(self.strategy, Strategy::Offload | Strategy::Auto) || self.always_offload
    }

    /// Returns the maximum length of an inline body in bytes, beside the message's attributes and within `limit`.
    pub(crate) fn room(&self, message: &OutgoingMessage, limit: usize) -> usize {
        self.threshold.min(limit).saturating_sub(attribute_bytes(message))
    }

    /// Returns the maximum size of a message to a queue whose limit is unknown. Older servers accept no more than the
    /// default threshold.
    pub(crate) fn assumed_limit(&self) -> usize {
        self.threshold.max(DEFAULT_THRESHOLD)
    }

    /// Checks a message before its payload's strategy is decided.
    ///
    /// # Errors
    ///
    /// The queue is given by its ARN, an attribute has a reserved name, SQS would refuse a property, or a message to a FIFO
    /// queue has no group.
    pub(crate) fn check(&self, message: &OutgoingMessage, queue_url: &str) -> Result<(), Error> {
        // This applies to inline messages too, because their receiver would mistake them for a pointer or a segment.
        let is_ours = |name: &&String| is_reserved(name) || segment::ATTRIBUTES.contains(&name.as_str());
        if let Some(name) = message.message_attributes.keys().find(is_ours) {
            return Err(Error::invalid(format!(
                "the message attribute {name} is reserved for pointers and segments; rename it"
            )));
        }
        // Before any upload, and before the first of several segments.
        let checked = no_arn(queue_url)
            .and_then(|()| validate_properties(message, is_fifo(queue_url)))
            .and_then(|()| validate_attributes(message));
        checked.map_err(|error| Error::invalid(error.to_string()))
    }
}

/// Converts a payload into a message body.
///
/// # Errors
///
/// Returns the payload if SQS would refuse it as a body: it is empty, or not text of the allowed characters.
pub(crate) fn into_body(payload: Bytes) -> Result<String, Bytes> {
    if !is_body(&payload) {
        return Err(payload);
    }
    String::from_utf8(payload.into()).map_err(|error| error.into_bytes().into())
}

/// Checks that an attribute is left for a pointer or for a segment's header.
///
/// # Errors
///
/// The message has as many attributes as SQS allows.
pub(super) fn require_free_attribute(message: &OutgoingMessage) -> Result<(), Error> {
    let (count, max) = (message.message_attributes.len(), limits::MAX_MESSAGE_ATTRIBUTES - 1);
    if count > max {
        return Err(Error::invalid(format!(
            "the message has {count} message attributes; a message that is offloaded or split allows up to {max}, because one \
             is reserved"
        )));
    }
    Ok(())
}

/// Returns the bytes of the message's attributes.
fn attribute_bytes(message: &OutgoingMessage) -> usize {
    message.size().saturating_sub(message.body.len())
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
    fn invalid_properties_are_refused_before_an_upload() {
        let policy = policy(DEFAULT_THRESHOLD);
        assert!(policy.check(&with_attributes(10), STANDARD).is_ok());
        let error = policy.check(&with_attributes(11), STANDARD).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(require_free_attribute(&with_attributes(9)).is_ok());
        let error = require_free_attribute(&with_attributes(10)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let arn = "arn:aws:sqs:eu-west-1:123456789012:orders";
        let error = policy.check(&OutgoingMessage::new("x"), arn).unwrap_err();
        assert!(error.to_string().contains("is an ARN"), "{error}");
        let message = OutgoingMessage::new("x").message_attribute("a", "\u{1}");
        let error = policy.check(&message, STANDARD).unwrap_err();
        assert!(error.to_string().contains("U+0001"), "{error}");
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
    fn only_text_that_sqs_accepts_is_a_body() {
        for body in ["a", "\t\n\r", "é\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}", "\u{7f}"] {
            assert_eq!(into_body(body.into()).as_deref(), Ok(body));
        }
        for body in ["", "\0", "a\u{b}", "\u{1f}", "a\u{FFFE}", "\u{FFFF}a"] {
            assert!(into_body(body.into()).is_err(), "{body:?}");
        }
        assert!(into_body(Bytes::from_static(&[0xff, 0xfe])).is_err());
    }
}
