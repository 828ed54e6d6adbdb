//! The layout of a segment's bytes in its message. No other file decides it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Message, OutgoingMessage};

use crate::segment::invalid::InvalidSegment;

/// The attribute with a segment's bytes, if they are not in the body.
pub(crate) const BYTES_ATTRIBUTE: &str = "SQSExtendedSegmentBytes";

/// The body of a message whose bytes are in an attribute, because SQS refuses an empty body.
const PLACEHOLDER: &str = "-";

/// The quota that a Binary attribute and the placeholder use, in addition to the bytes themselves.
const BINARY_OVERHEAD: usize = PLACEHOLDER.len() + BYTES_ATTRIBUTE.len() + "Binary".len();

/// The location of a segment's bytes in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    /// The bytes are the body.
    Text,
    /// The bytes are an attribute of type Binary, which counts against the quota without encoding. An empty payload has
    /// no such attribute.
    Binary,
    /// The body is the bytes in base64, which is a third longer but uses no attribute.
    Base64,
}

/// Returns how many of `remaining` bytes fit into a message with `room` bytes of quota, and the layout that uses the
/// least quota for them. Applies to a payload that is not text.
pub(super) fn fit(room: usize, remaining: usize, attribute_is_free: bool) -> (usize, Layout) {
    if remaining == 0 {
        // In base64, an empty payload would be an empty body. The binary layout of no bytes uses no attribute.
        return (0, Layout::Binary);
    }
    let in_base64 = remaining.min(room / 4 * 3);
    let in_attribute = remaining.min(room.saturating_sub(BINARY_OVERHEAD));
    if !attribute_is_free || in_base64 > in_attribute {
        return (in_base64, Layout::Base64);
    }
    let is_shorter = in_base64 == in_attribute && base64_len(in_base64) < BINARY_OVERHEAD + in_attribute;
    let layout = if is_shorter { Layout::Base64 } else { Layout::Binary };
    (in_attribute, layout)
}

fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
}

impl Layout {
    /// Writes the bytes into the message. [`Text`](Self::Text) requires UTF-8.
    pub(super) fn write(self, message: &mut OutgoingMessage, bytes: Bytes) {
        match self {
            Self::Text => {
                // A lossy conversion would use a quarter of a send's time, so only invalid text is converted.
                let text = String::from_utf8(bytes.into());
                message.body = text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
            }
            Self::Base64 => message.body = STANDARD.encode(bytes),
            Self::Binary => {
                PLACEHOLDER.clone_into(&mut message.body);
                if !bytes.is_empty() {
                    let value = MessageAttributeValue::binary(bytes);
                    message.message_attributes.insert(BYTES_ATTRIBUTE.to_owned(), value);
                }
            }
        }
    }

    /// Returns the bytes that a received message contains in this layout. Only base64 is copied.
    ///
    /// # Errors
    ///
    /// The message has no bytes in this layout.
    pub(super) fn read(self, message: &Message) -> Result<Cow<'_, [u8]>, InvalidSegment> {
        match self {
            Self::Text => Ok(message.body.as_bytes().into()),
            Self::Binary => attribute_bytes(&message.message_attributes).map(Cow::Borrowed),
            Self::Base64 => decode(&message.body).map(Cow::Owned),
        }
    }
}

fn decode(body: &str) -> Result<Vec<u8>, InvalidSegment> {
    STANDARD
        .decode(body)
        .map_err(|_| InvalidSegment("the segment's body is not valid base64"))
}

fn attribute_bytes(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<&[u8], InvalidSegment> {
    let Some(value) = attributes.get(BYTES_ATTRIBUTE) else {
        return Ok(&[]);
    };
    let bytes = value.as_bytes();
    bytes.map(|bytes| &**bytes).ok_or(InvalidSegment(
        "the segment's SQSExtendedSegmentBytes attribute is not of type Binary",
    ))
}

/// Returns `true` if SQS accepts these bytes as a message body: text of the allowed characters, and not empty.
pub(crate) fn is_body(bytes: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
    // One pass without branches, which the compiler vectorizes.
    let (has_control, bits) = bytes.iter().fold((false, 0), |(has_control, bits), byte| {
        (has_control | is_control(*byte), bits | byte)
    });
    !bytes.is_empty() && !has_control && (bits.is_ascii() || is_text(bytes))
}

/// Returns `true` if this is UTF-8 without U+FFFE and U+FFFF, which SQS refuses.
fn is_text(bytes: &[u8]) -> bool {
    // Both are encoded in three bytes that start with 0xEF.
    let may_be_refused = || bytes.contains(&0xEF);
    std::str::from_utf8(bytes).is_ok_and(|text| !may_be_refused() || !text.contains(['\u{FFFE}', '\u{FFFF}']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_attribute_uses_least_quota_except_for_a_few_bytes() {
        assert_eq!(fit(1000, 5000, true), (1000 - BINARY_OVERHEAD, Layout::Binary));
        assert_eq!(fit(1000, 5000, false), (750, Layout::Base64));
        assert_eq!(fit(1000, 3, true), (3, Layout::Base64));
        assert_eq!(fit(1000, 0, true), (0, Layout::Binary));
        assert_eq!(fit(1000, 0, false), (0, Layout::Binary), "uses no attribute");
        assert_eq!(fit(0, 5, true).0, 0);
    }

    proptest! {
        #[test]
        fn no_other_layout_fits_more_bytes_or_uses_less_quota(
            room in 0..400_usize,
            remaining in 1..400_usize,
            free in any::<bool>(),
        ) {
            let (len, layout) = fit(room, remaining, free);
            let quota = |layout, len| match layout {
                Layout::Base64 => base64_len(len),
                _ => BINARY_OVERHEAD + len,
            };
            prop_assert!(len == 0 || quota(layout, len) <= room);
            prop_assert!(free || layout == Layout::Base64);
            for other in [Layout::Binary, Layout::Base64] {
                if other == Layout::Base64 || free {
                    prop_assert!(len == remaining || quota(other, len + 1) > room, "{other:?} fits more");
                    prop_assert!(len == 0 || quota(layout, len) <= quota(other, len), "{other:?} is shorter");
                }
            }
        }
    }
}
