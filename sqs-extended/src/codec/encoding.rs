//! The encoding of a payload, as messages carry it.

use serde::{Deserialize, Serialize};

/// The difference between the stored bytes and the payload. Default: none.
///
/// Pointers and the headers of segments carry it.
///
/// ```
/// use sqs_extended::codec::Encoding;
///
/// assert!(Encoding::default().is_plain());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Encoding {
    /// The compression's name, such as `zstd`. A payload is compressed first and encrypted afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// The encryption, if the payload is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionHeader>,
}

impl Encoding {
    /// Returns `true` if the stored bytes are the payload's own.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// The data that a reader needs to decrypt a payload, besides the wrapping key.
///
/// It is a part of an [`Encoding`].
///
/// ```
/// use sqs_extended::codec::Encoding;
///
/// fn key_id(encoding: &Encoding) -> Option<&str> {
///     Some(&encoding.encryption.as_ref()?.key_id)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EncryptionHeader {
    /// The name of the encryption scheme.
    pub scheme: String,
    /// The id of the provider's key that wrapped the payload's own key.
    #[serde(rename = "keyId")]
    pub key_id: String,
    /// The payload's own key, wrapped by the provider, in base64.
    #[serde(rename = "wrappedKey")]
    pub wrapped_key: String,
}
