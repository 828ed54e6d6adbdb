//! The target of an upload, and the check that a multipart upload arrived there.

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::error::Error;
use crate::transfer::lookup::find;

/// The key for a payload.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) key: Path,
    /// No object was ever stored under the key.
    pub(crate) is_fresh: bool,
}

/// A key with the object that was stored under it before the upload.
pub(super) struct Destination<'a> {
    store: &'a dyn ObjectStore,
    key: &'a Path,
    before: Before,
}

enum Before {
    Nothing,
    /// An object of this [`description`], which a journal can carry to a later process.
    Object(String),
    /// The lookup failed. The upload continues, because the credentials may permit only writing.
    Unknown,
}

/// The descriptions without an object. Those of an object begin with its size.
const NOTHING: &str = "nothing";
const UNKNOWN: &str = "unknown";

/// Describes a version of an object. Two descriptions differ if
/// [`is_same_version`](crate::transfer::lookup::is_same_version) returns `false`.
fn description(object: &ObjectMeta) -> String {
    let tag = object.e_tag.as_deref().unwrap_or_default();
    format!("{} {} {tag}", object.size, object.last_modified.to_rfc3339())
}

impl Before {
    async fn look(store: &dyn ObjectStore, target: &Target) -> Self {
        if target.is_fresh {
            return Self::Nothing;
        }
        match find(store, &target.key).await {
            Ok(None) => Self::Nothing,
            Ok(Some(object)) => Self::Object(description(&object)),
            Err(_) => Self::Unknown,
        }
    }

    /// Returns `true` if `object` was certainly stored later.
    fn is_older_than(&self, object: &ObjectMeta) -> bool {
        match self {
            Self::Nothing => true,
            Self::Object(before) => *before != description(object),
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

    /// Restores what an earlier process described before it began the upload.
    pub(super) fn described(store: &'a dyn ObjectStore, target: &'a Target, description: &str) -> Self {
        let before = match description {
            NOTHING => Before::Nothing,
            UNKNOWN => Before::Unknown,
            object => Before::Object(object.to_owned()),
        };
        Self {
            store,
            key: &target.key,
            before,
        }
    }

    /// Describes the object that was stored before the upload, for a later process.
    pub(super) fn describe(&self) -> String {
        match &self.before {
            Before::Nothing => NOTHING.to_owned(),
            Before::Unknown => UNKNOWN.to_owned(),
            Before::Object(description) => description.clone(),
        }
    }

    /// Checks that a completion took effect although the store no longer has the upload. That happens if the response was
    /// lost and object_store repeated the request.
    ///
    /// The right length suffices if nothing was stored under the key before. If the caller chose the key, the object must also
    /// differ in version from the one before the upload. The check cannot detect a payload of the same length that another
    /// sender stores under the same key at the same time. The rules of `payload_key` forbid that.
    ///
    /// # Errors
    ///
    /// Returns an error if the object is missing or is not the payload, or if the lookup fails.
    pub(super) async fn confirm(&self, len: u64, error: object_store::Error) -> Result<(), Error> {
        let found = find(self.store, self.key).await.map_err(|error| {
            let failed =
                "the store no longer has the upload of the payload, and it is unknown whether the upload was completed";
            Error::store(failed, error)
        })?;
        match found {
            Some(object) if object.size == len && self.before.is_older_than(&object) => {
                tracing::debug!(key = %self.key, "the response to the completion of an upload was lost, but the object is stored");
                Ok(())
            }
            _ => Err(Error::store(
                "the store no longer has the upload of the payload and does not have the payload; a sweep or a lifecycle \
                 rule may have aborted the upload, so give it an age above the longest upload",
                error,
            )),
        }
    }
}
