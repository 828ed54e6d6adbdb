//! Splits a payload into the messages that carry it.

use std::iter::{Enumerate, Zip};
use std::ops::Range;
use std::vec;

use bytes::Bytes;
use sqs_client::{OutgoingMessage, limits};

use crate::codec::Encoding;
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{Digest, DigestAlgorithm};
use crate::segment::header::{HEADER_ATTRIBUTE, Header, Whole};
use crate::segment::layout::{Layout, fit, is_body};

/// A payload to split, with the properties of its messages.
#[derive(Debug)]
pub(crate) struct Split {
    /// The bytes to send, after compression and encryption.
    pub(crate) stored: Bytes,
    /// The algorithm of the segments' checksums.
    pub(crate) digest: DigestAlgorithm,
    /// The encoding of the stored bytes and the payload's own length. `None` if the bytes are the payload.
    pub(crate) encoding: Option<(Encoding, u64)>,
    /// The payload's id. It is unique, or derived from the deduplication id by [`payload_id`].
    pub(crate) id: String,
    /// The caller's message, without attributes of reserved names and with one attribute to spare. Its attributes go to the
    /// first segment, its group and its delay to all. The segments' deduplication ids derive from its own. Its body is
    /// ignored.
    pub(crate) message: OutgoingMessage,
    /// The maximum size of a message in bytes, as SQS counts them.
    pub(crate) limit: usize,
    /// The maximum number of messages.
    pub(crate) max_segments: u32,
}

/// Derives the id of a payload from its deduplication id: 64 hexadecimal digits.
pub(crate) fn payload_id(deduplication_id: &str) -> String {
    blake3::hash(deduplication_id.as_bytes()).to_hex().to_string()
}

/// Returns the prefix of the segments' deduplication ids, which no deduplication id of a caller equals.
///
/// It derives from everything that the segments' headers share: the payload's id, length, digest and number of
/// segments. So SQS drops every segment of a payload that is sent again unchanged, and no segment of a payload that
/// differs. Otherwise it would drop some segments of the second payload, which could never be complete. A single
/// segment does not have this problem, so the payload's id suffices.
fn deduplication_prefix(whole: &Whole) -> String {
    match whole.count {
        1 => whole.id.clone(),
        _ => payload_id(&whole.to_string()),
    }
}

impl Split {
    /// Returns the messages, each within the limit. The iterator builds a message when it is polled for it, so only
    /// messages in flight use memory.
    ///
    /// # Errors
    ///
    /// The payload requires more segments than the maximum, or the caller's attributes leave no room in the first segment.
    pub(crate) async fn into_segments(self) -> Result<Segments, Error> {
        let is_text = self.encoding.is_none() && is_body(&self.stored);
        let (encoding, original_length) = self.encoding.unzip();
        // A placeholder: all digests of an algorithm have the same length.
        let digest = Digest::compute(self.digest, b"");
        let mut header = Header {
            // The longest header possible, because the plan must leave room for any.
            index: self.max_segments,
            offset: bytes_u64(&self.stored),
            checksum: digest.clone(),
            layout: if is_text { Layout::Text } else { Layout::Base64 },
            whole: Whole {
                id: self.id,
                count: self.max_segments,
                total: bytes_u64(&self.stored),
                digest,
                original_length,
                encoding: encoding.unwrap_or_default(),
            },
        };
        let cuts = Plan {
            stored: &self.stored,
            first: room(self.limit, &header, Some(&self.message)),
            later: room(self.limit, &header, None),
            attribute_is_free: self.message.message_attributes.len() + 2 <= limits::MAX_MESSAGE_ATTRIBUTES,
            is_text,
            max_segments: self.max_segments,
        }
        .cuts()?;
        let checksums = checksums(&self.stored, &cuts, self.digest).await;
        header.whole.count = u32::try_from(cuts.len()).unwrap_or(u32::MAX);
        header.whole.digest = Whole::digest_of(self.digest, &checksums);
        let is_deduplicated = self.message.message_deduplication_id.is_some();
        Ok(Segments {
            stored: self.stored,
            deduplication_prefix: is_deduplicated.then(|| deduplication_prefix(&header.whole)),
            header,
            message: self.message,
            cuts: cuts.into_iter().zip(checksums).enumerate(),
        })
    }
}

fn bytes_u64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Returns the quota that remains for a segment's bytes, after its header and the caller's attributes.
fn room(limit: usize, header: &Header, message: Option<&OutgoingMessage>) -> usize {
    let attributes = message.map_or(0, |message| message.size() - message.body.len());
    let header = OutgoingMessage::new("").message_attribute(HEADER_ATTRIBUTE, header.to_string());
    limit.saturating_sub(header.size()).saturating_sub(attributes)
}

