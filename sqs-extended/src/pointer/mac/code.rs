//! The text of an authentication code in a pointer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The maximum length of a key's id, which is part of every pointer.
const MAX_KEY_ID_BYTES: usize = 32;

/// An authentication code: `<key id>:<64 hexadecimal digits>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mac {
    pub(super) key_id: String,
    pub(super) code: blake3::Hash,
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key_id, self.code)
    }
}

impl FromStr for Mac {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let malformed = "the authentication code is not a key id and 64 hexadecimal digits";
        let (id, hex) = text.split_once(':').ok_or(malformed)?;
        let code = blake3::Hash::from_hex(hex).map_err(|_| malformed)?;
        if !is_key_id(id) {
            return Err("the authentication code's key id is malformed");
        }
        Ok(Self {
            key_id: id.to_owned(),
            code,
        })
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

pub(super) fn is_key_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_KEY_ID_BYTES).contains(&id.len()) && id.bytes().all(is_allowed)
}
