//! Removes payloads that no message needs any more.

use std::time::Duration;

use object_store::path::Path;

use crate::error::Error;
use crate::payload_store::deletion::Deletion;
use crate::payload_store::fetch::Located;
use crate::payload_store::store::PayloadStore;
use crate::transfer::lookup::{find, is_same_version};

/// What became of the payload of a message that was deleted.
#[derive(Debug)]
pub(crate) enum Removed {
    Deleted,
    /// By the store's [`Deletion`].
    Retained,
    Failed(Error),
}

impl PayloadStore {
    /// How many payloads wait for the end of their grace at most; those beyond are left to the sweep.
    pub const MAX_PENDING_DELETIONS: usize = 100_000;

    /// Deletes the payload of a message that was surely deleted, if that is what is to be done with it.
    pub(crate) async fn remove(&self, located: &Located) -> Removed {
        match self.0.deletion {
            Deletion::Keep => Removed::Retained,
            Deletion::After(grace) => {
                self.delete_later(located.key.clone(), grace);
                Removed::Retained
            }
            Deletion::WithMessage => match self.delete(&located.key).await {
                Ok(()) => Removed::Deleted,
                Err(error) => Removed::Failed(error),
            },
        }
    }

    /// Deletes the payload of a message that was surely not sent.
    pub(crate) async fn discard(&self, key: &Path) {
        if let Err(error) = self.delete(key).await {
            tracing::warn!(
                key = key.as_ref(),
                error = &error as &dyn std::error::Error,
                "the payload of a message that was not sent could not be deleted, and stays in the store"
            );
        }
    }

    /// One that is gone already is as good as deleted.
    async fn delete(&self, key: &Path) -> Result<(), Error> {
        let inner = &*self.0;
        inner.deleter.delete(&inner.store, key.clone(), &inner.background).await
    }

    /// For as long as the runtime lives; the sweep does it otherwise.
    fn delete_later(&self, key: Path, grace: Duration) {
        if self.0.background.len() >= PayloadStore::MAX_PENDING_DELETIONS {
            tracing::warn!(
                key = key.as_ref(),
                "too many payloads wait for their deletion; this one is left to the sweep"
            );
            return;
        }
        let this = self.clone();
        self.0.background.spawn(async move {
            if let Err(error) = this.delete_after(&key, grace).await {
                tracing::warn!(
                    key = key.as_ref(),
                    error = &error as &dyn std::error::Error,
                    "a payload could not be deleted after its grace"
                );
            }
        });
    }

    /// Leaves alone what is stored under the key during the grace: another message points to it.
    async fn delete_after(&self, key: &Path, grace: Duration) -> Result<(), Error> {
        let failed = |error| Error::store("the payload could not be looked up before its deletion", error);
        let store = &*self.0.store;
        let Some(before) = find(store, key).await.map_err(failed)? else {
            return Ok(());
        };
        tokio::time::sleep(grace).await;
        match find(store, key).await.map_err(failed)? {
            Some(now) if is_same_version(&before, &now) => self.delete(key).await,
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;
    use crate::testing::{TestStore, payloads};

    #[tokio::test(start_paused = true)]
    async fn what_was_stored_again_during_its_grace_stays() {
        let store = TestStore::default();
        let payloads = payloads(&store);
        let keys = [Path::from("again"), Path::from("old")];
        for key in &keys {
            store.objects.put(key, "x".into()).await.unwrap();
            payloads.delete_later(key.clone(), Duration::from_secs(60));
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        store.objects.put(&keys[0], "y".into()).await.unwrap();
        payloads.flush().await;
        assert!(store.object(&keys[0]).await.is_some(), "another message points to it");
        assert!(store.object(&keys[1]).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_wait_for_their_grace() {
        let store = TestStore::default();
        let payloads = payloads(&store);
        let keys = [Path::from("within"), Path::from("beyond")];
        for key in &keys {
            store.objects.put(key, "x".into()).await.unwrap();
        }
        let [within, beyond] = keys;
        payloads.delete_later(within.clone(), Duration::from_secs(60));
        for i in 1..PayloadStore::MAX_PENDING_DELETIONS {
            payloads.delete_later(Path::from(format!("gone-{i}")), Duration::from_secs(60));
        }
        payloads.delete_later(beyond.clone(), Duration::from_secs(60));
        payloads.flush().await;
        assert!(store.object(&within).await.is_none());
        assert!(store.object(&beyond).await.is_some(), "left to the sweep");
    }
}
