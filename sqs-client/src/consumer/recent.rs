//! A bounded memory of messages, by their ids.

use std::collections::{HashMap, VecDeque};

/// The capacity of a memory. The oldest message is forgotten first.
pub(super) const REMEMBERED: usize = 1024;

#[derive(Debug)]
pub(super) struct Recent<V> {
    /// Each value with the number of its insertion.
    values: HashMap<String, (u64, V)>,
    /// Up to [`REMEMBERED`] insertions, the oldest first. An insertion stays after its value was removed or replaced.
    order: VecDeque<(u64, String)>,
    inserted: u64,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            order: VecDeque::new(),
            inserted: 0,
        }
    }
}

impl<V> Recent<V> {
    /// Remembers a message, unless its id is empty. Messages without an id cannot be told apart.
    pub(super) fn insert(&mut self, id: &str, value: V) {
        if id.is_empty() {
            return;
        }
        if self.order.len() == REMEMBERED
            && let Some((number, oldest)) = self.order.pop_front()
            && self.values.get(&oldest).is_some_and(|(last, _)| *last == number)
        {
            self.values.remove(&oldest);
        }
        self.inserted += 1;
        self.order.push_back((self.inserted, id.to_owned()));
        self.values.insert(id.to_owned(), (self.inserted, value));
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.values.contains_key(id)
    }

    pub(super) fn take(&mut self, id: &str) -> Option<V> {
        self.values.remove(id).map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.values_mut().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_message_is_forgotten_first_and_taken_ones_leave_nothing() {
        let mut recent = Recent::default();
        for number in 0..REMEMBERED + 2 {
            recent.insert(&number.to_string(), number);
        }
        assert!(!recent.contains("1") && recent.contains("2"));
        assert_eq!((recent.take("2"), recent.take("2")), (Some(2), None));
        for number in 0..10 * REMEMBERED {
            recent.insert("again", number);
            recent.take("again");
        }
        assert!(recent.order.len() <= REMEMBERED && recent.values.is_empty());
        recent.insert("", 1);
        assert!(!recent.contains(""));
    }

    #[test]
    fn remembering_a_message_again_renews_it() {
        let mut recent = Recent::default();
        recent.insert("again", 0);
        recent.take("again");
        for number in 2..REMEMBERED {
            recent.insert(&number.to_string(), number);
        }
        recent.insert("again", 1);
        recent.insert("one more", 1);
        assert_eq!(recent.take("again"), Some(1));
    }
}
