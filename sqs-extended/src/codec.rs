//! How stored bytes differ from the payload: what pointers and segment headers say of it.

use serde::{Deserialize, Serialize};

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