/// Decides where to cut.
struct Plan<'a> {
    stored: &'a [u8],
    /// The quota for the bytes of the first segment.
    first: usize,
    /// The quota for the bytes of each later segment.
    later: usize,
    /// `true` if the first segment has an attribute to spare for its bytes.
    attribute_is_free: bool,
    is_text: bool,
    max_segments: u32,
}

type Cut = (Range<usize>, Layout);

impl Plan<'_> {
    fn cuts(&self) -> Result<Vec<Cut>, Error> {
        let mut cuts = Vec::new();
        let mut start = 0;
        while cuts.is_empty() || start < self.stored.len() {
            if cuts.len() >= usize::try_from(self.max_segments).unwrap_or(usize::MAX) {
                return Err(self.too_large());
            }
            let rest = self.stored.get(start..).unwrap_or_default();
            let (len, layout) = self.cut(rest, cuts.is_empty());
            if len == 0 && !rest.is_empty() {
                return Err(no_room(cuts.is_empty()));
            }
            cuts.push((start..start + len, layout));
            start += len;
        }
        Ok(cuts)
    }

    /// Returns the number of these bytes in the next segment, and their layout.
    fn cut(&self, rest: &[u8], is_first: bool) -> (usize, Layout) {
        let room = if is_first { self.first } else { self.later };
        if self.is_text {
            (whole_characters(rest, room), Layout::Text)
        } else {
            fit(room, rest.len(), !is_first || self.attribute_is_free)
        }
    }

    fn too_large(&self) -> Error {
        let message = format!(
            "the payload of {} bytes does not fit into {} segments of {} bytes; configure a payload store or larger segments",
            self.stored.len(),
            self.max_segments,
            self.later
        );
        Error::plain(ErrorKind::TooLarge, message)
    }
}

fn no_room(is_first: bool) -> Error {
    Error::invalid(if is_first {
        "the message attributes leave no room for the payload in the first segment; shorten them"
    } else {
        "the message size limit leaves no room beside a segment's header; raise it"
    })
}

/// Returns the length of the longest prefix of this UTF-8 that has at most `room` bytes and splits no character.
fn whole_characters(text: &[u8], room: usize) -> usize {
    let is_boundary = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    let max = room.min(text.len());
    (0..=max).rev().find(is_boundary).unwrap_or(0)
}

/// Computes the checksums of the segments. Hashing on other threads was not faster. Yields to the runtime after each
/// segment, because a payload can have many.
async fn checksums(stored: &[u8], cuts: &[Cut], algorithm: DigestAlgorithm) -> Vec<Digest> {
    let mut checksums = Vec::with_capacity(cuts.len());
    for (range, _) in cuts {
        checksums.push(Digest::compute(
            algorithm,
            stored.get(range.clone()).unwrap_or_default(),
        ));
        tokio::task::yield_now().await;
    }
    checksums
}

/// An iterator over a payload's messages, in order.
#[derive(Debug)]
pub(crate) struct Segments {
    stored: Bytes,
    /// The header of the next message, once its index, offset, layout and checksum are set.
    header: Header,
    deduplication_prefix: Option<String>,
    message: OutgoingMessage,
    cuts: Enumerate<Zip<vec::IntoIter<Cut>, vec::IntoIter<Digest>>>,
}

impl Iterator for Segments {
    type Item = OutgoingMessage;

    fn next(&mut self) -> Option<OutgoingMessage> {
        let (index, ((range, layout), checksum)) = self.cuts.next()?;
        self.header.index = u32::try_from(index).unwrap_or(u32::MAX);
        self.header.offset = u64::try_from(range.start).unwrap_or(u64::MAX);
        self.header.layout = layout;
        self.header.checksum = checksum;

        let mut message = self.header.seal(self.stored.slice(range));
        if index == 0 {
            message.message_attributes.append(&mut self.message.message_attributes);
            message.message_system_attributes = std::mem::take(&mut self.message.message_system_attributes);
        }
        message.delay = self.message.delay;
        message.message_group_id.clone_from(&self.message.message_group_id);
        let prefix = self.deduplication_prefix.as_ref();
        message.message_deduplication_id = prefix.map(|prefix| format!("{prefix}-{index}"));
        Some(message)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.cuts.size_hint()
    }
}

impl ExactSizeIterator for Segments {}

#[cfg(test)]
mod tests;
