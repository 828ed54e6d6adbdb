//! Encryption with AES-256-GCM in chunks.
//!
//! The stored bytes are a random salt and the chunks, each followed by its tag. The key is derived from the data key and
//! the salt, so two payloads never share a key, even if they share a data key. The chunks follow the STREAM construction
//! of Hoang, Reyhanitabar, Rogaway and Vizár: a chunk's nonce is its index and whether it is the last one. The associated
//! data of each chunk is the header.

use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Generate, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::codec::encoding::EncryptionHeader;
use crate::codec::keys::{KeyProvider, KeyProviderError, SecretKey};
use crate::codec::stage::{DecodeStage, EncodeStage};
use crate::error::{Error, ErrorKind};

/// The scheme's name: cipher, construction and chunk size.
pub(super) const SCHEME: &str = "aes256gcm-stream-64k";

const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
const SALT: usize = 32;

/// The constant part of every chunk's nonce. It is the same for all payloads because each has a key of its own.
const NO_PREFIX: [u8; 7] = [0; 7];

/// The context of the key derivation.
const PURPOSE: &[u8] = b"sqs-extended payload aes256gcm-stream-64k";

/// The maximum length of a wrapped key in a pointer.
const MAX_WRAPPED_BYTES: usize = 512;

/// The maximum length of a key's id in a pointer.
const MAX_KEY_ID_BYTES: usize = 256;

/// Returns the number of stored bytes of a payload of `len` bytes.
pub(super) fn sealed_len(len: u64) -> u64 {
    let chunks = len.div_ceil(CHUNK as u64).max(1);
    len.saturating_add(chunks * TAG as u64).saturating_add(SALT as u64)
}

/// Starts to encrypt a payload with a new key.
///
/// # Errors
///
/// Returns an error if the provider fails, or if the wrapped key or its id does not fit into a message.
pub(super) async fn seal(
    keys: &dyn KeyProvider,
    compression: Option<&str>,
) -> Result<(Sealer, EncryptionHeader), Error> {
    let failed = |error| key_error("the key provider has no key to encrypt the payload with", error);
    let data_key = keys.generate().await.map_err(failed)?;
    if data_key.wrapped.len() > MAX_WRAPPED_BYTES || data_key.key_id.len() > MAX_KEY_ID_BYTES {
        return Err(failed("the wrapped key exceeds 512 bytes or its id 256 bytes".into()));
    }
    let salt = <[u8; SALT]>::try_generate().map_err(|error| failed(error.into()))?;
    let header = EncryptionHeader {
        scheme: SCHEME.to_owned(),
        wrapped_key: BASE64.encode(&data_key.wrapped),
        key_id: data_key.key_id,
    };
    let sealer = Sealer::new(&data_key.key, salt, authenticated(&header, compression))?;
    Ok((sealer, header))
}

/// Starts to decrypt a payload of our scheme.
///
/// # Errors
///
/// Returns an error if the provider fails or does not know the key.
pub(super) async fn open(
    keys: &dyn KeyProvider,
    header: &EncryptionHeader,
    compression: Option<&str>,
) -> Result<Opener, Error> {
    let failed = |error| key_error("the key provider has no key to decrypt the payload with", error);
    let wrapped = BASE64
        .decode(&header.wrapped_key)
        .map_err(|error| failed(error.into()))?;
    let key = keys.unwrap_key(&header.key_id, &wrapped).await.map_err(failed)?;
    Ok(Opener {
        key: Some(key),
        chunks: None,
        header: authenticated(header, compression),
        pending: Vec::new(),
    })
}

fn key_error(failed: &'static str, error: KeyProviderError) -> Error {
    Error::io(ErrorKind::Key, failed, std::io::Error::other(error))
}

/// Returns the associated data of each chunk. Only the key's id is free text, and it is last.
fn authenticated(header: &EncryptionHeader, compression: Option<&str>) -> Vec<u8> {
    let compression = compression.unwrap_or_default();
    format!("{}\n{compression}\n{}", header.scheme, header.key_id).into_bytes()
}

fn cipher(key: &SecretKey, salt: &[u8]) -> Result<Aes256Gcm, Error> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), key.as_bytes())
        .expand(PURPOSE, &mut *derived)
        .map_err(|error| key_error("the payload's key could not be derived", error.to_string().into()))?;
    Ok(Aes256Gcm::new((&*derived).into()))
}

/// Encrypts a payload while it streams.
pub(super) struct Sealer {
    /// `None` after the last chunk.
    chunks: Option<EncryptorBE32<Aes256Gcm>>,
    header: Vec<u8>,
    /// The current chunk. A full one waits for the next byte, because the last chunk is sealed in another way.
    pending: Vec<u8>,
    /// The salt precedes the first chunk.
    salt: Vec<u8>,
}

