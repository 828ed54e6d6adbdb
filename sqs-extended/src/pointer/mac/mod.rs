//! Pointers that only a holder of a key can have written.
//!
//! The code is BLAKE3, keyed with what its key derivation makes of the user's key and [`CONTEXT`], over the fields in
//! the order of [`PointerKey::code`]. A field that is there is a byte 1, its length in 8 bytes (little-endian) and its
//! bytes; one that is not is a byte 0. So no two pointers have the same bytes to authenticate.

use std::fmt;
use std::str::FromStr;

use blake3::Hasher;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::codec::{Encoding, EncryptionHeader};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::Digest;
use crate::pointer::{Envelope, Pointer};

/// Keeps the key that is used here apart from whatever else the user's key is used for.
const CONTEXT: &str = "sqs-extended pointer authentication v1";

/// A key's id travels in every pointer.
const MAX_KEY_ID_BYTES: usize = 32;

/// Keys that authenticate pointers: with them, only pointers that a holder of a key wrote, for this very queue, are
/// fetched or deleted.
///
/// Without them, whoever may send to the queue can name any object under the prefix. A message authentication code
/// (keyed BLAKE3) in the pointer covers all that it says, the payload's size, and the queue's name, so that none of it
/// can be changed, and a pointer cannot be moved to another queue. It does not keep a message from being sent again as
/// it is. AWS's libraries skip the code when reading, but do not write it: with keys, their pointers are refused.
///
/// To rotate a key: first have every reader [accept](Self::accept_key) the new one, then sign with it and accept the
/// old one, and drop that when the messages that it signed are gone.
///
/// ```
/// use sqs_extended::pointer::PointerKeys;
///
/// # fn example(new_key: [u8; 32], old_key: [u8; 32]) -> Result<(), sqs_extended::Error> {
/// let keys = PointerKeys::new("2026-11", &new_key)?
///     .accept_key("2025-11", &old_key)?
///     .accept_queue("orders"); // in the consumer of its dead-letter queue
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PointerKeys {
    signing: PointerKey,
    accepted: Vec<PointerKey>,
    queues: Vec<String>,
}

impl PointerKeys {
    /// Signs with this key of 32 random bytes, and accepts what it signed. The id says in pointers which key it is: 1 to
    /// 32 ASCII letters, digits, `-`, `_` or `.`.
    ///
    /// # Errors
    ///
    /// The id is none.
    pub fn new(id: impl Into<String>, key: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self {
            signing: PointerKey::new(id.into(), key)?,
            accepted: Vec::new(),
            queues: Vec::new(),
        })
    }

    /// Accepts what this key signed, too.
    ///
    /// # Errors
    ///
    /// The id is none, or another key's.
    pub fn accept_key(mut self, id: impl Into<String>, key: &[u8; 32]) -> Result<Self, Error> {
        let key = PointerKey::new(id.into(), key)?;
        if self.find(&key.id).is_some() {
            return Err(Error::invalid("two keys for pointers have the same id"));
        }
        self.accepted.push(key);
        Ok(self)
    }

    /// Accepts pointers that were signed for this queue, whichever queue they are received from: a dead-letter queue
    /// holds its sources' messages. The queue's name, URL or ARN; only the name counts.
    #[must_use]
    pub fn accept_queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queues.push(queue_name(queue.as_ref()).to_owned());
        self
    }

    /// Signs the pointer to a payload of `size` bytes, for a message to this queue: its name, URL or ARN.
    pub fn sign(&self, pointer: &mut Pointer, size: u64, queue: &str) {
        pointer.mac = Some(Mac {
            key_id: self.signing.id.clone(),
            code: self.signing.code(pointer, Some(size), queue_name(queue)),
        });
    }

    /// Whether a holder of a key wrote this, for the queue that it was received from or another that is accepted. The
    /// queue's name, URL or ARN; only the name counts.
    ///
    /// # Errors
    ///
    /// Of kind [`RefusedPointer`](ErrorKind::RefusedPointer): nobody did, or it was changed since.
    pub fn verify(&self, envelope: &Envelope, queue: &str) -> Result<(), Error> {
        let refused = |why| Error::plain(ErrorKind::RefusedPointer, why);
        let Envelope { pointer, size } = envelope;
        let mac = pointer
            .mac
            .as_ref()
            .ok_or_else(|| refused("the pointer is not authenticated, which is required"))?;
        let key = self
            .find(&mac.key_id)
            .ok_or_else(|| refused("the pointer is authenticated by a key that this client does not have"))?;
        // Codes are compared in constant time: blake3's.
        let right = |queue: &str| key.code(pointer, *size, queue) == mac.code;
        if right(queue_name(queue)) || self.queues.iter().any(|queue| right(queue)) {
            Ok(())
        } else {
            Err(refused(
                "the pointer's authentication code is wrong: it was changed, or written for another queue",
            ))
        }
    }

    fn find(&self, id: &str) -> Option<&PointerKey> {
        std::iter::once(&self.signing)
            .chain(&self.accepted)
            .find(|key| key.id == id)
    }
}

