//! The order of delivery: by arrival on a standard queue, by group on a FIFO queue.

use std::collections::BTreeSet;

use crate::queue::fifo::{Begun, Groups};
use crate::rng::Rng;

/// The messages that can be received now.
#[derive(Debug)]
pub(crate) enum Ready {
    /// Messages in order of arrival, though SQS promises no order.
    Standard(BTreeSet<u64>),
    Fifo(Groups),
}

impl Ready {
    pub(crate) fn new(fifo: bool) -> Self {
        if fifo {
            Self::Fifo(Groups::default())
        } else {
            Self::Standard(BTreeSet::new())
        }
    }

    /// Adds a message, ready or delayed.
    pub(crate) fn enter(&mut self, key: u64, group: &str, delayed: bool) {
        match self {
            Self::Standard(_) if delayed => {}
            Self::Standard(keys) => {
                keys.insert(key);
            }
            Self::Fifo(groups) => groups.enter(key, group, delayed),
        }
    }

    /// Ends a message's delay.
    pub(crate) fn wake(&mut self, key: u64, group: &str) {
        match self {
            Self::Standard(keys) => {
                keys.insert(key);
            }
            Self::Fifo(groups) => groups.wake(key, group),
        }
    }

    /// Takes the next message, which is then in flight. With a random number generator, a standard queue yields a random
    /// message instead of the oldest. `begun` is the receive's current FIFO group.
    pub(crate) fn take(&mut self, shuffle: Option<&Rng>, begun: &mut Option<Begun>) -> Option<u64> {
        match self {
            Self::Standard(keys) => match shuffle {
                Some(rng) => take_any(keys, rng),
                None => keys.pop_first(),
            },
            Self::Fifo(groups) => groups.take(begun),
        }
    }

    /// Makes a message in flight available again.
    pub(crate) fn release(&mut self, key: u64, group: &str) {
        match self {
            Self::Standard(keys) => {
                keys.insert(key);
            }
            Self::Fifo(groups) => groups.release(key, group),
        }
    }

    /// Marks an available message as in flight again, because an expired handle got a new visibility timeout.
    pub(crate) fn retake(&mut self, key: u64) -> bool {
        match self {
            Self::Standard(keys) => keys.remove(&key),
            Self::Fifo(_) => false,
        }
    }

    /// Removes a message.
    pub(crate) fn leave(&mut self, key: u64, group: &str) {
        match self {
            Self::Standard(keys) => {
                keys.remove(&key);
            }
            Self::Fifo(groups) => groups.leave(key, group),
        }
    }
}

/// Returns a random key in logarithmic time: the first at or after a random point of the range.
fn take_any(keys: &mut BTreeSet<u64>, rng: &Rng) -> Option<u64> {
    let (first, last) = (*keys.first()?, *keys.last()?);
    let span = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    let point = first + rng.below(span) as u64;
    let key = *keys.range(point..).next()?;
    keys.remove(&key);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_yields_all_messages_out_of_order() {
        let rng = Rng::new(1);
        let mut ready = Ready::new(false);
        (0..100).for_each(|key| ready.enter(key, "", false));
        let taken: Vec<u64> = std::iter::from_fn(|| ready.take(Some(&rng), &mut None)).collect();
        assert!(!taken.is_sorted());
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 100);
    }
}
