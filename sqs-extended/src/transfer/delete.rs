//! Payloads deleted, many with a request where the store can.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore, Result};

use crate::error::refusal::is_missing_object;

/// Fewer than any store takes with a request (Azure's 256 are the least), so that an answer about all of a request is not
/// taken for one about another.
pub(crate) const BATCH: usize = 250;

/// Deletes these objects, and says of each what came of it, in their order. One that is gone already is as good as deleted.
///
/// # Cancel safety
///
/// If the future is dropped, some may be deleted and others not.
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
        // object_store panics on a response that names a key which was not in the request.
        let Ok(answers) = AssertUnwindSafe(deleting).catch_unwind().await else {
            results.extend(batch.iter().map(|_| Err(panicked())));
            continue;
        };
        let mut deleted = HashSet::new();
        let mut errors = Vec::new();
        for answer in answers {
            match answer {
                Ok(key) => drop(deleted.insert(key)),
                Err(error) => errors.push(error),
            }
        }
        // Of those that failed, in their order; fewer where the request as a whole has failed.
        let mut errors = errors.into_iter();
        results.extend(batch.iter().map(|key| {
            if deleted.contains(key) {
                return Ok(());
            }
            match errors.next().unwrap_or_else(unsaid) {
                error if is_missing_object(&error) => Ok(()),
                error => Err(error),
            }
        }));
    }
    results
}

fn unsaid() -> Error {
    failed("the request that was to delete it failed, as another of its errors says")
}

fn panicked() -> Error {
    failed("object_store panicked while it deleted; the server may have named a key that was not in the request")
}

fn failed(why: &str) -> Error {
    Error::Generic {
        store: "the store",
        source: why.into(),
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
    async fn each_key_has_its_result_and_what_is_gone_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        // A store to which a missing object is an error.
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
    async fn a_failure_is_told_of_every_key() {
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