impl fmt::Debug for PointerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ids and names, but no key.
        let accepted: Vec<_> = self.accepted.iter().map(|key| &key.id).collect();
        f.debug_struct("PointerKeys")
            .field("signing", &self.signing.id)
            .field("accepted", &accepted)
            .field("queues", &self.queues)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct PointerKey {
    id: String,
    derived: [u8; blake3::KEY_LEN],
}

impl PointerKey {
    fn new(id: String, key: &[u8; 32]) -> Result<Self, Error> {
        if !is_key_id(&id) {
            return Err(Error::invalid(
                "the id of a key for pointers is not 1 to 32 ASCII letters, digits, '-', '_' or '.'",
            ));
        }
        Ok(Self {
            id,
            derived: blake3::derive_key(CONTEXT, key),
        })
    }

    fn code(&self, pointer: &Pointer, size: Option<u64>, queue: &str) -> blake3::Hash {
        // Taken apart, so that a new field is not forgotten here.
        let Pointer {
            bucket,
            key,
            length,
            digest,
            encoding: Encoding {
                compression,
                encryption,
            },
            content_type,
            mac: _,
        } = pointer;
        let mut fields = Fields(Hasher::new_keyed(&self.derived));
        fields.add(Some(queue));
        fields.add(Some(bucket));
        fields.add(Some(key));
        fields.add(size.map(u64::to_le_bytes));
        fields.add(length.map(u64::to_le_bytes));
        fields.add(digest.as_ref().map(Digest::to_string));
        fields.add(content_type.as_ref());
        fields.add(compression.as_ref());
        if let Some(EncryptionHeader {
            scheme,
            key_id,
            wrapped_key,
        }) = encryption
        {
            fields.add(Some(scheme));
            fields.add(Some(key_id));
            fields.add(Some(wrapped_key));
        }
        fields.0.finalize()
    }
}

/// What is authenticated, one field after another.
struct Fields(Hasher);

impl Fields {
    fn add(&mut self, field: Option<impl AsRef<[u8]>>) {
        let Some(field) = field else {
            self.0.update(&[0]);
            return;
        };
        let bytes = field.as_ref();
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(&[1]).update(&len.to_le_bytes()).update(bytes);
    }
}

fn is_key_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=MAX_KEY_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed)
}

/// The queue's name, which is the end of its URL and of its ARN. The rest differs between servers and accounts.
fn queue_name(queue: &str) -> &str {
    let queue = queue.trim_end_matches('/');
    queue.rsplit(['/', ':']).next().unwrap_or(queue)
}

/// The code in a pointer: `<key id>:<64 hex digits>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mac {
    key_id: String,
    code: blake3::Hash,
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key_id, self.code)
    }
}

impl FromStr for Mac {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (id, hex) = text.split_once(':').ok_or("no authentication code")?;
        let code = blake3::Hash::from_hex(hex).map_err(|_| "no authentication code")?;
        if !is_key_id(id) {
            return Err("no key id");
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

#[cfg(test)]
mod tests;
