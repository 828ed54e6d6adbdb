//! The injected wall clock, and its correction to the servers' time.
//!
//! No other file reads the machine's wall clock. Monotonic time comes from [`tokio::time`], which a test can pause.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// The largest correction.
pub(crate) const MAX_OFFSET: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A clock that clones share.
#[derive(Clone)]
pub(crate) struct Clock {
    local: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// The seconds that the server's clock is ahead of the local one.
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// Returns a clock that reads the machine's clock.
    #[allow(clippy::disallowed_methods)] // the only use
    pub(crate) fn system() -> Self {
        Self::new(SystemTime::now)
    }

    pub(crate) fn new(local: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            local: Arc::new(local),
            offset: Arc::default(),
        }
    }

    /// Returns a clock with the same local time and no correction yet.
    pub(crate) fn uncorrected(&self) -> Self {
        Self {
            local: Arc::clone(&self.local),
            offset: Arc::default(),
        }
    }

    /// Returns the local time, without any correction.
    #[cfg(feature = "consumer")]
    pub(crate) fn local(&self) -> SystemTime {
        (self.local)()
    }

    /// Returns the server's time as far as it is known, or else the local time.
    pub(crate) fn now(&self) -> SystemTime {
        let offset = self.offset.load(Ordering::Relaxed);
        let ahead = Duration::from_secs(offset.unsigned_abs());
        let now = (self.local)();
        let corrected = if offset < 0 {
            now.checked_sub(ahead)
        } else {
            now.checked_add(ahead)
        };
        corrected.unwrap_or(now)
    }

    /// Learns the server's time from the `Date` of a response that refused our time.
    pub(crate) fn correct(&self, date: &str) {
        let Ok(date) = OffsetDateTime::parse(date, &Rfc2822) else {
            return;
        };
        let offset = date.unix_timestamp().saturating_sub(epoch_seconds((self.local)()));
        if offset.unsigned_abs() > MAX_OFFSET.as_secs() {
            tracing::warn!(
                offset,
                "ignoring the server's date, which is too far from this machine's clock"
            );
            return;
        }
        self.offset.store(offset, Ordering::Relaxed);
        tracing::warn!(
            offset,
            "the server's clock differs from this machine's; signing with the server's time"
        );
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// Returns the whole seconds since 1970, negative before, and saturates.
pub(crate) fn epoch_seconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_at(seconds: u64) -> Clock {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Clock::new(move || now)
    }

    #[test]
    fn a_clock_that_starts_in_1970_is_corrected_and_a_far_future_is_ignored() {
        let clock = clock_at(100);
        clock.correct("Thu, 26 Nov 2026 01:00:00 GMT");
        let corrected = epoch_seconds(clock.now());
        assert_eq!(corrected, 1_795_654_800);
        for wrong in [
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Mon, 01 Jan 2200 00:00:00 GMT",
            "soon",
            "",
        ] {
            clock.correct(wrong);
            assert_eq!(epoch_seconds(clock.now()), corrected, "{wrong}");
        }
        // The machine's clock was corrected in the meantime.
        clock.correct("Thu, 01 Jan 1970 00:01:40 GMT");
        assert_eq!(epoch_seconds(clock.now()), 100);
    }

    #[test]
    fn an_uncorrected_copy_learns_on_its_own() {
        let clock = clock_at(100);
        let copy = clock.uncorrected();
        clock.correct("Thu, 26 Nov 2026 01:00:00 GMT");
        assert_eq!(epoch_seconds(copy.now()), 100);
    }

    #[test]
    fn extreme_times_do_not_panic() {
        let past = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 40);
        let future = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 62);
        for time in [past, future] {
            let clock = Clock::new(move || time);
            clock.correct("Thu, 26 Nov 2026 01:00:00 GMT");
            assert_eq!(clock.now(), time);
        }
    }
}
