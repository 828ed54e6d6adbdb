//! The authentication of pointers.
//!
//! The code is a keyed [BLAKE3](https://github.com/BLAKE3-team/BLAKE3-specs/blob/master/blake3.pdf) hash of the fields
//! in the order of [`PointerKey::code`]. Its key derives from the user's key and [`CONTEXT`].
//!
//! A present field is hashed as a byte 1, its length in 8 bytes (little-endian) and its bytes. An absent field is
//! hashed as a byte 0. So two different pointers never hash the same bytes.

pub(super) mod code;

use std::fmt;

use blake3::Hasher;
use sqs_client::internal::queue_name;

use crate::codec::{Encoding, EncryptionHeader};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::Digest;
use crate::pointer::envelope::Envelope;
use crate::pointer::format::Pointer;
use crate::pointer::mac::code::{Mac, is_key_id};

/// Separates the derived key from keys that the user derives for other purposes.
const CONTEXT: &str = "sqs-extended pointer authentication v1";

/// Keys that authenticate pointers. A client with keys fetches or deletes a payload only if one of the keys signed its
/// pointer, for the queue that delivered it.
///
/// Without keys, every sender to the queue can name any object under the prefix.
///
/// A message authentication code (keyed [BLAKE3](https://github.com/BLAKE3-team/BLAKE3)) covers the whole pointer, the
/// payload's size and the queue's name. So nobody can change a pointer or move it to another queue. The code does not
/// prevent a replay: a copy of the message is as valid as the original.
///
/// AWS's libraries ignore the code when they read a pointer, and do not write it. A client with keys refuses their
/// pointers.
///
/// # Rotating a key
///
/// 1. Let every reader [accept](Self::accept_key) the new key.
/// 2. Sign with the new key, and accept the old one.
/// 3. Remove the old key once all messages that it signed are gone.
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
    /// Signs pointers with this key, and accepts pointers that it signed.
    ///
    /// The key is 32 random bytes. Pointers contain its id: 1 to 32 ASCII letters, digits, `-`, `_` or `.`.
    ///
    /// # Errors
    ///
    /// Returns an error of kind [`InvalidInput`](ErrorKind::InvalidInput) if the id is malformed.
    pub fn new(id: impl Into<String>, key: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self {
            signing: PointerKey::new(id.into(), key)?,
            accepted: Vec::new(),
            queues: Vec::new(),
        })
    }

    /// Adds a key whose pointers are accepted. Default: only the signing key.
    ///
    /// # Errors
    ///
    /// Returns an error of kind [`InvalidInput`](ErrorKind::InvalidInput) if the id is malformed or in use by another
    /// key.
    pub fn accept_key(mut self, id: impl Into<String>, key: &[u8; 32]) -> Result<Self, Error> {
        let key = PointerKey::new(id.into(), key)?;
        if self.find(&key.id).is_some() {
            return Err(Error::invalid(format!(
                "two pointer keys have the id {}; give each key its own id",
                key.id
            )));
        }
        self.accepted.push(key);
        Ok(self)
    }

    /// Accepts pointers that were signed for this queue, even if another queue delivers them. Default: only pointers that were
    /// signed for the queue that delivers them.
    ///
    /// A dead-letter queue needs this setting, because it contains the messages of its source queues. Pass the queue's
    /// name, URL or ARN. Only the name counts.
    #[must_use]
    pub fn accept_queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queues.push(queue_name(queue.as_ref()).to_owned());
        self
    }

    /// Signs the pointer to a payload of `size` bytes, for a message to this queue. Pass the queue's name, URL or ARN.
    pub fn sign(&self, pointer: &mut Pointer, size: u64, queue: &str) {
        pointer.mac = Some(Mac {
            key_id: self.signing.id.clone(),
            code: self.signing.code(pointer, Some(size), queue_name(queue)),
        });
    }

    /// Verifies that a holder of a key wrote the pointer, for this queue or for another accepted queue. Pass the name,
    /// URL or ARN of the queue that the message was received from. Only the name counts.
    ///
    /// # Errors
    ///
    /// Returns an error of kind [`RefusedPointer`](ErrorKind::RefusedPointer) if the pointer was not signed by an accepted
    /// key for an accepted queue. The same applies to a pointer that was changed afterwards.
    pub fn verify(&self, envelope: &Envelope, queue: &str) -> Result<(), Error> {
        let refused = |why| Error::plain(ErrorKind::RefusedPointer, why);
        let Envelope { pointer, size } = envelope;
        let mac = pointer
            .mac
            .as_ref()
            .ok_or_else(|| refused("the pointer is not authenticated, but this client requires it"))?;
        let key = self
            .find(&mac.key_id)
            .ok_or_else(|| refused("the pointer is authenticated by an unknown key; accept the key by `accept_key`"))?;
        // blake3 compares hashes in constant time:
        // https://docs.rs/blake3/latest/blake3/struct.Hash.html
        let is_right = |queue: &str| key.code(pointer, *size, queue) == mac.code;
        if is_right(queue_name(queue)) || self.queues.iter().any(|queue| is_right(queue)) {
            Ok(())
        } else {
            Err(refused(
                "the pointer's authentication code is wrong: the pointer was changed, or written for another queue",
            ))
        }
    }

    fn find(&self, id: &str) -> Option<&PointerKey> {
        std::iter::once(&self.signing)
            .chain(&self.accepted)
            .find(|key| key.id == id)
    }
}

/// Shows the ids and the queues' names, but no key.
impl fmt::Debug for PointerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
                "the id of a pointer key is not 1 to 32 ASCII letters, digits, '-', '_' or '.'",
            ));
        }
        Ok(Self {
            id,
            derived: blake3::derive_key(CONTEXT, key),
        })
    }

    fn code(&self, pointer: &Pointer, size: Option<u64>, queue: &str) -> blake3::Hash {
        // Without `..`, so that a new field cannot be forgotten here.
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

/// Hashes the authenticated fields, one after another.
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

#[cfg(test)]
mod tests;
