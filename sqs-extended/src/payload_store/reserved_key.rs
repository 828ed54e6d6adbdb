//! Stores payloads under keys that are reserved first.

use std::path::PathBuf;

use object_store::Attribute;
use object_store::path::Path;

use crate::codec::{Encoded, Encoding};
use crate::error::Error;
use crate::payload::digest::Digest;
use crate::payload::progress::OnProgress;
use crate::payload_store::store::PayloadStore;
use crate::pointer::Pointer;
use crate::transfer::upload::resumable::{self, ResumableUpload};
use crate::transfer::upload::{Measured, Target, upload};

/// The caller's settings of one upload.
#[derive(Debug, Default)]
pub(crate) struct UploadOptions {
    /// The key after the prefix, or `None` for a new one.
    pub(crate) key: Option<String>,
    pub(crate) on_progress: OnProgress,
    /// The journal of a resumable upload.
    pub(crate) journal: Option<PathBuf>,
}

/// The key of a payload that is about to be stored.
pub(crate) struct ReservedKey {
    target: Target,
    options: UploadOptions,
    /// The longest pointer that the payload can get, without its signature.
    pub(crate) widest: Pointer,
}

/// A stored payload whose message was not sent yet.
#[derive(Debug)]
pub(crate) struct StoredPayload {
    pub(crate) key: Path,
    /// The pointer without its signature.
    pub(crate) pointer: Pointer,
    /// The payload before it was encoded.
    pub(crate) original: Measured,
}

impl PayloadStore {
    /// Reserves the caller's key, which follows the prefix, or a new one.
    ///
    /// # Errors
    ///
    /// The key is not a plain path or is too long.
    pub(crate) fn reserve_key(&self, mut options: UploadOptions, encoding: &Encoding) -> Result<ReservedKey, Error> {
        let inner = &*self.0;
        let key = options.key.take();
        let is_fresh = key.is_none();
        let key = inner.location.key(&key.unwrap_or_else(|| (inner.new_id)()))?;
        let longest = Measured {
            len: u64::MAX,
            digest: Digest::compute(inner.upload.digest, b""),
        };
        Ok(ReservedKey {
            widest: self.pointer(&key, encoding, &longest),
            target: Target { key, is_fresh },
            options,
        })
    }

    /// Checks that uploads to this store are resumable, without I/O.
    ///
    /// # Errors
    ///
    /// They are not. The error says what to change.
    pub(crate) fn check_resumable(&self) -> Result<(), Error> {
        if self.0.multipart.is_none() {
            return Err(Error::invalid(
                "a resumable upload requires a store whose uploads outlive the process; open it with an `s3:` URL or set \
                 `multipart_store`",
            ));
        }
        resumable::check(&self.0.upload)
    }

    /// Stores a payload.
    ///
    /// # Errors
    ///
    /// The payload could not be read or stored. Nothing of it stays in the store, unless its upload is resumable.
    pub(crate) async fn put(&self, reserved: ReservedKey, encoded: Encoded) -> Result<StoredPayload, Error> {
        let inner = &*self.0;
        let ReservedKey { target, options, .. } = reserved;
        let on_progress = &options.on_progress;
        let (source, settings, resources) = (encoded.source, &inner.upload, &inner.resources);
        let stored = match (&options.journal, &inner.multipart) {
            (Some(journal), Some(multipart)) if resumable::is_long_file(&source) => {
                let upload = ResumableUpload {
                    store: &inner.store,
                    multipart,
                    bucket: inner.location.bucket(),
                    target: &target,
                    journal,
                    on_progress,
                    settings,
                    resources,
                };
                upload.run(source).await?
            }
            _ => {
                let aborts = &inner.background;
                upload(&inner.store, &target, source, on_progress, settings, resources, aborts).await?
            }
        };
        let original = encoded.original.of(&stored)?;
        let key = target.key;
        Ok(StoredPayload {
            pointer: self.pointer(&key, &encoded.encoding, &stored),
            key,
            original,
        })
    }

    fn pointer(&self, key: &Path, encoding: &Encoding, stored: &Measured) -> Pointer {
        let inner = &*self.0;
        let mut pointer = Pointer::new(inner.location.bucket(), key.as_ref());
        pointer.encoding = encoding.clone();
        let content_type = inner.upload.attributes.get(&Attribute::ContentType);
        if inner.extras {
            pointer.length = Some(stored.len);
            pointer.digest = Some(stored.digest.clone());
            pointer.content_type = content_type.map(|value| value.as_ref().to_owned());
        }
        pointer
    }
}
