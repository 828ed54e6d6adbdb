//! The header of a segment: one message attribute, whose text is compact JSON.

mod text;
mod whole;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Message, OutgoingMessage};

use crate::payload::digest::Digest;
use crate::segment::invalid::InvalidSegment;
use crate::segment::layout::{BYTES_ATTRIBUTE, Layout};

pub(crate) use whole::{MAX_SEGMENTS, Whole};

/// The attribute that makes a message a segment. Its value is a [`Header`].
pub(crate) const HEADER_ATTRIBUTE: &str = "SQSExtendedSegment";

/// Describes one segment of a payload. `Display` writes the attribute's text, and `FromStr` reads it strictly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    #[serde(flatten)]
    pub(crate) whole: Whole,
    /// The position among the payload's segments, from 0.
    pub(crate) index: u32,
    /// The position of the segment's first byte among the stored bytes.
    pub(crate) offset: u64,
    /// The digest of the segment's own bytes.
    pub(crate) checksum: Digest,
    #[serde(rename = "form")]
    pub(crate) layout: Layout,
}

impl Header {
    /// Returns the header of a message with these attributes, or `None` if the message is not a segment.
    ///
    /// # Errors
    ///
    /// The message claims to be a segment, but its header is malformed.
    pub(crate) fn find(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<Option<Self>, InvalidSegment> {
        let Some(value) = attributes.get(HEADER_ATTRIBUTE) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or(InvalidSegment("the message's SQSExtendedSegment attribute is not text"))?;
        text.parse().map(Some)
    }

    /// Returns the message that carries this segment. The bytes must be those of the checksum.
    pub(crate) fn seal(&self, bytes: Bytes) -> OutgoingMessage {
        let mut message = OutgoingMessage::new("").message_attribute(HEADER_ATTRIBUTE, self.to_string());
        self.layout.write(&mut message, bytes);
        message
    }

    /// Takes the segment's bytes and header out of the message. The sender's own attributes stay.
    ///
    /// # Errors
    ///
    /// The bytes do not match the header. The message is unchanged.
    pub(crate) fn take_bytes(&self, message: &mut Message) -> Result<Bytes, InvalidSegment> {
        let bytes = self.layout.read(message)?;
        self.verify(&bytes)?;
        let decoded = match bytes {
            Cow::Owned(bytes) => Some(bytes.into()),
            Cow::Borrowed(_) => None,
        };
        let attributes = &mut message.message_attributes;
        let in_attribute = attributes.remove(BYTES_ATTRIBUTE);
        attributes.remove(HEADER_ATTRIBUTE);
        let body = std::mem::take(&mut message.body);
        let bytes = in_attribute.and_then(|value| value.as_bytes().cloned());
        Ok(match self.layout {
            Layout::Text => body.into(),
            Layout::Binary => bytes.unwrap_or_default(),
            Layout::Base64 => decoded.unwrap_or_default(),
        })
    }

    /// Returns `true` if this segment can have `len` bytes, given its offset and the payload's length.
    pub(super) fn allows_len(&self, len: u64) -> bool {
        let Some(end) = self.offset.checked_add(len) else {
            return false;
        };
        let remaining = self.whole.total.checked_sub(end);
        match u64::from(self.whole.count - self.index) - 1 {
            0 => remaining == Some(0),
            later_segments => len > 0 && remaining.is_some_and(|remaining| remaining >= later_segments),
        }
    }

    /// # Errors
    ///
    /// The bytes do not have the length or the checksum of the header.
    pub(super) fn verify(&self, bytes: &[u8]) -> Result<(), InvalidSegment> {
        if !u64::try_from(bytes.len()).is_ok_and(|len| self.allows_len(len)) {
            return Err(InvalidSegment("the segment's length contradicts its header"));
        }
        if Digest::compute(self.checksum.algorithm(), bytes) != self.checksum {
            return Err(InvalidSegment("the segment's bytes do not match its checksum"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