impl Sealer {
    fn new(key: &SecretKey, salt: [u8; SALT], header: Vec<u8>) -> Result<Self, Error> {
        Ok(Self {
            chunks: Some(EncryptorBE32::from_aead(cipher(key, &salt)?, &NO_PREFIX.into())),
            header,
            pending: Vec::with_capacity(CHUNK + TAG),
            salt: salt.to_vec(),
        })
    }
}

impl EncodeStage for Sealer {
    fn push(&mut self, mut input: Bytes) -> Result<Bytes, Error> {
        let mut output = std::mem::take(&mut self.salt);
        output.reserve(input.len() + (input.len() / CHUNK + 2) * TAG + CHUNK);
        loop {
            fill(&mut self.pending, &mut input, CHUNK);
            if input.is_empty() {
                return Ok(output.into());
            }
            let sealed = match &mut self.chunks {
                Some(chunks) => chunks.encrypt_next_in_place(&self.header, &mut self.pending),
                None => Err(aes_gcm::Error),
            };
            sealed.map_err(|_| too_large())?;
            output.append(&mut self.pending);
        }
    }

    fn finish(&mut self, input: Bytes) -> Result<Bytes, Error> {
        let mut output = Vec::from(self.push(input)?);
        let sealed = match self.chunks.take() {
            Some(chunks) => chunks.encrypt_last_in_place(&self.header, &mut self.pending),
            None => Err(aes_gcm::Error),
        };
        sealed.map_err(|_| too_large())?;
        output.append(&mut self.pending);
        Ok(output.into())
    }
}

/// Decrypts a payload while it streams. Returns only authenticated bytes.
pub(super) struct Opener {
    /// `None` once the salt is read.
    key: Option<SecretKey>,
    /// `None` before the salt is read and after the last chunk.
    chunks: Option<DecryptorBE32<Aes256Gcm>>,
    header: Vec<u8>,
    /// First the salt, then the current chunk. A full chunk waits for the next byte, as in the sealer.
    pending: Vec<u8>,
}

impl DecodeStage for Opener {
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, Error> {
        if let Some(key) = &self.key {
            fill(&mut self.pending, input, SALT);
            if self.pending.len() < SALT {
                return Ok(Bytes::new());
            }
            let cipher = cipher(key, &self.pending)?;
            self.chunks = Some(DecryptorBE32::from_aead(cipher, &NO_PREFIX.into()));
            self.key = None;
            self.pending.clear();
        }
        self.pending
            .reserve_exact((CHUNK + TAG).saturating_sub(self.pending.len()));
        fill(&mut self.pending, input, CHUNK + TAG);
        if input.is_empty() {
            return Ok(Bytes::new());
        }
        let opened = match &mut self.chunks {
            Some(chunks) => chunks.decrypt_next_in_place(&self.header, &mut self.pending),
            None => Err(aes_gcm::Error),
        };
        opened.map_err(|_| not_authentic())?;
        Ok(std::mem::take(&mut self.pending).into())
    }

    fn finish(&mut self) -> Result<Bytes, Error> {
        let opened = match self.chunks.take() {
            Some(chunks) => chunks.decrypt_last_in_place(&self.header, &mut self.pending),
            None => Err(aes_gcm::Error),
        };
        opened.map_err(|_| not_authentic())?;
        Ok(std::mem::take(&mut self.pending).into())
    }
}

/// Moves bytes from the front of `input` until `pending` has `len` bytes.
fn fill(pending: &mut Vec<u8>, input: &mut Bytes, len: usize) {
    let room = len.saturating_sub(pending.len());
    pending.extend_from_slice(&input.split_to(room.min(input.len())));
}

fn too_large() -> Error {
    Error::plain(
        ErrorKind::TooLarge,
        "the payload exceeds 256 TiB, the maximum for encryption",
    )
}

fn not_authentic() -> Error {
    let message = "the stored payload failed authentication: it or its message's encoding was changed or cut off";
    Error::plain(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bytes;

    /// The expected digest was computed with Python's `cryptography` from the description above.
    #[test]
    fn several_chunks_match_another_implementation() {
        let key: Vec<u8> = (0..32).collect();
        let key = SecretKey::try_from(&key[..]).unwrap();
        let header = b"aes256gcm-stream-64k\nzstd\nk1".to_vec();
        let mut sealer = Sealer::new(&key, [9; SALT], header).unwrap();
        let content = bytes(150_000);
        let stored = [
            sealer.push(content.slice(..65_536)).unwrap(),
            sealer.push(content.slice(65_536..70_000)).unwrap(),
            sealer.finish(content.slice(70_000..)).unwrap(),
        ]
        .concat();
        assert_eq!(stored.len() as u64, sealed_len(150_000));
        let mut hasher = crate::payload::digest::Hasher::new(crate::payload::digest::DigestAlgorithm::Sha256);
        hasher.update(&stored);
        assert_eq!(
            hasher.finish().hex(),
            "c07d0361fac3f69cac3815947bc1aef1494ac30f12dca83077bc157f1313c9d1"
        );
    }
}
