//! When segments come again that had no room, were not complete in time, or go with nothing.

use std::time::Duration;

use tokio::time::Instant;

use crate::segment::expiring_map::Memory;

/// The number of payloads of which it is known until when they are put off.
const MAX_REMEMBERED: usize = 10_000;

/// How often the pause doubles: 31 seconds are the longest, beside chance.
const MAX_DOUBLINGS: u32 = 5;

/// What is put off, by key. Each is put off as a whole, and for longer each time: else what has no room would come
/// again and again before what is missing of the payloads that have, where many are in the queue side by side.
#[derive(Debug)]
pub(super) struct PutOff(Memory<(u32, Instant)>);

impl PutOff {
    /// Forgets what was not put off for as long as that.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self(Memory::new(MAX_REMEMBERED, lifetime))
    }

    /// After how long a segment of the payload is to come back. If it is put off anew, `chance` is added to that.
    pub(super) fn after(&mut self, id: &str, now: Instant, chance: Duration) -> Duration {
        let (times, until) = self.0.get(id, now).copied().unwrap_or((0, now));
        if until > now {
            return until - now;
        }
        let pause = Duration::from_secs((1 << times.min(MAX_DOUBLINGS)) - 1) + chance;
        self.0.remember(id, (times.saturating_add(1), now + pause), now);
        pause
    }

    /// The payload is complete.
    pub(super) fn forget(&mut self, id: &str) {
        self.0.forget(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_payload_is_put_off_as_a_whole_and_for_longer_each_time() {
        let (mut put_off, mut now) = (PutOff::new(600 * SECOND), Instant::now());
        for pause in [2, 3, 5, 9, 17, 33, 33] {
            assert_eq!(put_off.after("p", now, 2 * SECOND), pause * SECOND);
            assert_eq!(put_off.after("p", now + SECOND, 9 * SECOND), (pause - 1) * SECOND);
            now += pause * SECOND;
        }
        assert_eq!(put_off.after("other", now, 2 * SECOND), 2 * SECOND);
        put_off.forget("p");
        assert_eq!(put_off.after("p", now, 2 * SECOND), 2 * SECOND);
    }
}
