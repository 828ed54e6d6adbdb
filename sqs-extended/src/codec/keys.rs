//! Encryption keys and their providers.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, Generate, KeyInit, Nonce, Payload};
use sqs_client::credentials::BoxFuture;
use zeroize::Zeroizing;

/// The error of a [`KeyProvider`]. It must not show a key.
///
/// ```
/// use sqs_extended::codec::KeyProviderError;
///
/// let error: KeyProviderError = "no key has this id".into();
/// ```
pub type KeyProviderError = Box<dyn StdError + Send + Sync>;

/// The length of every key.
const KEY_BYTES: usize = 32;

/// A 256-bit key. Dropping it clears its memory, and `Debug` does not show it.
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
    /// Generates a key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system provides no random numbers.
    pub fn generate() -> Result<Self, KeyProviderError> {
        Ok(<[u8; KEY_BYTES]>::try_generate()?.into())
    }

    /// Returns the key's bytes, to wrap them.
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

/// Fails unless the slice has 32 bytes.
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

/// The key of one payload, in plain and in wrapped form.
///
/// ```
/// use sqs_extended::codec::{DataKey, SecretKey};
///
/// // From AWS KMS: the `Plaintext`, `CiphertextBlob` and `KeyId` of `GenerateDataKey`.
/// # fn f(plaintext: [u8; 32], ciphertext_blob: Vec<u8>, key_id: String) {
/// let data_key = DataKey { key: SecretKey::from(plaintext), wrapped: ciphertext_blob, key_id };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DataKey {
    /// The key.
    pub key: SecretKey,
    /// The key wrapped by another one, as messages carry it. Range: up to 512 bytes.
    pub wrapped: Vec<u8>,
    /// The id of the wrapping key. Messages carry it in plain text. Range: up to 256 bytes.
    pub key_id: String,
}

/// A source of data keys, which encrypt payloads.
///
/// The trait suits AWS KMS, among others: `generate` is its `GenerateDataKey`, and `unwrap_key` is its `Decrypt`. If one
/// call for each payload is too expensive, a provider may return the same data key several times. A payload is sealed
/// with a key derived from the data key and a random salt, never with the data key itself.
///
/// ```
/// use sqs_client::credentials::BoxFuture;
/// use sqs_extended::codec::{DataKey, KeyProvider, KeyProviderError, SecretKey, StaticKeys};
///
/// /// Counts the calls of another provider.
/// #[derive(Debug)]
/// struct Counted(StaticKeys, std::sync::atomic::AtomicU64);
///
/// impl KeyProvider for Counted {
///     fn generate(&self) -> BoxFuture<'_, Result<DataKey, KeyProviderError>> {
///         self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         self.0.generate()
///     }
///
///     fn unwrap_key<'a>(
///         &'a self,
///         key_id: &'a str,
///         wrapped: &'a [u8],
///     ) -> BoxFuture<'a, Result<SecretKey, KeyProviderError>> {
///         self.0.unwrap_key(key_id, wrapped)
///     }
/// }
/// ```
pub trait KeyProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns a key for a new payload.
    ///
    /// # Errors
    ///
    /// Any error. Calls then fail with the kind [`Key`](crate::ErrorKind::Key), whose `source()` is an [`std::io::Error`] that
    /// contains this error. It must not show a key.
    fn generate(&self) -> BoxFuture<'_, Result<DataKey, KeyProviderError>>;

    /// Unwraps a data key. Both arguments come from a message, so an untrusted sender may have chosen them.
    ///
    /// # Errors
    ///
    /// Fails as [`generate`](Self::generate) does, or if no key with this id unwraps it.
    fn unwrap_key<'a>(
        &'a self,
        key_id: &'a str,
        wrapped: &'a [u8],
    ) -> BoxFuture<'a, Result<SecretKey, KeyProviderError>>;
}

/// A [`KeyProvider`] with fixed keys: one for new payloads, and any number of older keys for reading.
///
/// Each key wraps the data keys with AES-256-GCM under a random nonce, which suffices for 4 billion payloads a key. To
/// change the key, first add the new one to all readers, then write with it. Keep the old key as long as messages may
/// use it.
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
    /// Creates a provider that encrypts and decrypts with `key`.
    pub fn new(id: impl Into<String>, key: SecretKey) -> Self {
        let current = id.into();
        Self {
            ciphers: HashMap::from([(current.clone(), cipher(&key))]),
            current,
        }
    }

    /// Adds a key that only decrypts. Default: only the constructor's key. A key whose id is already known is ignored.
    #[must_use]
    pub fn also_read(mut self, id: impl Into<String>, key: SecretKey) -> Self {
        self.ciphers.entry(id.into()).or_insert_with(|| cipher(&key));
        self
    }

    fn cipher(&self, id: &str) -> Result<&Aes256Gcm, KeyProviderError> {
        self.ciphers
            .get(id)
            .ok_or_else(|| "no key has this id; add it with `StaticKeys::also_read`".into())
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
        const REFUSED: &str = "the data key was not wrapped by the key with this id";
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

/// Binds a wrapped key to the id of its wrapping key, so that it is invalid under another id.
fn bound_to<'a>(id: &'a str, key: &'a [u8]) -> Payload<'a, 'a> {
    Payload {
        msg: key,
        aad: id.as_bytes(),
    }
}
