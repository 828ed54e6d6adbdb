//! The registry of queues: one for each account and region that created a queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::error::{self, Error, Result};
use crate::queue::Queue;

/// The maximum number of pairs of account and region that have queues.
pub const MAX_REALMS: usize = 1000;
/// The maximum number of queues of a server.
pub const MAX_QUEUES: usize = 100_000;

/// The queues of one account in one region.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    queues: Mutex<BTreeMap<String, Arc<Queue>>>,
    deleted: Mutex<HashMap<String, Instant>>,
}

impl Registry {
    pub(crate) fn queues(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a queue was deleted, and forgets those that were deleted more than `kept` ago.
    pub(crate) fn mark_deleted(&self, name: &str, now: Instant, kept: Duration) {
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.retain(|_, at| now.saturating_duration_since(*at) < kept);
        deleted.insert(name.to_owned(), now);
    }

    pub(crate) fn deleted_at(&self, name: &str) -> Option<Instant> {
        let deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.get(name).copied()
    }
}

/// The registries of a server.
#[derive(Debug, Default)]
pub(crate) struct Registries(Mutex<BTreeMap<(String, String), Arc<Registry>>>);

impl Registries {
    /// Returns the registry of an account in a region, or an empty one that is not kept.
    pub(crate) fn find(&self, account: &str, region: &str) -> Arc<Registry> {
        let found = self.lock().get(&(account.to_owned(), region.to_owned())).cloned();
        found.unwrap_or_default()
    }

    /// Returns the registry of an account in a region, which is created if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns `OverLimit` if there are [`MAX_REALMS`] others with queues.
    pub(crate) fn open(&self, account: &str, region: &str) -> Result<Arc<Registry>> {
        let mut all = self.lock();
        let key = (account.to_owned(), region.to_owned());
        if !all.contains_key(&key) && all.len() >= MAX_REALMS {
            // A registry with a second owner is that of a running request, which may be about to create a queue.
            all.retain(|_, registry| Arc::strong_count(registry) > 1 || !registry.queues().is_empty());
        }
        if !all.contains_key(&key) && all.len() >= MAX_REALMS {
            let message = format!(
                "This server has queues in {MAX_REALMS} pairs of account and region, which is its maximum; delete the \
                 queues of one."
            );
            return Err(Error::new(&error::OVER_LIMIT, message));
        }
        Ok(all.entry(key).or_default().clone())
    }

    /// Returns the number of queues.
    pub(crate) fn queue_count(&self) -> usize {
        self.lock().values().map(|registry| registry.queues().len()).sum()
    }

    /// Returns all queues.
    pub(crate) fn queues(&self) -> Vec<Arc<Queue>> {
        let all = self.lock();
        let queues = all
            .values()
            .flat_map(|registry| registry.queues().values().cloned().collect::<Vec<_>>());
        queues.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Registry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_accounts_and_regions_is_bounded() {
        let all = Registries::default();
        let used: Vec<_> = (0..MAX_REALMS)
            .map(|n| all.open(&n.to_string(), "r").expect("room"))
            .collect();
        assert!(all.open("0", "r").is_ok());
        let refused = all.open("other", "r").map_err(|e| e.code);
        assert_eq!(refused.map(drop), Err(&error::OVER_LIMIT));
        // Those without queues make room.
        drop(used);
        assert!(all.open("other", "r").is_ok());
        assert_eq!(all.lock().len(), 1);
    }

    #[test]
    fn a_look_up_keeps_nothing() {
        let all = Registries::default();
        assert!(all.find("0", "r").queues().is_empty());
        assert!(all.lock().is_empty());
    }
}
