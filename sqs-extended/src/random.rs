//! The source of randomness, which simulations seed.
//!
//! No other file uses the machine's randomness, except for the keys of stored payloads, which
//! [`PayloadStoreBuilder::key_ids`](crate::store::PayloadStoreBuilder::key_ids) sets.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

#[derive(Clone)]
pub(crate) enum Random {
    Real,
    Seeded(Arc<Mutex<fastrand::Rng>>),
}

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Returns a number from the uniform distribution over `0.0..1.0`.
    pub(crate) fn fraction(&self) -> f64 {
        match self {
            Self::Real => fastrand::f64(),
            Self::Seeded(random) => random.lock().unwrap_or_else(PoisonError::into_inner).f64(),
        }
    }

    /// Returns a UUID. It cannot be guessed unless the source is seeded.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Real => Uuid::new_v4(),
            Self::Seeded(random) => Uuid::from_u128(random.lock().unwrap_or_else(PoisonError::into_inner).u128(..)),
        }
        .to_string()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_values_and_other_seeds_do_not() {
        let drawn = |random: &Random| (random.id(), random.fraction());
        assert_eq!(drawn(&Random::seeded(7)), drawn(&Random::seeded(7)));
        assert_ne!(drawn(&Random::seeded(7)), drawn(&Random::seeded(8)));
        assert_ne!(drawn(&Random::Real), drawn(&Random::Real));
    }
}
