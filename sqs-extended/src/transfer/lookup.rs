//! An object's metadata, looked up and compared.

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, Result};

use crate::error::refusal::{NotFound, is_missing_object};

/// Returns an object's metadata, or `None` if the store says that there is no such object.
pub(crate) async fn find(store: &dyn ObjectStore, key: &Path) -> Result<Option<ObjectMeta>> {
    let found = match store.head(key).await {
        // A 404 to a HEAD request has no body that could say what does not exist.
        Err(error) if NotFound::from_error(&error) == Some(NotFound::Unclear) => {
            store.get(key).await.map(|found| found.meta)
        }
        found => found,
    };
    match found {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if is_missing_object(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns `true` if both describe the same version of an object. Both must come from a HEAD or GET request, because
/// listings format ETags and times differently.
pub(crate) fn is_same_version(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.e_tag == other.e_tag && one.size == other.size && one.last_modified == other.last_modified
}
