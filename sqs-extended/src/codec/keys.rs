//! The keys that payloads are encrypted with, and where they come from.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, Generate, KeyInit, Nonce, Payload};
use sqs_client::credentials::BoxFuture;
use zeroize::Zeroizing;

/// What a [`KeyProvider`] fails with. It must not show a key.
pub type KeyProviderError = Box<dyn StdError + Send + Sync>;

/// The length of all keys here.
const KEY_BYTES: usize = 32;

/// A key of 256 bits. Its memory is cleared when it is dropped, and `Debug` does not show it.
///
/// ```
/// use sqs_extended::codec::SecretKey;
///
/// let key = SecretKey::from([7; 32]);
/// assert!(!format!("{key:?}").contains('7'));
/// ```
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// The operating system has none to give.
    pub fn generate() -> Result<Self, KeyProviderError> {
        Ok(<[u8; KEY_BYTES]>::try_generate()?.into())
    }

    /// The key itself: for wrapping it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl From<[u8; KEY_BYTES]> for SecretKey {
    fn from(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Of anything but 32 bytes there is no key.
impl TryFrom<&[u8]> for SecretKey {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        <[u8; KEY_BYTES]>::try_from(bytes).map(Self::from)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

/// The key of one payload, and how it is found again.
#[derive(Clone, Debug)]
pub struct DataKey {
    /// The key.
    pub key: SecretKey,
    /// The key wrapped by another one, as it travels in messages: at most 512 bytes.
    pub wrapped: Vec<u8>,
    /// Which key wrapped it, in at most 256 bytes; travels in messages as it is.
    pub key_id: String,
}

/// Gives keys to encrypt payloads with, and unwraps those of payloads to decrypt.
///
/// Written for AWS KMS, among others: `generate` is its `GenerateDataKey`, `unwrap_key` its `Decrypt`. Where a call
/// for each payload is too much, a provider may give one data key several times: payloads are not sealed with it, but
/// with a key that is derived from it and from a random salt of the payload.
pub trait KeyProvider: fmt::Debug + Send + Sync + 'static {
    /// Gives a key for a new payload.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from that; it becomes the `source()` of an error of kind
    /// [`Key`](crate::ErrorKind::Key). It must not show a key.
    fn generate(&self) -> BoxFuture<'_, Result<DataKey, KeyProviderError>>;

    /// Gives the key that was wrapped to this. Both arguments come from a message, and may be a stranger's.
    ///
    /// # Errors
    ///
    /// As for [`generate`](Self::generate); or no key of this id unwraps it.
    fn unwrap_key<'a>(
        &'a self,
        key_id: &'a str,
        wrapped: &'a [u8],
    ) -> BoxFuture<'a, Result<SecretKey, KeyProviderError>>;
}

/// Keys that the program has been given, by their ids: one for new payloads, and others that may still be read.
///
/// Each wraps the keys of payloads by AES-256-GCM, under a random nonce, which allows for 4 billion payloads a key. To
/// change keys, first let all readers know the new one, then write with it; keep the old one as long as there can be
/// messages of it.
///
/// ```
/// use sqs_extended::codec::{SecretKey, StaticKeys};
///
/// # fn key_from_your_vault(id: &str) -> SecretKey { SecretKey::from([0; 32]) }
/// let keys = StaticKeys::new("2026-11", key_from_your_vault("2026-11"))
///     .also_read("2025-11", key_from_your_vault("2025-11"));
/// ```
#[derive(Clone)]
pub struct StaticKeys {
    current: String,
    ciphers: HashMap<String, Aes256Gcm>,
}

impl StaticKeys {
    /// Encrypts with this key, and reads what is encrypted with it.
    pub fn new(id: impl Into<String>, key: SecretKey) -> Self {
        let current = id.into();
        Self {
            ciphers: HashMap::from([(current.clone(), cipher(&key))]),
            current,
        }
    }

    /// Reads what is encrypted with this key, too.
    #[must_use]
    pub fn also_read(mut self, id: impl Into<String>, key: SecretKey) -> Self {
        self.ciphers.entry(id.into()).or_insert_with(|| cipher(&key));
        self
    }

    fn cipher(&self, id: &str) -> Result<&Aes256Gcm, KeyProviderError> {
        self.ciphers.get(id).ok_or_else(|| "there is no key of this id".into())
    }

    fn wrap(&self) -> Result<DataKey, KeyProviderError> {
        let key = SecretKey::generate()?;
        let nonce = Nonce::<Aes256Gcm>::try_generate()?;
        let sealed = self
            .cipher(&self.current)?
            .encrypt(&nonce, bound_to(&self.current, key.as_bytes()))
            .map_err(|_| "the key could not be wrapped")?;
        Ok(DataKey {
            key,
            wrapped: [nonce.as_slice(), &sealed].concat(),
            key_id: self.current.clone(),
        })
    }

    fn open(&self, id: &str, wrapped: &[u8]) -> Result<SecretKey, KeyProviderError> {
        const REFUSED: &str = "the wrapped key is not one that this key has wrapped";
        let (nonce, sealed) = wrapped.split_first_chunk().ok_or(REFUSED)?;
        let key = self
            .cipher(id)?
            .decrypt(&Nonce::<Aes256Gcm>::from(*nonce), bound_to(id, sealed))
            .map_err(|_| REFUSED)?;
        Ok(SecretKey::try_from(Zeroizing::new(key).as_slice())?)
    }
}

impl KeyProvider for StaticKeys {
    fn generate(&self) -> BoxFuture<'_, Result<DataKey, KeyProviderError>> {
        Box::pin(async { self.wrap() })
    }

    fn unwrap_key<'a>(
        &'a self,
        key_id: &'a str,
        wrapped: &'a [u8],
    ) -> BoxFuture<'a, Result<SecretKey, KeyProviderError>> {
        Box::pin(async { self.open(key_id, wrapped) })
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

fn cipher(key: &SecretKey) -> Aes256Gcm {
    Aes256Gcm::new(key.as_bytes().into())
}

/// What is wrapped under one id cannot be passed off as wrapped under another.
fn bound_to<'a>(id: &'a str, key: &'a [u8]) -> Payload<'a, 'a> {
    Payload {
        msg: key,
        aad: id.as_bytes(),
    }
}
