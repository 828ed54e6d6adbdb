//! Removes payloads that no message needs.

use std::time::Duration;

use object_store::path::Path;

use crate::error::Error;
use crate::payload_store::deletion::Deletion;
use crate::payload_store::fetch::Located;
use crate::payload_store::store::PayloadStore;
use crate::transfer::lookup::{find, is_same_version};

/// The result of removing the payload of a deleted message.
#[derive(Debug)]
pub(crate) enum Removed {
    Deleted,
    /// The [`Deletion`] setting retains it, for a time or for good.
    Retained,
    Failed(Error),
}

impl PayloadStore {
    /// The maximum number of payloads whose [delayed](Deletion::After) deletion is pending. Further payloads are left to the
    /// sweep.
    pub const MAX_PENDING_DELETIONS: usize = 100_000;

    /// Deletes the payload of a deleted message, as the [`Deletion`] setting says.
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

    /// Deletes the payload of a message that was certainly not sent.
    pub(crate) async fn discard(&self, key: &Path) {
        if let Err(error) = self.delete(key).await {
            tracing::warn!(
                key = key.as_ref(),
                error = &error as &dyn std::error::Error,
                "failed to delete the payload of a message that was not sent; it stays in the store as an orphaned object"
            );
        }
    }

    /// Deletes an object. A missing object counts as deleted.
    async fn delete(&self, key: &Path) -> Result<(), Error> {
        let inner = &*self.0;
        inner.deleter.delete(&inner.store, key.clone(), &inner.background).await
    }

    /// Deletes the payload after `grace` if the runtime still lives. Otherwise the sweep does.
    fn delete_later(&self, key: Path, grace: Duration) {
        if self.0.background.len() >= PayloadStore::MAX_PENDING_DELETIONS {
            tracing::warn!(
                key = key.as_ref(),
                "too many deletions are pending; leaving a payload to the sweep"
            );
            return;
        }
        let this = self.clone();
        self.0.background.spawn(async move {
            if let Err(error) = this.delete_after(&key, grace).await {
                tracing::warn!(
                    key = key.as_ref(),
                    error = &error as &dyn std::error::Error,
                    "failed to delete a payload after its delay; leaving it to the sweep"
                );
            }
        });
    }

    /// Deletes the payload after `grace`, unless another one was stored under its key, which another message points to.
    async fn delete_after(&self, key: &Path, grace: Duration) -> Result<(), Error> {
        let failed = |error| Error::store("failed to look up the payload before its deletion", error);
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
    async fn a_payload_stored_again_before_its_deletion_stays() {
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
    async fn pending_deletions_are_limited() {
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
