//! Growing delays for segments that are returned again and again.

use std::time::Duration;

use tokio::time::Instant;

use crate::segment::expiring_map::ExpiringMap;

/// The number of keys whose delays are remembered.
const MAX_KEYS: usize = 10_000;

/// The number of times that a delay doubles, up to 31 seconds plus the random part.
const MAX_DOUBLINGS: u32 = 5;

/// The delays by key, usually a payload's id.
///
/// All segments of a payload share one delay, and each delay is longer than the one before. Otherwise, with many parallel
/// payloads in the queue, segments without room would be received again and again. They would delay the segments that
/// buffered payloads lack.
#[derive(Debug)]
pub(super) struct Backoff(ExpiringMap<Delay>);

#[derive(Clone, Copy, Debug)]
struct Delay {
    /// The number of delays so far.
    count: u32,
    until: Instant,
}

impl Backoff {
    /// Forgets a key that was not delayed for `lifetime`.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self(ExpiringMap::new(MAX_KEYS, lifetime))
    }

    /// Returns the rest of the current delay, or begins a new one, which is `random` longer.
    pub(super) fn delay(&mut self, key: &str, now: Instant, random: Duration) -> Duration {
        let none = Delay { count: 0, until: now };
        let Delay { count, until } = self.0.get(key, now).copied().unwrap_or(none);
        if until > now {
            return until - now;
        }
        let delay = Duration::from_secs((1 << count.min(MAX_DOUBLINGS)) - 1) + random;
        let begun = Delay {
            count: count.saturating_add(1),
            until: now + delay,
        };
        self.0.insert(key, begun, now);
        delay
    }

    /// Starts over with the shortest delay.
    pub(super) fn reset(&mut self, key: &str) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn segments_of_a_payload_share_a_delay_and_delays_grow() {
        let (mut backoff, mut now) = (Backoff::new(600 * SECOND), Instant::now());
        for delay in [2, 3, 5, 9, 17, 33, 33] {
            assert_eq!(backoff.delay("p", now, 2 * SECOND), delay * SECOND);
            assert_eq!(backoff.delay("p", now + SECOND, 9 * SECOND), (delay - 1) * SECOND);
            now += delay * SECOND;
        }
        assert_eq!(backoff.delay("other", now, 2 * SECOND), 2 * SECOND);
        backoff.reset("p");
        assert_eq!(backoff.delay("p", now, 2 * SECOND), 2 * SECOND);
    }
}
