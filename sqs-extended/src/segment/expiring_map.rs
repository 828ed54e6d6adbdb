//! A map of limited size whose entries expire.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

/// A value for each of the most recent ids. When it is full, the oldest entry goes first.
#[derive(Debug)]
pub(super) struct ExpiringMap<V> {
    entries: HashMap<String, Entry<V>>,
    /// The same ids, by insertion number.
    order: BTreeMap<u64, String>,
    next_number: u64,
    capacity: usize,
    lifetime: Duration,
}

#[derive(Debug)]
struct Entry<V> {
    /// The key in `order`.
    number: u64,
    inserted_at: Instant,
    value: V,
}

impl<V> ExpiringMap<V> {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next_number: 0,
            capacity,
            lifetime,
        }
    }

    pub(super) fn get(&mut self, id: &str, now: Instant) -> Option<&mut V> {
        self.evict(now);
        self.entries.get_mut(id).map(|entry| &mut entry.value)
    }

    /// Inserts or replaces the value, whose lifetime begins now.
    pub(super) fn insert(&mut self, id: &str, value: V, now: Instant) {
        let number = self.next_number;
        self.next_number += 1;
        let entry = Entry {
            number,
            inserted_at: now,
            value,
        };
        if let Some(replaced) = self.entries.insert(id.to_owned(), entry) {
            self.order.remove(&replaced.number);
        }
        self.order.insert(number, id.to_owned());
        self.evict(now);
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(removed) = self.entries.remove(id) {
            self.order.remove(&removed.number);
        }
    }

    /// Removes expired entries, and the oldest ones above the capacity.
    fn evict(&mut self, now: Instant) {
        while let Some(oldest) = self.order.first_entry() {
            let is_alive = |entry: &Entry<V>| now.saturating_duration_since(entry.inserted_at) < self.lifetime;
            if self.entries.len() <= self.capacity && self.entries.get(oldest.get()).is_some_and(is_alive) {
                break;
            }
            self.entries.remove(&oldest.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn entries_expire_and_the_oldest_goes_first() {
        let start = Instant::now();
        let mut map = ExpiringMap::new(2, MINUTE);
        map.insert("a", 1, start);
        map.insert("b", 2, start + MINUTE / 2);
        assert_eq!(map.get("a", start + MINUTE / 2), Some(&mut 1));
        assert_eq!(map.get("a", start + MINUTE), None);
        assert_eq!(map.get("b", start + MINUTE), Some(&mut 2));
        map.insert("c", 3, start + MINUTE);
        map.insert("d", 4, start + MINUTE);
        assert_eq!(map.get("b", start + MINUTE), None, "the third");
        assert_eq!(map.get("c", start + MINUTE), Some(&mut 3));
    }

    #[test]
    fn replaced_and_removed_ids_use_no_capacity() {
        let start = Instant::now();
        let mut map = ExpiringMap::new(3, MINUTE);
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            map.insert("a", second, now);
            map.insert("b", second, now);
            map.remove("b");
        }
        assert!(map.order.len() == 1 && map.entries.len() == 1);
        let now = start + Duration::from_secs(99) + MINUTE / 2;
        assert_eq!(
            map.get("a", now),
            Some(&mut 99),
            "the lifetime begins at the last insertion"
        );
    }

    #[test]
    fn replacing_values_does_not_reduce_the_capacity() {
        let start = Instant::now();
        let mut map = ExpiringMap::new(100, MINUTE);
        for round in 0..7 {
            for id in 0..100 {
                map.insert(&id.to_string(), round, start);
            }
        }
        for id in 0..100 {
            assert_eq!(map.get(&id.to_string(), start), Some(&mut 6), "{id}");
        }
        map.insert("one more", 0, start);
        assert_eq!(map.get("0", start), None, "the oldest");
        assert_eq!(map.get("1", start), Some(&mut 6));
    }
}
