//! How a segment's bytes travel in its message; the one place that decides it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Message, OutgoingMessage};

use crate::segment::{BYTES_ATTRIBUTE, InvalidSegment};

/// The body of a message whose bytes are in an attribute: SQS takes no empty one.
const PLACEHOLDER: &str = "-";

/// What a Binary attribute and the placeholder take of the quota, beside the bytes themselves.
const BINARY_OVERHEAD: usize = PLACEHOLDER.len() + BYTES_ATTRIBUTE.len() + "Binary".len();

/// Where in the message a segment's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// They are the body.
    Text,
    /// They are an attribute of type Binary, which SQS counts as they are. Of an empty payload there is none.
    Binary,
    /// The body is their base64: a third more, but it takes no attribute.
    Base64,
}

/// How many bytes of a payload that is not text a message takes in `room` bytes of quota, of `rest` that are left, and in
/// which form they take least of it.
pub(super) fn fit(room: usize, rest: usize, attribute_is_free: bool) -> (usize, Form) {
    if rest == 0 {
        // The base64 of nothing would be an empty body, and this takes no attribute.
        return (0, Form::Binary);
    }
    let in_base64 = rest.min(room / 4 * 3);
    let in_attribute = rest.min(room.saturating_sub(BINARY_OVERHEAD));
    if !attribute_is_free || in_base64 > in_attribute {
        return (in_base64, Form::Base64);
    }
    let is_shorter = in_base64 == in_attribute && base64_len(in_base64) < BINARY_OVERHEAD + in_attribute;
    let form = if is_shorter { Form::Base64 } else { Form::Binary };
    (in_attribute, form)
}

fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
}

impl Form {
    /// Puts the bytes into the message. Those of a text must be UTF-8.
    pub(super) fn write(self, message: &mut OutgoingMessage, bytes: Bytes) {
        match self {
            Self::Text => {
                // The lossy conversion takes a quarter of all that sending takes, and is for what is no text.
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

    /// The bytes that a received message holds in this form: its own, but for base64.
    ///
    /// # Errors
    ///
    /// The message holds none in this form.
    pub(crate) fn read(self, message: &Message) -> Result<Cow<'_, [u8]>, InvalidSegment> {
        match self {
            Self::Text => Ok(message.body.as_bytes().into()),
            Self::Binary => attribute_bytes(&message.message_attributes).map(Cow::Borrowed),
            Self::Base64 => decode(&message.body).map(Cow::Owned),
        }
    }
}

/// # Errors
///
/// The body is not base64.
pub(super) fn decode(body: &str) -> Result<Vec<u8>, InvalidSegment> {
    STANDARD
        .decode(body)
        .map_err(|_| InvalidSegment("the segment's body is not base64"))
}

fn attribute_bytes(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<&[u8], InvalidSegment> {
    let Some(value) = attributes.get(BYTES_ATTRIBUTE) else {
        return Ok(&[]);
    };
    let bytes = value.as_bytes();
    bytes
        .map(|bytes| &**bytes)
        .ok_or(InvalidSegment("the segment's bytes are not binary"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_attribute_is_best_but_for_a_few_bytes() {
        assert_eq!(fit(1000, 5000, true), (1000 - BINARY_OVERHEAD, Form::Binary));
        assert_eq!(fit(1000, 5000, false), (750, Form::Base64));
        assert_eq!(fit(1000, 3, true), (3, Form::Base64));
        assert_eq!(fit(1000, 0, true), (0, Form::Binary));
        assert_eq!(fit(1000, 0, false), (0, Form::Binary), "which takes no attribute");
        assert_eq!(fit(0, 5, true).0, 0);
    }

    proptest! {
        #[test]
        fn no_other_form_takes_more_bytes_or_less_quota(room in 0..400_usize, rest in 1..400_usize, free in any::<bool>()) {
            let (len, form) = fit(room, rest, free);
            let quota = |form, len| if form == Form::Base64 { base64_len(len) } else { BINARY_OVERHEAD + len };
            prop_assert!(len == 0 || quota(form, len) <= room);
            prop_assert!(free || form == Form::Base64);
            for other in [Form::Binary, Form::Base64] {
                if other == Form::Base64 || free {
                    prop_assert!(len == rest || quota(other, len + 1) > room, "{other:?} takes more");
                    prop_assert!(len == 0 || quota(form, len) <= quota(other, len), "{other:?} is shorter");
                }
            }
        }
    }
}
