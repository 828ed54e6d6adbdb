//! The time that the parts of a download usually wait for the network, to recognize slow ones.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One in this number of parts may be requested a second time, and one more.
const REPEATED_SHARE: u32 = 16;

/// The least wait after which a part is slow. Within less, a second request gains nothing.
const MIN_PATIENCE: Duration = Duration::from_millis(10);

/// Learns from the parts that have arrived. A part is slow if it waits far longer than they did.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    samples: u32,
    repeated: u32,
    /// The average time in seconds, and the average deviation from it, as TCP estimates its round trips (RFC 6298).
    mean: f64,
    deviation: f64,
}

impl Pace {
    /// Learns the time that a part waited for its bytes.
    pub(super) fn learn(&self, waited: Duration) {
        let mut state = self.lock();
        let waited = waited.as_secs_f64();
        if state.samples == 0 {
            (state.mean, state.deviation) = (waited, waited / 2.0);
        } else {
            let error = waited - state.mean;
            state.deviation += (error.abs() - state.deviation) / 4.0;
            state.mean += error / 8.0;
        }
        state.samples = state.samples.saturating_add(1);
    }

    /// Returns the wait after which a part is slow, or `None` before the first one has arrived.
    pub(super) fn patience(&self) -> Option<Duration> {
        let state = self.lock();
        let patience = state.mean + (4.0 * state.deviation).max(state.mean / 2.0);
        let patience = Duration::try_from_secs_f64(patience).unwrap_or(Duration::MAX);
        (state.samples > 0).then_some(patience.max(MIN_PATIENCE))
    }

    /// Returns `true` if a slow part may be requested a second time, which counts it as repeated.
    pub(super) fn may_repeat(&self) -> bool {
        let mut state = self.lock();
        let may = state.repeated <= state.samples / REPEATED_SHARE;
        state.repeated += u32::from(may);
        may
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers only, which no panic can leave invalid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_slow_only_compared_with_others() {
        let pace = Pace::default();
        assert_eq!(pace.patience(), None);
        pace.learn(Duration::from_millis(100));
        // The deviation of a single part is unknown, so the estimate is cautious.
        assert_eq!(pace.patience(), Some(Duration::from_millis(300)));
        for _ in 0..50 {
            pace.learn(Duration::from_millis(100));
        }
        let patience = pace.patience().unwrap();
        assert!((150..160).contains(&patience.as_millis()), "{patience:?}");
        for waited in [20, 180].repeat(50) {
            pace.learn(Duration::from_millis(waited));
        }
        let patience = pace.patience().unwrap();
        assert!(patience > Duration::from_millis(300), "{patience:?}");
    }

    #[test]
    fn few_parts_are_repeated() {
        let pace = Pace::default();
        let repeated = |parts: u32| {
            let mut repeated = 0;
            for _ in 0..parts {
                pace.learn(Duration::from_millis(1));
                repeated += u32::from(pace.may_repeat());
            }
            repeated
        };
        assert!(repeated(160) <= 11);
    }
}
