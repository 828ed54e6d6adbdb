//! The rate of a transfer.

use std::time::Duration;

/// The time over which the rate is averaged, in seconds. Older bytes count less and less.
const WINDOW: f64 = 3.0;

/// A moving average whose weights decay exponentially.
#[derive(Debug)]
pub(super) struct Rate {
    done: u64,
    at: Duration,
    /// The sum of the weighted rates, and of their weights.
    rates: f64,
    weights: f64,
}

impl Rate {
    pub(super) fn starting_at(done: u64) -> Self {
        Self {
            done,
            at: Duration::ZERO,
            rates: 0.0,
            weights: 0.0,
        }
    }

    /// Adds the bytes since the last update, and returns the rate in bytes per second.
    pub(super) fn update(&mut self, done: u64, now: Duration) -> f64 {
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        if seconds > 0.0 {
            // The loss of precision above 2^53 bytes is invisible in the rate.
            #[allow(clippy::cast_precision_loss)]
            let rate = done.saturating_sub(self.done) as f64 / seconds;
            let kept = (-seconds / WINDOW).exp();
            self.rates = self.rates * kept + rate * (1.0 - kept);
            self.weights = self.weights * kept + (1.0 - kept);
            (self.done, self.at) = (done, now);
        }
        if self.weights > 0.0 {
            self.rates / self.weights
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_transfer_has_its_rate_from_the_beginning() {
        let mut rate = Rate::starting_at(1_000_000);
        assert_eq!(rate.update(1_000_000, Duration::ZERO), 0.0);
        for tick in 1..100 {
            let now = rate.update(1_000_000 + u64::from(tick) * 500, Duration::from_millis(100) * tick);
            assert!((now - 5_000.0).abs() < 0.001, "{now}");
        }
    }

    #[test]
    fn a_transfer_that_slows_down_forgets_its_earlier_rate() {
        let mut rate = Rate::starting_at(0);
        rate.update(10_000_000, Duration::from_secs(10));
        let after = |rate: &mut Rate, seconds: u64| rate.update(10_000_000, Duration::from_secs(10 + seconds));
        let soon = after(&mut rate, 1);
        let late = after(&mut rate, 20);
        assert!(soon > 600_000.0 && soon < 1_000_000.0, "{soon}");
        assert!(late < 5_000.0, "{late}");
    }
}
