//! Where an upload in parts goes, and whether it arrived there.

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::error::Error;
use crate::transfer::lookup::{find, is_same_version};
use crate::transfer::upload::Target;

/// A key, and what was stored under it before the upload.
pub(super) struct Destination<'a> {
    store: &'a dyn ObjectStore,
    key: &'a Path,
    before: Before,
}

enum Before {
    Nothing,
    Object(ObjectMeta),
    /// The store did not say. That fails no upload, as its keys may allow to write only.
    Unknown,
}

impl Before {
    async fn look(store: &dyn ObjectStore, target: &Target) -> Self {
        if target.is_fresh {
            return Self::Nothing;
        }
        match find(store, &target.key).await {
            Ok(None) => Self::Nothing,
            Ok(Some(object)) => Self::Object(object),
            Err(_) => Self::Unknown,
        }
    }

    /// Returns `true` if this object is known to have been stored since.
    fn is_older_than(&self, object: &ObjectMeta) -> bool {
        match self {
            Self::Nothing => true,
            Self::Object(before) => !is_same_version(before, object),
            Self::Unknown => false,
        }
    }
}

impl<'a> Destination<'a> {
    pub(super) async fn before_upload(store: &'a dyn ObjectStore, target: &'a Target) -> Self {
        Self {
            store,
            key: &target.key,
            before: Before::look(store, target).await,
        }
    }

    /// Sees whether a completion took effect after which the store no longer has the upload: its response was lost, and
    /// the store repeats the request.
    ///
    /// That the object has the right length is enough where nothing was stored under the key before. Where the caller
    /// chose the key, it must also be another version than the one from before the upload. What this cannot tell apart
    /// is another sender's payload of this length under the same key at the same time, which `payload_key` rules out.
    pub(super) async fn confirm(&self, len: u64, error: object_store::Error) -> Result<(), Error> {
        let found = find(self.store, self.key).await.map_err(|error| {
            let failed = "the store no longer has the upload of the payload, and does not say whether it was completed";
            Error::store(failed, error)
        })?;
        match found {
            Some(object) if object.size == len && self.before.is_older_than(&object) => {
                tracing::debug!(key = %self.key, "the response to an upload's completion was lost; the object is stored");
                Ok(())
            }
            _ => Err(Error::store(
                "the store no longer has the upload of the payload, nor the payload: the upload was aborted, such as by \
                 a sweep or a lifecycle rule whose age is less than the upload takes",
                error,
            )),
        }
    }
}
