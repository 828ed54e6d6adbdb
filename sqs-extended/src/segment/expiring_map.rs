//! Values that are remembered of payloads, bounded by their number and by time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

/// A value for each of the latest ids; the oldest are forgotten first.
#[derive(Debug)]
pub(super) struct Memory<V> {
    values: HashMap<String, Remembered<V>>,
    /// The same ids in the order in which they were last remembered.
    order: BTreeMap<u64, String>,
    next: u64,
    capacity: usize,
    lifetime: Duration,
}

#[derive(Debug)]
struct Remembered<V> {
    /// Its place in the order.
    place: u64,
    at: Instant,
    value: V,
}

impl<V> Memory<V> {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            values: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            capacity,
            lifetime,
        }
    }

    pub(super) fn get(&mut self, id: &str, now: Instant) -> Option<&mut V> {
        self.trim(now);
        self.values.get_mut(id).map(|remembered| &mut remembered.value)
    }

    pub(super) fn remember(&mut self, id: &str, value: V, at: Instant) {
        let place = self.next;
        self.next += 1;
        let before = self.values.insert(id.to_owned(), Remembered { place, at, value });
        if let Some(before) = before {
            self.order.remove(&before.place);
        }
        self.order.insert(place, id.to_owned());
        self.trim(at);
    }

    pub(super) fn forget(&mut self, id: &str) {
        if let Some(forgotten) = self.values.remove(id) {
            self.order.remove(&forgotten.place);
        }
    }

    fn trim(&mut self, now: Instant) {
        while let Some(oldest) = self.order.first_entry() {
            let is_young = |remembered: &Remembered<V>| now.saturating_duration_since(remembered.at) < self.lifetime;
            if self.values.len() <= self.capacity && self.values.get(oldest.get()).is_some_and(is_young) {
                break;
            }
            self.values.remove(&oldest.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn forgets_after_a_time_and_beyond_a_number() {
        let start = Instant::now();
        let mut memory = Memory::new(2, MINUTE);
        memory.remember("a", 1, start);
        memory.remember("b", 2, start + MINUTE / 2);
        assert_eq!(memory.get("a", start + MINUTE / 2), Some(&mut 1));
        assert_eq!(memory.get("a", start + MINUTE), None);
        assert_eq!(memory.get("b", start + MINUTE), Some(&mut 2));
        memory.remember("c", 3, start + MINUTE);
        memory.remember("d", 4, start + MINUTE);
        assert_eq!(memory.get("b", start + MINUTE), None, "the third");
        assert_eq!(memory.get("c", start + MINUTE), Some(&mut 3));
    }

    #[test]
    fn renewed_and_forgotten_ids_take_no_room() {
        let start = Instant::now();
        let mut memory = Memory::new(3, MINUTE);
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            memory.remember("a", second, now);
            memory.remember("b", second, now);
            memory.forget("b");
        }
        assert!(memory.order.len() == 1 && memory.values.len() == 1);
        let now = start + Duration::from_secs(99) + MINUTE / 2;
        assert_eq!(memory.get("a", now), Some(&mut 99), "it counts from the last time");
    }

    #[test]
    fn as_many_ids_are_remembered_as_there_is_room_for_however_often_each_is_renewed() {
        let start = Instant::now();
        let mut memory = Memory::new(100, MINUTE);
        for round in 0..7 {
            for id in 0..100 {
                memory.remember(&id.to_string(), round, start);
            }
        }
        for id in 0..100 {
            assert_eq!(memory.get(&id.to_string(), start), Some(&mut 6), "{id}");
        }
        memory.remember("one more", 0, start);
        assert_eq!(memory.get("0", start), None, "the oldest");
        assert_eq!(memory.get("1", start), Some(&mut 6));
    }
}
