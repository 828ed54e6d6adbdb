//! Cuts a payload into the messages that carry it.

use std::iter::{Enumerate, Zip};
use std::ops::Range;
use std::vec;

use bytes::Bytes;
use sqs_client::{OutgoingMessage, limits};

use crate::codec::Encoding;
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{Digest, DigestAlgorithm};
use crate::segment::layout::fit;
use crate::segment::{BYTES_ATTRIBUTE, Form, HEADER_ATTRIBUTE, Header, Whole};
use crate::send::policy;

/// A payload to cut, and what its messages are to be like.
#[derive(Debug)]
pub(crate) struct Split {
    /// The payload as it is to be stored: compressed and encrypted if it is to be.
    pub(crate) stored: Bytes,
    /// What the segments are given digests by.
    pub(crate) digest: DigestAlgorithm,
    /// How the stored bytes differ from the payload, and of how many bytes that is; `None` if they do not.
    pub(crate) encoding: Option<(Encoding, u64)>,
    /// Tells the payload from all others, and of a deduplicated one is the same whenever it is sent: see [`payload_id`].
    pub(crate) id: String,
    /// What the caller wants of the message. Its attributes are the first segment's; its group and its delay all have, and
    /// their deduplication ids derive from its. Its body is not looked at.
    pub(crate) message: OutgoingMessage,
    /// Most bytes of a message, as SQS counts them.
    pub(crate) limit: usize,
    /// Most messages.
    pub(crate) max_segments: u32,
}

/// The id of a payload that is deduplicated by `base`: of any text an id of 64 plain characters.
pub(crate) fn payload_id(base: &str) -> String {
    blake3::hash(base.as_bytes()).to_hex().to_string()
}

/// The beginning of the deduplication ids of a payload's segments. No id of the caller's can be mistaken for one of them.
///
/// It derives from the payload's id, and from the bytes and the cuts. So SQS swallows all of a payload that is sent again as
/// it was, and lets through all of one that differs, where segments of the two would otherwise swallow one another. A
/// single segment needs no such care: it is deduplicated by the payload's id alone.
fn deduplication_prefix(whole: &Whole) -> String {
    match whole.count {
        1 => whole.id.clone(),
        _ => payload_id(&whole.to_string()),
    }
}

impl Split {
    /// The messages, each within the limit: made when they are asked for, so that only those under way take memory.
    ///
    /// # Errors
    ///
    /// The payload needs more segments than it may have, or the first has no room beside the caller's attributes.
    pub(crate) async fn into_segments(self) -> Result<Segments, Error> {
        check_attributes(&self.message)?;
        let is_text = self.encoding.is_none() && policy::is_body(&self.stored);
        let (encoding, original_length) = self.encoding.unzip();
        // As wide as any.
        let digest = Digest::compute(self.digest, b"");
        let mut header = Header {
            // The widest numbers that there can be, while it is planned what is beside the header.
            index: self.max_segments,
            offset: bytes_u64(&self.stored),
            checksum: digest.clone(),
            form: if is_text { Form::Text } else { Form::Base64 },
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

/// # Errors
///
/// The caller's attributes leave none for the header, or have the name of one of ours.
fn check_attributes(message: &OutgoingMessage) -> Result<(), Error> {
    let attributes = &message.message_attributes;
    let reserved = [HEADER_ATTRIBUTE, BYTES_ATTRIBUTE];
    if let Some(name) = reserved.into_iter().find(|name| attributes.contains_key(*name)) {
        return Err(Error::invalid(format!(
            "the message attribute {name} is reserved for segments"
        )));
    }
    let most = limits::MAX_MESSAGE_ATTRIBUTES - 1;
    if attributes.len() > most {
        return Err(Error::invalid(format!(
            "{} message attributes; a message in segments takes at most {most}, as its header takes one",
            attributes.len()
        )));
    }
    Ok(())
}

fn bytes_u64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// What the limit leaves for a segment's bytes beside its header and the caller's attributes.
fn room(limit: usize, header: &Header, message: Option<&OutgoingMessage>) -> usize {
    let attributes = message.map_or(0, |message| message.size() - message.body.len());
    let header = OutgoingMessage::new("").message_attribute(HEADER_ATTRIBUTE, header.to_string());
    limit.saturating_sub(header.size()).saturating_sub(attributes)
}

/// Where to cut.
struct Plan<'a> {
    stored: &'a [u8],
    /// Bytes of quota for what the first segment holds.
    first: usize,
    /// And for what each later one does.
    later: usize,
    /// Whether the first segment can take a Binary attribute.
    attribute_is_free: bool,
    is_text: bool,
    max_segments: u32,
}

type Cut = (Range<usize>, Form);

impl Plan<'_> {
    fn cuts(&self) -> Result<Vec<Cut>, Error> {
        let mut cuts = Vec::new();
        let mut start = 0;
        while cuts.is_empty() || start < self.stored.len() {
            if cuts.len() >= usize::try_from(self.max_segments).unwrap_or(usize::MAX) {
                return Err(self.too_large());
            }
            let rest = self.stored.get(start..).unwrap_or_default();
            let (len, form) = self.cut(rest, cuts.is_empty());
            if len == 0 && !rest.is_empty() {
                return Err(no_room(cuts.is_empty()));
            }
            cuts.push((start..start + len, form));
            start += len;
        }
        Ok(cuts)
    }

    /// How many of these bytes the next segment holds.
    fn cut(&self, rest: &[u8], is_first: bool) -> (usize, Form) {
        let room = if is_first { self.first } else { self.later };
        if self.is_text {
            (whole_characters(rest, room), Form::Text)
        } else {
            fit(room, rest.len(), !is_first || self.attribute_is_free)
        }
    }

    fn too_large(&self) -> Error {
        let message = format!(
            "the payload of {} bytes needs more than {} segments of {} bytes",
            self.stored.len(),
            self.max_segments,
            self.later
        );
        Error::plain(ErrorKind::TooLarge, message)
    }
}

fn no_room(is_first: bool) -> Error {
    Error::invalid(if is_first {
        "the message attributes leave no room for the payload in its first segment"
    } else {
        "the limit of a message leaves no room beside a segment's header"
    })
}

/// The length of the characters of this UTF-8 that fit into `room` bytes.
fn whole_characters(text: &[u8], room: usize) -> usize {
    let is_boundary = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    let most = room.min(text.len());
    (0..=most).rev().find(is_boundary).unwrap_or(0)
}

/// The checksums of what is cut. Hashing on other threads gained nothing; of many segments, the runtime gets a chance
/// between two.
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

/// A payload's messages, in order.
#[derive(Debug)]
pub(crate) struct Segments {
    stored: Bytes,
    /// The header of all of them, but for what differs.
    header: Header,
    deduplication_prefix: Option<String>,
    message: OutgoingMessage,
    cuts: Enumerate<Zip<vec::IntoIter<Cut>, vec::IntoIter<Digest>>>,
}

impl Iterator for Segments {
    type Item = OutgoingMessage;

    fn next(&mut self) -> Option<OutgoingMessage> {
        let (index, ((range, form), checksum)) = self.cuts.next()?;
        self.header.index = u32::try_from(index).unwrap_or(u32::MAX);
        self.header.offset = u64::try_from(range.start).unwrap_or(u64::MAX);
        self.header.form = form;
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
