//! The injected randomness, with which a simulation can run client and server on one seed.
//!
//! No other file reads the machine's randomness.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A source of randomness that clones share.
#[derive(Clone)]
pub struct Random(Arc<Mutex<fastrand::Rng>>);

impl Default for Random {
    /// Creates a source with a random seed.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::new())))
    }
}

impl Random {
    /// Creates a source with this seed.
    pub fn with_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Returns a number from the uniform distribution over `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// Returns a unique id: 128 random bits in hexadecimal.
    pub fn id(&self) -> String {
        let bits = self.0.lock().unwrap_or_else(PoisonError::into_inner).u128(..);
        format!("{bits:032x}")
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}
