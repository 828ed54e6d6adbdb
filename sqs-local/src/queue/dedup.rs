//! FIFO deduplication: a message whose id was sent within the last five minutes is not sent again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// The time for which SQS remembers a deduplication id.
pub(crate) const WINDOW: Duration = Duration::from_secs(300);

/// The number of superfluous ages that is not worth a search.
const SLACK: usize = 64;

/// Values by key, each remembered for [`WINDOW`] after its insertion.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    values: HashMap<Key, (Instant, V)>,
    ages: VecDeque<(Instant, Key)>,
}

/// A group and an id. The group is `None` if the scope is the whole queue.
pub(crate) type Key = (Option<String>, String);

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            ages: VecDeque::new(),
        }
    }
}

impl<V> Recent<V> {
    pub(crate) fn get(&mut self, now: Instant, key: &Key) -> Option<&V> {
        self.forget(now);
        self.values.get(key).map(|(_, value)| value)
    }

    /// Remembers a value.
    pub(crate) fn put(&mut self, now: Instant, key: Key, value: V) {
        self.values.insert(key.clone(), (now, value));
        self.ages.push_back((now, key));
        // A key that is put again and again leaves its old ages behind.
        if self.ages.len() > 2 * self.values.len() + SLACK {
            let values = &self.values;
            self.ages
                .retain(|(at, key)| values.get(key).is_some_and(|(put, _)| put == at));
        }
    }

    /// Forgets a value.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.values.remove(key);
    }

    /// Forgets all values.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.ages.clear();
    }

    /// Forgets the values that are too old.
    pub(crate) fn forget(&mut self, now: Instant) {
        while self.ages.front().is_some_and(|(at, _)| *at + WINDOW <= now) {
            // A key that was inserted again has a younger age further back.
            if let Some((at, key)) = self.ages.pop_front()
                && self.values.get(&key).is_some_and(|(put, _)| *put == at)
            {
                self.values.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn values_are_forgotten_after_five_minutes() {
        let mut recent = Recent::default();
        let start = Instant::now();
        let key = (None, "id".to_owned());
        recent.put(start, key.clone(), 1);
        assert_eq!(recent.get(start + Duration::from_secs(299), &key), Some(&1));
        assert_eq!(recent.get(start + WINDOW, &key), None);
        assert!(recent.ages.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_removed_value_that_is_put_again_is_kept_for_its_whole_time() {
        let mut recent = Recent::default();
        let start = Instant::now();
        let key = (None, "id".to_owned());
        recent.put(start, key.clone(), 1);
        recent.remove(&key);
        assert_eq!(recent.get(start, &key), None);
        recent.put(start + Duration::from_secs(100), key.clone(), 2);
        assert_eq!(recent.get(start + WINDOW, &key), Some(&2));
        recent.clear();
        assert_eq!(recent.get(start + WINDOW, &key), None);
        assert!(recent.ages.is_empty());
    }
}
