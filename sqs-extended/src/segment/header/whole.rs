//! The part of a header that all segments of a payload share.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::Encoding;
use crate::payload::digest::{Digest, DigestAlgorithm, Hasher};

/// The maximum number of segments of a payload on a standard queue. At 256 KiB each they are 256 MiB, which a receiver
/// has to buffer.
pub(crate) const MAX_SEGMENTS: u32 = 1_024;

/// Describes the whole payload, the same in each of its segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    /// The payload's id: 1 to 64 ASCII letters, digits, hyphens and underscores.
    pub(crate) id: String,
    /// The number of segments.
    pub(crate) count: u32,
    /// The number of stored bytes, which the segments contain together: after compression and encryption.
    pub(crate) total: u64,
    /// The digest of the segments' checksums: see [`Whole::digest_of`].
    pub(crate) digest: Digest,
    /// The payload's own length, if its encoding changes the length.
    #[serde(rename = "originalLength", default, skip_serializing_if = "Option::is_none")]
    pub(crate) original_length: Option<u64>,
    /// The compression and encryption of the stored bytes.
    #[serde(default, skip_serializing_if = "Encoding::is_plain")]
    pub(crate) encoding: Encoding,
}

impl Whole {
    /// Computes the digest of the segments' checksums, as text and in the segments' order. Hashing the checksums
    /// instead of the payload means that each byte is hashed only once.
    pub(crate) fn digest_of<'a>(algorithm: DigestAlgorithm, checksums: impl IntoIterator<Item = &'a Digest>) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        for checksum in checksums {
            hasher.update(checksum.to_string().as_bytes());
        }
        hasher.finish()
    }
}

/// Writes compact JSON.
impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
