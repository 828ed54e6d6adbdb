//! Compression and encryption: how stored bytes come to differ from the payload, and how they are turned back.
//!
//! Either way is a few stages one after the other, each fed as the bytes pass, so that memory does not grow with the payload.

#[cfg(feature = "encryption")]
mod aead;
mod decode;
mod encode;
#[cfg(feature = "encryption")]
mod keys;
#[cfg(feature = "zstd")]
mod zstd;

use serde::{Deserialize, Serialize};

pub(crate) use decode::Limits;
pub(crate) use encode::{Encoded, Original};
#[cfg(feature = "encryption")]
pub use keys::{DataKey, KeyProvider, KeyProviderError, SecretKey, StaticKeys};
#[cfg(feature = "zstd")]
pub use zstd::Compression;

/// Whether payloads are compressed and encrypted before they are stored. As it is made, they are neither.
///
/// It says how payloads are written. What is read says itself how it was written: compressed payloads are read
/// whenever the feature `zstd` is on, encrypted ones if `encryption` is set. A program that cannot
/// read a payload says so ([`ErrorKind::UnsupportedEncoding`](crate::ErrorKind::UnsupportedEncoding)) before it fetches
/// anything. AWS's libraries and other peers read neither.
///
/// Payloads are compressed first. How well secret text compresses shows in the stored length, as it does with any
/// compression before encryption: do not use both where a stranger can put text of his own beside a secret.
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
    compression: Option<Compression>,
    #[cfg(feature = "encryption")]
    keys: Option<std::sync::Arc<dyn KeyProvider>>,
}

impl Codec {
    /// Payloads are stored as they are.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses payloads.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Encrypts payloads by AES-256-GCM, each with a key of its own, which `keys` gives; and decrypts what is encrypted
    /// with keys that it knows.
    ///
    /// Payloads are sealed in chunks of 64 KiB, each of which is authenticated with its place, with whether it is the
    /// last, and with how the payload is encoded: what is changed, moved, repeated or cut off anywhere ends the
    /// payload with an error. That a payload belongs to its message is not for encryption to say: whoever can write
    /// to the queue can still send an old message again.
    #[cfg(feature = "encryption")]
    #[must_use]
    pub fn encryption(mut self, keys: impl KeyProvider) -> Self {
        self.keys = Some(std::sync::Arc::new(keys));
        self
    }
}

/// How the stored bytes differ from the payload; travels in pointers and in the headers of segments. Default: not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Encoding {
    /// The compression's name, such as `zstd`; compressed first, then encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// How it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionHeader>,
}

impl Encoding {
    /// Whether the stored bytes are the payload's.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// What a reader needs, besides the key that wraps it, to decrypt a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EncryptionHeader {
    /// The scheme's name.
    pub scheme: String,
    /// Which key of the provider wrapped the payload's own.
    #[serde(rename = "keyId")]
    pub key_id: String,
    /// The payload's own key, wrapped by the provider, in base64.
    #[serde(rename = "wrappedKey")]
    pub wrapped_key: String,
}

#[cfg(test)]
mod tests;
