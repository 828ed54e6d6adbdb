//! The server's time: a monotonic clock, and a wall clock that follows it plus a skew that a test may set. A paused tokio
//! runtime can drive the monotonic clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{Date, Month, OffsetDateTime};
use tokio::time::Instant;

/// A reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The time for intervals: visibility, delay, retention and deduplication.
    pub(crate) at: Instant,
    /// Milliseconds since 1970, for timestamps in responses.
    pub(crate) wall_ms: u64,
}

/// The server's clock. Intervals never jump, but a test may skew the wall clock.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    start_wall: Duration,
    skew_ms: AtomicI64,
}

impl Clock {
    /// Creates a clock that starts at this time, or at the system's.
    // The only reading of the system's clock. All other code uses this one.
    #[allow(clippy::disallowed_methods)]
    pub(crate) fn new(start: Option<SystemTime>) -> Self {
        let since_epoch = start.unwrap_or_else(SystemTime::now).duration_since(UNIX_EPOCH);
        Self {
            start: Instant::now(),
            start_wall: since_epoch.unwrap_or_default(),
            skew_ms: AtomicI64::new(0),
        }
    }

    /// Sets the wall clock's skew in seconds. A negative skew puts it behind the system's clock. The skew affects the
    /// `Date` header, timestamps, and the time window in which signatures are accepted. Default: 0.
    pub fn set_skew_seconds(&self, seconds: i64) {
        self.skew_ms.store(seconds.saturating_mul(1000), Ordering::Relaxed);
    }

    /// Returns the wall clock's time without the skew, as a time source for clients: see
    /// `sqs_client::ClientBuilder::time_source`.
    pub fn system_time(&self) -> SystemTime {
        UNIX_EPOCH + self.wall(Instant::now())
    }

    fn wall(&self, at: Instant) -> Duration {
        self.start_wall + at.saturating_duration_since(self.start)
    }

    pub(crate) fn now(&self) -> Now {
        let at = Instant::now();
        let wall = self.wall(at);
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let skew = self.skew_ms.load(Ordering::Relaxed);
        Now {
            at,
            wall_ms: wall_ms.saturating_add_signed(skew),
        }
    }
}

/// Formats a `Date` header: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn http_date(epoch_seconds: i64) -> String {
    let t = utc(epoch_seconds);
    // The header's abbreviations are the first three letters of the names.
    format!(
        "{:.3}, {:02} {:.3} {:04} {:02}:{:02}:{:02} GMT",
        t.weekday().to_string(),
        t.day(),
        t.month().to_string(),
        t.year(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// Formats an `x-amz-date` header: `20150830T123600Z`.
pub(crate) fn amz_date(epoch_seconds: i64) -> String {
    let t = utc(epoch_seconds);
    let (month, day) = (u8::from(t.month()), t.day());
    let (h, m, s) = t.to_hms();
    format!("{:04}{month:02}{day:02}T{h:02}{m:02}{s:02}Z", t.year())
}

/// Parses an `x-amz-date` header: `20150830T123600Z`.
pub(crate) fn parse_amz_date(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    if date.len() != 8 || time.len() != 6 {
        return None;
    }
    let number = |part: Option<&str>| part?.parse::<u8>().ok();
    let year = date.get(..4)?.parse().ok()?;
    let month = Month::try_from(number(date.get(4..6))?).ok()?;
    let date = Date::from_calendar_date(year, month, number(date.get(6..))?).ok()?;
    let (h, m, s) = (number(time.get(..2))?, number(time.get(2..4))?, number(time.get(4..))?);
    Some(date.with_hms(h, m, s).ok()?.assume_utc().unix_timestamp())
}

fn utc(epoch_seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(epoch_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_amz_date("20150830T123600Z"), Some(1_440_938_160));
        for seconds in [0, 951_782_400, 1_709_164_800, 1_440_938_160, 4_102_444_799] {
            assert_eq!(parse_amz_date(&amz_date(seconds)), Some(seconds));
        }
        assert_eq!(parse_amz_date("2015-08-30T12:36:00Z"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_follows_paused_time_and_skew() {
        let clock = Clock::new(None);
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now().wall_ms, before.wall_ms + 5000);
        clock.set_skew_seconds(-1200);
        assert_eq!(clock.now().wall_ms, before.wall_ms + 5000 - 1_200_000);
    }
}
