//! Compression and encryption of payloads that are stored or split.
//!
//! Encoding and decoding pass the bytes through a few stages as they stream, so memory does not grow with the payload.

#[cfg(feature = "encryption")]
mod aead;
mod decode;
mod encode;
mod encoding;
#[cfg(feature = "encryption")]
mod keys;
mod settings;
mod stage;
#[cfg(feature = "zstd")]
mod zstd;

pub(crate) use decode::{Decoder, Limits};
pub(crate) use encode::{Encoded, Original};
pub use encoding::{Encoding, EncryptionHeader};
#[cfg(feature = "encryption")]
pub use keys::{DataKey, KeyProvider, KeyProviderError, SecretKey, StaticKeys};
pub use settings::Codec;
#[cfg(feature = "zstd")]
pub use zstd::Compression;

#[cfg(test)]
mod tests;
