//! The setting for deletions, and their batching.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::error::{Error, ErrorKind};
use crate::transfer::delete::delete_all;

/// The setting for the payload of an acknowledged message.
///
/// ```
/// use std::time::Duration;
/// use object_store::memory::InMemory;
/// use sqs_extended::store::{Deletion, PayloadStore};
///
/// # fn main() -> Result<(), sqs_extended::Error> {
/// let payloads = PayloadStore::builder(InMemory::new(), "my-bucket")
///     .deletion(Deletion::After(Duration::from_secs(600)))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deletion {
    /// Deletes the payload once the message's deletion is confirmed.
    #[default]
    WithMessage,
    /// Deletes the payload after this time, so that duplicates of the message in flight still find it.
    ///
    /// A payload that was stored again under its key stays, because the object is compared before and after this time. The
    /// process that acknowledged the message deletes the payload, if its runtime still lives. Up to
    /// [`MAX_PENDING_DELETIONS`](crate::PayloadStore::MAX_PENDING_DELETIONS) deletions wait at a time. Further payloads are left
    /// to the sweep.
    After(Duration),
    /// Keeps the payload, for example for other messages that point to it. The sweep removes it.
    Keep,
}

/// Deletes objects. Deletions that are requested while a request is in flight share the next one.
#[derive(Debug, Default)]
pub(super) struct Deleter(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<(Path, oneshot::Sender<Outcome>)>,
    /// A task is deleting the waiting objects.
    working: bool,
}

type Outcome = Result<(), Error>;

impl Deleter {
    /// Deletes an object. A missing object counts as deleted.
    ///
    /// # Errors
    ///
    /// The store failed to delete it.
    pub(super) async fn delete(
        &self,
        store: &Arc<dyn ObjectStore>,
        key: Path,
        tasks: &TaskTracker,
    ) -> Result<(), Error> {
        let (tell, told) = oneshot::channel();
        let begin = {
            let mut queue = self.lock();
            queue.waiting.push((key, tell));
            !std::mem::replace(&mut queue.working, true)
        };
        if begin {
            let worker = Worker(Arc::clone(&self.0));
            tasks.spawn(worker.work(Arc::clone(store)));
        }
        let interrupted = |_| {
            Err(Error::plain(
                ErrorKind::Store,
                "the runtime that deleted the payload has shut down; leaving the payload to the sweep",
            ))
        };
        told.await.unwrap_or_else(interrupted)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.0)
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // Every update is complete, so a panic cannot leave the queue inconsistent.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task that deletes. When it ends, for any reason, another one can start.
struct Worker(Arc<Mutex<Queue>>);

impl Worker {
    async fn work(self, store: Arc<dyn ObjectStore>) {
        while let Some(waiting) = self.next() {
            let (keys, tell): (Vec<Path>, Vec<_>) = waiting.into_iter().unzip();
            let outcomes = delete_all(&store, &keys).await;
            for (tell, outcome) in tell.into_iter().zip(outcomes) {
                let outcome = outcome.map_err(|error| Error::store("failed to delete the payload", error));
                // The caller may have been dropped.
                let _ = tell.send(outcome);
            }
        }
    }

    fn next(&self) -> Option<Vec<(Path, oneshot::Sender<Outcome>)>> {
        let mut queue = lock(&self.0);
        queue.working = !queue.waiting.is_empty();
        queue.working.then(|| std::mem::take(&mut queue.waiting))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        // Only if the task was aborted. Dropping the senders tells the callers.
        if std::mem::take(&mut queue.working) {
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use futures::future::join_all;
    use object_store::ObjectStoreExt;

    use super::*;
    use crate::testing::TestStore;

    async fn holding(keys: usize) -> (TestStore, Arc<dyn ObjectStore>, Vec<Path>) {
        let store = TestStore::default();
        let keys: Vec<Path> = (0..keys).map(|i| Path::from(format!("k{i}"))).collect();
        for key in &keys {
            store.objects.put(key, "x".into()).await.unwrap();
        }
        (store.clone(), Arc::new(store), keys)
    }

    #[tokio::test]
    async fn concurrent_deletions_share_a_request() {
        let (store, shared, keys) = holding(50).await;
        let (deleter, tasks) = (Deleter::default(), TaskTracker::new());
        let deletions = keys.iter().map(|key| deleter.delete(&shared, key.clone(), &tasks));
        assert!(join_all(deletions).await.into_iter().all(|deleted| deleted.is_ok()));
        assert!(store.is_empty().await);
        assert_eq!(store.calls.deletes.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn a_missing_object_counts_as_deleted() {
        let (_, shared, keys) = holding(1).await;
        let (deleter, tasks) = (Deleter::default(), TaskTracker::new());
        for _ in 0..2 {
            deleter.delete(&shared, keys[0].clone(), &tasks).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_failure_is_returned_and_the_next_deletion_works() {
        let (store, shared, keys) = holding(2).await;
        let (deleter, tasks) = (Deleter::default(), TaskTracker::new());
        store.calls.fail_deletes.store(true, SeqCst);
        let deletions = keys.iter().map(|key| deleter.delete(&shared, key.clone(), &tasks));
        assert!(join_all(deletions).await.into_iter().all(|deleted| deleted.is_err()));
        store.calls.fail_deletes.store(false, SeqCst);
        deleter.delete(&shared, keys[0].clone(), &tasks).await.unwrap();
    }

    #[test]
    fn a_runtime_that_shuts_down_does_not_stop_later_deletions() {
        let deleter = Deleter::default();
        let (store, tasks) = (TestStore::default(), TaskTracker::new());
        let shared: Arc<dyn ObjectStore> = Arc::new(store);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let aborted = runtime();
        aborted.block_on(async {
            // Polled once, so the worker is spawned and never runs.
            let deletion = deleter.delete(&shared, Path::from("k"), &tasks);
            assert!(futures::FutureExt::now_or_never(deletion).is_none());
        });
        drop(aborted);
        runtime()
            .block_on(deleter.delete(&shared, Path::from("k"), &tasks))
            .unwrap();
    }
}
