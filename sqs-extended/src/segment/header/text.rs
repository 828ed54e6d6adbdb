//! The text of a header: versioned JSON, written compactly and read strictly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqs_client::limits;

use crate::segment::header::Header;
use crate::segment::header::whole::{MAX_SEGMENTS, Whole};
use crate::segment::invalid::InvalidSegment;
use crate::segment::layout::Layout;

/// The version that this crate writes and reads.
const VERSION: u32 = 1;

/// The maximum length of a header. About 300 bytes are fixed, and the rest is for encryption, mainly the wrapped key.
pub(super) const MAX_BYTES: usize = 8 * 1024;

/// The maximum length of a payload's id.
const MAX_ID_BYTES: usize = 64;

/// An upper bound for the stored bytes of a payload: every segment full.
pub(super) const MAX_TOTAL: u64 = MAX_SEGMENTS as u64 * limits::MAX_MESSAGE_BYTES as u64;

#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    header: &'a Header,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versioned = Versioned {
            version: VERSION,
            header: self,
        };
        f.write_str(&serde_json::to_string(&versioned).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Header {
    type Err = InvalidSegment;

    fn from_str(text: &str) -> Result<Self, InvalidSegment> {
        if text.len() > MAX_BYTES {
            return Err(InvalidSegment("the segment's header is longer than 8 KiB"));
        }
        // serde_json's own error would quote the untrusted sender's text.
        let malformed = |_| InvalidSegment("the segment's header is malformed");
        let Version { version } = serde_json::from_str(text).map_err(malformed)?;
        if version != VERSION {
            return Err(InvalidSegment(
                "the segment's version is unknown; receive it with a newer version of sqs-extended",
            ));
        }
        let header: Self = serde_json::from_str(text).map_err(malformed)?;
        validate(&header)?;
        Ok(header)
    }
}

fn validate(header: &Header) -> Result<(), InvalidSegment> {
    let whole = &header.whole;
    let is_plain = whole.encoding.is_plain();
    let rules = [
        (
            is_payload_id(&whole.id),
            "the payload's id is not 1 to 64 ASCII letters, digits, hyphens and underscores",
        ),
        (
            (1..=MAX_SEGMENTS).contains(&whole.count) && header.index < whole.count,
            "the segment's index or the number of segments is out of range",
        ),
        (
            whole.total <= MAX_TOTAL
                && header.offset >= u64::from(header.index)
                && (header.index > 0 || header.offset == 0),
            "the segment's offset or the payload's length is out of range",
        ),
        (
            is_plain == whole.original_length.is_none(),
            "the segment's header states an original length without an encoding, or an encoding without one",
        ),
        (
            header.layout != Layout::Text || is_plain,
            "the segment's bytes are text although the payload is encoded",
        ),
    ];
    if let Some((_, broken)) = rules.into_iter().find(|(is_met, _)| !is_met) {
        return Err(InvalidSegment(broken));
    }
    if !is_within(header, whole) {
        return Err(InvalidSegment("the segment's offset is beyond the end of the payload"));
    }
    Ok(())
}

fn is_payload_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(is_allowed)
}

/// Returns `true` if the payload has room for this segment and all later ones. Each of several segments has at least one
/// byte. Requires an index below the count.
fn is_within(header: &Header, whole: &Whole) -> bool {
    let remaining = whole.total.checked_sub(header.offset);
    remaining.is_some_and(|bytes| whole.count == 1 || bytes >= u64::from(whole.count - header.index))
}
