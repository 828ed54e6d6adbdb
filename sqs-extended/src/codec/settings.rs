//! The settings of compression and encryption.

#[cfg(feature = "encryption")]
use std::sync::Arc;

#[cfg(feature = "encryption")]
use crate::codec::keys::KeyProvider;
#[cfg(feature = "zstd")]
use crate::codec::zstd::Compression;

/// The compression and encryption of payloads before they are stored or split. Default: neither.
///
/// These settings apply to payloads that are sent. A received payload names its own encoding. The feature `zstd` alone
/// enables reading compressed payloads. Reading encrypted payloads also requires keys, set by `encryption`. A request for a
/// payload that the program cannot read fails with
/// [`ErrorKind::UnsupportedEncoding`](crate::ErrorKind::UnsupportedEncoding) before it fetches anything. AWS's libraries and
/// other peers can read neither.
///
/// Payloads are compressed first. The stored length reveals how well a secret text compresses, as with any compression
/// before encryption. Do not combine compression and encryption if an untrusted party can add text to a secret payload.
///
#[cfg_attr(all(feature = "encryption", feature = "zstd"), doc = "```")]
#[cfg_attr(not(all(feature = "encryption", feature = "zstd")), doc = "```ignore")]
/// use sqs_extended::codec::{Codec, Compression, SecretKey, StaticKeys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let keys = StaticKeys::new("2026-11", SecretKey::generate()?);
/// let codec = Codec::new().compression(Compression::zstd(3)).encryption(keys);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Codec {
    #[cfg(feature = "zstd")]
    pub(super) compression: Option<Compression>,
    #[cfg(feature = "encryption")]
    pub(super) keys: Option<Arc<dyn KeyProvider>>,
}

impl Codec {
    /// Creates a codec that stores payloads as they are.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses payloads. Default: no compression.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Encrypts payloads with AES-256-GCM, each with a key of its own from `keys`. Decrypts payloads whose keys `keys`
    /// can unwrap. Default: no encryption.
    ///
    /// Payloads are sealed in chunks of 64 KiB. Each chunk authenticates its position, whether it is the last one, and
    /// the payload's encoding. If a chunk was changed, moved, repeated or cut off, the payload ends with an error.
    ///
    /// Encryption does not prove that a payload belongs to its message. Whoever can write to the queue can still send an
    /// old message again.
    #[cfg(feature = "encryption")]
    #[must_use]
    pub fn encryption(mut self, keys: impl KeyProvider) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// Returns `true` if payloads are stored as they are.
    pub(crate) fn is_plain(&self) -> bool {
        #[cfg(feature = "zstd")]
        if self.compression.is_some() {
            return false;
        }
        !self.encrypts()
    }

    /// Returns `true` if payloads are encrypted.
    #[cfg_attr(
        not(feature = "encryption"),
        allow(clippy::unused_self, reason = "there are no keys without the feature")
    )]
    pub(crate) fn encrypts(&self) -> bool {
        #[cfg(feature = "encryption")]
        return self.keys.is_some();
        #[cfg(not(feature = "encryption"))]
        false
    }
}
