//! Deletion of payloads, with one request for many where the store supports it.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore, Result};

use crate::error::refusal::is_missing_object;

/// The number of objects in one call of the store. It is below the lowest limit of a store for one request, Azure's 256. One
/// call is therefore one request, whose error concerns the whole batch.
pub(crate) const BATCH: usize = 250;

/// Deletes the objects and returns a result for each, in their order. An object that does not exist counts as deleted.
///
/// # Cancel safety
///
/// Dropping the future may leave some of the objects undeleted.
pub(crate) async fn delete_all(store: &Arc<dyn ObjectStore>, keys: &[Path]) -> Vec<Result<()>> {
    let mut results = Vec::with_capacity(keys.len());
    for batch in keys.chunks(BATCH) {
        let to_delete: Vec<_> = batch.iter().cloned().map(Ok).collect();
        let deleting = async {
            store
                .delete_stream(stream::iter(to_delete).boxed())
                .collect::<Vec<_>>()
                .await
        };
        // object_store panics on a response that names a key that was not in the request.
        let Ok(outcomes) = AssertUnwindSafe(deleting).catch_unwind().await else {
            results.extend(batch.iter().map(|_| Err(panicked())));
            continue;
        };
        let mut deleted = HashSet::new();
        let mut errors = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(key) => drop(deleted.insert(key)),
                Err(error) => errors.push(error),
            }
        }
        // They are in the order of the failed keys. There are fewer if the whole request failed.
        let mut errors = errors.into_iter();
        results.extend(batch.iter().map(|key| {
            if deleted.contains(key) {
                return Ok(());
            }
            match errors.next().unwrap_or_else(same_request_failed) {
                error if is_missing_object(&error) => Ok(()),
                error => Err(error),
            }
        }));
    }
    results
}

fn same_request_failed() -> Error {
    failed("the request to delete it failed; see the error of another object in the same request")
}

fn panicked() -> Error {
    failed("object_store panicked during the deletion; the server may have named a key that was not in the request")
}

fn failed(message: &str) -> Error {
    Error::Generic {
        store: "the store",
        source: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;

    use super::*;
    use crate::testing::TestStore;

    #[tokio::test]
    async fn every_key_has_a_result_and_missing_objects_count_as_deleted() {
        let folder = tempfile::tempdir().unwrap();
        // This store fails to delete a missing object.
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
        let keys: Vec<Path> = (0..BATCH + 3).map(|i| Path::from(format!("k{i}"))).collect();
        for key in keys.iter().step_by(2) {
            store.put(key, "x".into()).await.unwrap();
        }
        let results = delete_all(&store, &keys).await;
        assert_eq!(results.len(), keys.len());
        assert!(results.iter().all(Result::is_ok));
        assert!(store.list(None).next().await.is_none());
    }

    #[tokio::test]
    async fn a_failure_is_returned_for_every_key() {
        let store = TestStore::default();
        store.calls.fail_deletes.store(true, SeqCst);
        let shared: Arc<dyn ObjectStore> = Arc::new(store);
        let results = delete_all(&shared, &[Path::from("a"), Path::from("b")]).await;
        assert_eq!(results.len(), 2);
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Err(Error::Generic { .. })))
        );
    }
}
