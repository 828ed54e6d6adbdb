//! What the client asks of the machine it runs on: the wall clock and randomness.
//!
//! Both are injected, so that a simulation can run client and server on one seed. This is the only file that reads
//! the real ones; monotonic time is [`tokio::time`]'s, which a test can pause.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

type Clock = dyn Fn() -> SystemTime + Send + Sync;

#[derive(Clone)]
pub(crate) struct Ambient {
    clock: Arc<Clock>,
    random: Arc<Mutex<fastrand::Rng>>,
}

impl Ambient {
    #[allow(clippy::disallowed_methods)] // the one place
    pub(crate) fn real() -> Self {
        Self {
            clock: Arc::new(SystemTime::now),
            random: Arc::new(Mutex::new(fastrand::Rng::new())),
        }
    }

    pub(crate) fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub(crate) fn with_seed(mut self, seed: u64) -> Self {
        self.random = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        self
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn fraction(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// An id that no other call gives: 128 random bits in hexadecimal.
    pub(crate) fn id(&self) -> String {
        let bits = self.random.lock().unwrap_or_else(PoisonError::into_inner).u128(..);
        format!("{bits:032x}")
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").finish_non_exhaustive()
    }
}
