//! When payloads are deleted, and the deletions themselves: many at a time share a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::error::{Error, ErrorKind};
use crate::transfer::delete::delete_all;

/// What becomes of a payload once its message was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deletion {
    /// It is deleted once the message's deletion is confirmed.
    #[default]
    WithMessage,
    /// It is deleted so much later, for duplicates of the message that are still in flight, unless another payload was
    /// stored under its key meanwhile: the store is asked before and after. This is done by the process that
    /// acknowledged, as long as its runtime lives, for up to
    /// [`MAX_PENDING_DELETIONS`](crate::PayloadStore::MAX_PENDING_DELETIONS) payloads at a time; what that does not
    /// come to is left to the sweep.
    After(Duration),
    /// It stays, for other messages that point to it, and is left to the sweep.
    Keep,
}

/// Deletes objects: those that are asked for while a request is under way share the next one.
#[derive(Debug, Default)]
pub(super) struct Deleter(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<(Path, oneshot::Sender<Outcome>)>,
    /// A task is at work on what waits.
    working: bool,
}

type Outcome = Result<(), Error>;

impl Deleter {
    /// Deletes the object. One that is gone already is as good as deleted.
    ///
    /// # Errors
    ///
    /// The store could not delete it.
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
                "the runtime that deleted the payload has ended",
            ))
        };
        told.await.unwrap_or_else(interrupted)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.0)
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // A queue is whole at any time, so a panic elsewhere cannot have spoilt it.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task that deletes; its end, whichever it is, lets another one begin.
struct Worker(Arc<Mutex<Queue>>);

impl Worker {
    async fn work(self, store: Arc<dyn ObjectStore>) {
        while let Some(waiting) = self.next() {
            let (keys, tell): (Vec<Path>, Vec<_>) = waiting.into_iter().unzip();
            let outcomes = delete_all(&store, &keys).await;
            for (tell, outcome) in tell.into_iter().zip(outcomes) {
                let outcome = outcome.map_err(|error| Error::store("the payload could not be deleted", error));
                // Who asked may be gone.
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
        // Only where it was broken off: then whoever waits is told so.
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
    async fn those_that_come_together_share_a_request() {
        let (store, shared, keys) = holding(50).await;
        let (deleter, tasks) = (Deleter::default(), TaskTracker::new());
        let deletions = keys.iter().map(|key| deleter.delete(&shared, key.clone(), &tasks));
        assert!(join_all(deletions).await.into_iter().all(|deleted| deleted.is_ok()));
        assert!(store.is_empty().await);
        assert_eq!(store.calls.deletes.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn one_that_is_gone_is_as_good_as_deleted() {
        let (_, shared, keys) = holding(1).await;
        let (deleter, tasks) = (Deleter::default(), TaskTracker::new());
        for _ in 0..2 {
            deleter.delete(&shared, keys[0].clone(), &tasks).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_failure_is_told_and_the_next_one_works() {
        let (store, shared, keys) = holding(2).await;
        let (deleter, tasks) = (Deleter::default(), TaskTracker::new());
        store.calls.fail_deletes.store(true, SeqCst);
        let deletions = keys.iter().map(|key| deleter.delete(&shared, key.clone(), &tasks));
        assert!(join_all(deletions).await.into_iter().all(|deleted| deleted.is_err()));
        store.calls.fail_deletes.store(false, SeqCst);
        deleter.delete(&shared, keys[0].clone(), &tasks).await.unwrap();
    }

    #[test]
    fn a_runtime_that_ends_half_way_stops_nobody_after_it() {
        let deleter = Deleter::default();
        let (store, tasks) = (TestStore::default(), TaskTracker::new());
        let shared: Arc<dyn ObjectStore> = Arc::new(store);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let broken_off = runtime();
        broken_off.block_on(async {
            // Polled once: the worker is spawned, and never run.
            let deletion = deleter.delete(&shared, Path::from("k"), &tasks);
            assert!(futures::FutureExt::now_or_never(deletion).is_none());
        });
        drop(broken_off);
        runtime()
            .block_on(deleter.delete(&shared, Path::from("k"), &tasks))
            .unwrap();
    }
}
