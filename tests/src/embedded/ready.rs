//! Which message comes next: by order of arrival on a standard queue, by group on a FIFO queue.

use std::collections::BTreeSet;

use super::fifo::{Begun, Groups};
use super::rng::Rng;

/// The messages that may be received now.
#[derive(Debug)]
pub(crate) enum Ready {
    /// Arrival order, though SQS promises none.
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

    /// A message entered the queue, ready or (still) delayed.
    pub(crate) fn enter(&mut self, key: u64, group: &str, delayed: bool) {
        match self {
            Self::Standard(_) if delayed => {}
            Self::Standard(keys) => {
                keys.insert(key);
            }
            Self::Fifo(groups) => groups.enter(key, group, delayed),
        }
    }

    /// A delay ran out.
    pub(crate) fn wake(&mut self, key: u64, group: &str) {
        match self {
            Self::Standard(keys) => {
                keys.insert(key);
            }
            Self::Fifo(groups) => groups.wake(key, group),
        }
    }

    /// Takes the next message; it is in flight from now on. With a generator, any of the standard queue's
    /// messages comes next, not the oldest. `begun` is the FIFO group that this receive has begun with.
    pub(crate) fn take(&mut self, shuffle: Option<&Rng>, begun: &mut Option<Begun>) -> Option<u64> {
        match self {
            Self::Standard(keys) => match shuffle {
                Some(rng) => take_any(keys, rng),
                None => keys.pop_first(),
            },
            Self::Fifo(groups) => groups.take(begun),
        }
    }

    /// A message in flight came back.
    pub(crate) fn release(&mut self, key: u64, group: &str) {
        match self {
            Self::Standard(keys) => {
                keys.insert(key);
            }
            Self::Fifo(groups) => groups.release(key, group),
        }
    }

    /// A message that came back unreceived goes in flight again: an expired handle was given a new timeout.
    pub(crate) fn retake(&mut self, key: u64) -> bool {
        match self {
            Self::Standard(keys) => keys.remove(&key),
            Self::Fifo(_) => false,
        }
    }

    /// A message left the queue.
    pub(crate) fn leave(&mut self, key: u64, group: &str) {
        match self {
            Self::Standard(keys) => {
                keys.remove(&key);
            }
            Self::Fifo(groups) => groups.leave(key, group),
        }
    }
}

/// A random key, found in logarithmic time: the first at or after a random point of the range.
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
    fn shuffled_takes_all_but_not_in_order() {
        let rng = Rng::new(1);
        let mut ready = Ready::new(false);
        (0..100).for_each(|key| ready.enter(key, "", false));
        let taken: Vec<u64> = std::iter::from_fn(|| ready.take(Some(&rng), &mut None)).collect();
        assert!(!taken.is_sorted());
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 100);
    }
}
