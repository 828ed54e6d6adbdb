//! The order of delivery of both kinds of queues.

use crate::queue::fair::Tenants;
use crate::queue::fifo::{Begun, Groups};
use crate::rng::Rng;

/// The messages that can be received now.
///
/// A message's rank is its place in the order. It is the message's key until the message is returned or times out, and then a
/// new one behind all others. A message that is returned again and again therefore starves no other.
#[derive(Debug)]
pub(crate) enum Ready {
    Standard(Tenants),
    Fifo(Groups),
}

impl Ready {
    pub(crate) fn new(fifo: bool) -> Self {
        if fifo {
            Self::Fifo(Groups::default())
        } else {
            Self::Standard(Tenants::default())
        }
    }

    /// Adds a message, ready or delayed. Its rank is its key.
    pub(crate) fn enter(&mut self, key: u64, group: &str, delayed: bool) {
        match self {
            Self::Standard(_) if delayed => {}
            Self::Standard(tenants) => tenants.enter(key, key, group),
            Self::Fifo(groups) => groups.enter(key, group, delayed),
        }
    }

    /// Ends a message's delay.
    pub(crate) fn wake(&mut self, key: u64, group: &str) {
        match self {
            Self::Standard(tenants) => tenants.enter(key, key, group),
            Self::Fifo(groups) => groups.wake(key, group),
        }
    }

    /// Takes the next message, which is then in flight. With a random number generator, a standard queue yields a random
    /// message instead of the next. `begun` is the receive's current FIFO group.
    pub(crate) fn take(&mut self, shuffle: Option<&Rng>, begun: &mut Option<Begun>) -> Option<u64> {
        match self {
            Self::Standard(tenants) => tenants.take(shuffle),
            Self::Fifo(groups) => groups.take(begun),
        }
    }

    /// Makes a message in flight available again, at this rank.
    pub(crate) fn release(&mut self, key: u64, rank: u64, group: &str) {
        match self {
            Self::Standard(tenants) => {
                tenants.enter(key, rank, group);
                tenants.settle(group);
            }
            Self::Fifo(groups) => groups.release(key, rank, group),
        }
    }

    /// Marks an available message as in flight again, because an expired handle got a new visibility timeout.
    pub(crate) fn retake(&mut self, rank: u64) -> bool {
        match self {
            Self::Standard(tenants) => tenants.retake(rank),
            Self::Fifo(_) => false,
        }
    }

    /// Removes a message that is not in flight.
    pub(crate) fn leave(&mut self, key: u64, rank: u64, group: &str) {
        match self {
            Self::Standard(tenants) => tenants.leave(rank),
            Self::Fifo(groups) => groups.leave(key, group),
        }
    }

    /// Removes a message that is in flight.
    pub(crate) fn settle(&mut self, key: u64, group: &str) {
        match self {
            Self::Standard(tenants) => tenants.settle(group),
            Self::Fifo(groups) => groups.leave(key, group),
        }
    }
}

#[cfg(test)]
impl Ready {
    /// Returns `true` if no message is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Standard(tenants) => tenants.is_empty(),
            Self::Fifo(groups) => groups.is_empty(),
        }
    }
}
