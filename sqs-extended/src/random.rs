//! Chance, which is injected, so that a simulation can run on one seed. This is the one file that asks the machine for it;
//! the keys of stored payloads are [`PayloadStoreBuilder::key_ids`](crate::store::PayloadStoreBuilder::key_ids)'s.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

#[derive(Clone)]
pub(crate) enum Ambient {
    Real,
    Seeded(Arc<Mutex<fastrand::Rng>>),
}

impl Ambient {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn fraction(&self) -> f64 {
        match self {
            Self::Real => fastrand::f64(),
            Self::Seeded(random) => random.lock().unwrap_or_else(PoisonError::into_inner).f64(),
        }
    }

    /// An id that no other call gives, and nobody can guess unless chance is seeded: a UUID.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Real => Uuid::new_v4(),
            Self::Seeded(random) => Uuid::from_u128(random.lock().unwrap_or_else(PoisonError::into_inner).u128(..)),
        }
        .to_string()
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_seed_have_the_same_chance_and_others_do_not() {
        let drawn = |ambient: &Ambient| (ambient.id(), ambient.fraction());
        assert_eq!(drawn(&Ambient::seeded(7)), drawn(&Ambient::seeded(7)));
        assert_ne!(drawn(&Ambient::seeded(7)), drawn(&Ambient::seeded(8)));
        assert_ne!(drawn(&Ambient::Real), drawn(&Ambient::Real));
    }
}
