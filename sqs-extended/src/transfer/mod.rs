//! Transfers of payloads to and from the object store, independent of messages.

pub(crate) mod blocking_writer;
mod budget;
pub(crate) mod delete;
pub(crate) mod download;
pub(crate) mod interruptible;
pub(crate) mod journal;
pub(crate) mod lookup;
pub(crate) mod part_plan;
pub(crate) mod part_source;
pub(crate) mod pressure;
mod throttle;
mod tuner;
pub(crate) mod upload;

use budget::Budget;
use pressure::Pressure;
use throttle::Throttle;

/// The limits that all transfers of a store share. Clones share them too.
#[derive(Clone, Debug)]
pub(crate) struct Resources {
    budget: Budget,
    throttle: Throttle,
}

impl Resources {
    /// Limits the memory of all transfers to `memory` bytes, and their requests to what `pressure` allows.
    pub(crate) fn new(memory: u64, pressure: Pressure) -> Self {
        Self {
            budget: Budget::new(memory),
            throttle: Throttle::new(pressure),
        }
    }
}
