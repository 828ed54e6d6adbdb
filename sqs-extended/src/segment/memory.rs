//! What is remembered of payloads, bounded by their number and by time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// A value for each of the latest ids; the oldest are forgotten first.
#[derive(Debug)]
pub(super) struct Memory<V> {
    values: HashMap<String, (Instant, V)>,
    /// When which id was remembered; those that were forgotten or renewed since have another time, or none, in `values`.
    order: VecDeque<(Instant, String)>,
    capacity: usize,
    lifetime: Duration,
}

impl<V> Memory<V> {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            values: HashMap::new(),
            order: VecDeque::new(),
            capacity,
            lifetime,
        }
    }

    pub(super) fn get(&mut self, id: &str, now: Instant) -> Option<&mut V> {
        self.trim(now);
        self.values.get_mut(id).map(|(_, value)| value)
    }

    pub(super) fn remember(&mut self, id: &str, value: V, now: Instant) {
        self.values.insert(id.to_owned(), (now, value));
        self.order.push_back((now, id.to_owned()));
        self.trim(now);
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.values.remove(id);
    }

    fn trim(&mut self, now: Instant) {
        while let Some((since, id)) = self.order.front() {
            if self.order.len() <= self.capacity && now.saturating_duration_since(*since) < self.lifetime {
                break;
            }
            if self.values.get(id).is_some_and(|(at, _)| at == since) {
                self.values.remove(id);
            }
            self.order.pop_front();
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
    fn renewed_and_forgotten_ids_take_no_room_for_long() {
        let start = Instant::now();
        let mut memory = Memory::new(3, MINUTE);
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            memory.remember("a", second, now);
            memory.remember("b", second, now);
            memory.forget("b");
        }
        assert!(memory.order.len() <= 3 && memory.values.len() == 1);
        let now = start + Duration::from_secs(99) + MINUTE / 2;
        assert_eq!(memory.get("a", now), Some(&mut 99), "it counts from the last time");
    }
}
