//! Payloads deleted, many with a request where the store can.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::error::{Error, is_missing_object};

/// Fewer than any store takes with a request (Azure's 256 are the least), so that an answer about all of a request is not
/// taken for one about another.
const BATCH: usize = 250;

/// Deletes these objects, and says of each what came of it, in their order. One that is gone already is as good as deleted.
///
/// # Cancel safety
///
/// If the future is dropped, some may be deleted and others not.
pub(crate) async fn delete_all(store: &Arc<dyn ObjectStore>, keys: &[Path]) -> Vec<Result<(), Error>> {
    let mut results = Vec::with_capacity(keys.len());
    for batch in keys.chunks(BATCH) {
        let to_delete: Vec<_> = batch.iter().cloned().map(Ok).collect();
        let answers: Vec<_> = store.delete_stream(stream::iter(to_delete).boxed()).collect().await;
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
                error => Err(Error::store("the payload could not be deleted", error)),
            }
        }));
    }
    results
}

fn unsaid() -> object_store::Error {
    object_store::Error::Generic {
        store: "the store",
        source: "the request that was to delete it failed, as another of its errors says".into(),
    }
}
