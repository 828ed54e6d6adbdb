//! The number of requests that a transfer should have in flight, learned from its rate.

use std::time::Duration;

use tokio::time::Instant;

use crate::transfer::throttle::MAX_REQUESTS;

/// The shortest time over which a rate is measured.
const MIN_INTERVAL: Duration = Duration::from_millis(20);

/// The time to the first byte from which on a store is far, so that a transfer starts with several requests.
const FAR: Duration = Duration::from_millis(5);

/// The time to the first byte from which on it starts with even more.
const VERY_FAR: Duration = Duration::from_millis(20);

/// The time to the first byte from which on a slow start would cost a large share of the transfer.
const FARTHEST: Duration = Duration::from_millis(60);

/// More requests must raise the rate by this factor to be worth it.
const GAIN: f64 = 1.1;

/// Fewer requests are better if the rate does not fall below this share.
const LOSS: f64 = 0.97;

/// The pause between two trials.
const MIN_PAUSE: Duration = Duration::from_millis(250);

/// The maximum pause. The pause doubles with each trial that changes nothing.
const MAX_PAUSE: Duration = Duration::from_secs(8);

/// Chooses the number of requests in flight. It doubles the number while that raises the rate. Then it keeps the number, and
/// now and then tries more and fewer. It does no I/O.
#[derive(Debug)]
pub(crate) struct Tuner {
    target: usize,
    phase: Phase,
    interval: Duration,
    /// The beginning of the current interval, and the number of bytes then.
    since: (Instant, u64),
    pause: Duration,
    /// The next trial has more requests.
    more_next: bool,
    is_near: bool,
}

#[derive(Debug)]
enum Phase {
    Fixed,
    Warming,
    /// Doubles. The rate is that of the interval before.
    Growing(Option<f64>),
    Steady(Instant),
    /// Lets requests that were in flight before the trial end.
    Settling {
        before: usize,
        rate: f64,
    },
    Trying {
        before: usize,
        rate: f64,
    },
}

impl Tuner {
    /// Always keeps `target` requests in flight.
    pub(crate) fn fixed(target: usize) -> Self {
        Self {
            target,
            phase: Phase::Fixed,
            interval: Duration::MAX,
            since: (Instant::now(), 0),
            pause: MIN_PAUSE,
            more_next: false,
            is_near: false,
        }
    }

    /// Starts after the first response, whose first byte took this time.
    pub(crate) fn adaptive(first_byte: Duration, now: Instant) -> Self {
        let tuner = Self::starting_with(first_target(first_byte), first_byte, now);
        if first_byte >= FAR {
            return tuner;
        }
        Self {
            // The first interval measures only how buffers grow.
            phase: Phase::Warming,
            is_near: true,
            ..tuner
        }
    }

    /// Starts with `target` requests, each of which takes about this time.
    pub(crate) fn starting_with(target: usize, request: Duration, now: Instant) -> Self {
        Self {
            target,
            phase: Phase::Growing(None),
            interval: MIN_INTERVAL.max(request.saturating_mul(3) / 2),
            since: (now, 0),
            pause: MIN_PAUSE,
            more_next: false,
            is_near: false,
        }
    }

    /// Learns the shortest time to the first byte so far. The first one may contain the time to connect, so a near store can
    /// look far at first.
    pub(crate) fn learn_delay(&mut self, first_byte: Duration, now: Instant) {
        if !self.is_near && first_byte < FAR && matches!(self.phase, Phase::Growing(None)) {
            *self = Self::adaptive(first_byte, now);
        }
    }

    /// Returns the number of requests that should be in flight. `bytes` is what has arrived so far.
    pub(crate) fn target(&mut self, bytes: u64, now: Instant) -> usize {
        let (since, before) = self.since;
        let elapsed = now.duration_since(since);
        if elapsed >= self.interval {
            self.since = (now, bytes);
            let rate = bytes.saturating_sub(before) as f64 / elapsed.as_secs_f64();
            self.learn(rate, now);
        }
        self.target
    }

    /// Returns `true` if the store responds so fast that long parts cost no time.
    pub(crate) fn is_near(&self) -> bool {
        self.is_near
    }

    /// Returns `true` if one request at a time is best.
    pub(crate) fn is_single(&self) -> bool {
        self.target == 1
    }

    fn learn(&mut self, rate: f64, now: Instant) {
        match self.phase {
            Phase::Fixed => {}
            Phase::Warming => self.phase = Phase::Growing(None),
            Phase::Growing(before) => {
                if before.is_none_or(|before| rate >= before * GAIN) && self.target < MAX_REQUESTS {
                    self.phase = Phase::Growing(Some(rate));
                    self.target = (self.target * 2).min(MAX_REQUESTS);
                } else {
                    // The last doubling gained nothing.
                    if before.is_some_and(|before| rate < before * GAIN) {
                        self.target = (self.target / 2).max(1);
                    }
                    self.phase = Phase::Steady(now);
                }
            }
            Phase::Steady(since) if now.duration_since(since) >= self.pause => self.start_trial(rate),
            Phase::Steady(_) => {}
            Phase::Settling { before, rate } => self.phase = Phase::Trying { before, rate },
            Phase::Trying { before, rate: known } => {
                let factor = if self.target > before { GAIN } else { LOSS };
                if rate >= known * factor {
                    self.pause = MIN_PAUSE;
                } else {
                    self.target = before;
                    self.more_next = !self.more_next;
                    self.pause = (self.pause * 2).min(MAX_PAUSE);
                }
                self.phase = Phase::Steady(now);
            }
        }
    }

    fn start_trial(&mut self, rate: f64) {
        let before = self.target;
        let more = before == 1 || (self.more_next && before < MAX_REQUESTS);
        self.target = if more {
            (before + (before / 2).max(1)).min(MAX_REQUESTS)
        } else {
            (before - (before / 3).max(1)).max(1)
        };
        self.phase = Phase::Settling { before, rate };
    }
}

/// Returns the number of requests to start with, from the time that the store took to respond.
pub(crate) fn first_target(first_byte: Duration) -> usize {
    match first_byte {
        // Two connections use two cores.
        time if time < FAR => 2,
        time if time < VERY_FAR => 8,
        time if time < FARTHEST => 16,
        _ => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link with this delay, and rates of a connection and of all, in bytes per millisecond.
    struct Link {
        delay: Duration,
        each: u64,
        all: u64,
    }

    impl Link {
        /// Returns the targets every 10 ms.
        fn run(&self, time: Duration) -> Vec<usize> {
            let begin = Instant::now();
            let mut tuner = Tuner::adaptive(self.delay, begin);
            let (mut bytes, mut targets) = (0, Vec::new());
            let step = Duration::from_millis(10);
            let mut now = begin;
            while now < begin + time {
                now += step;
                targets.push(tuner.target(bytes, now));
                // New requests deliver after the delay.
                let late = usize::try_from(self.delay.as_millis() / step.as_millis()).unwrap();
                let delivering = targets.len().checked_sub(1 + late).map_or(1, |i| targets[i]);
                bytes += 10 * self.all.min(self.each.saturating_mul(delivering as u64));
            }
            targets
        }
    }

    #[test]
    fn a_near_store_is_read_by_few_requests() {
        let link = Link {
            delay: Duration::from_micros(300),
            each: 2_000_000,
            all: 2_000_000,
        };
        let targets = link.run(Duration::from_secs(10));
        let more = targets.iter().filter(|target| **target > 2).count();
        assert!(more * 20 < targets.len(), "{more} of {}", targets.len());
        assert_eq!(targets.last(), Some(&1));
    }

    #[test]
    fn a_near_store_that_looked_far_is_found_out() {
        let begin = Instant::now();
        let mut tuner = Tuner::adaptive(Duration::from_millis(9), begin);
        assert_eq!(tuner.target(0, begin), 8);
        tuner.learn_delay(Duration::from_millis(7), begin);
        assert_eq!(tuner.target(0, begin), 8);
        tuner.learn_delay(Duration::from_micros(700), begin);
        assert_eq!(tuner.target(0, begin), 2);
        let mut fixed = Tuner::fixed(8);
        fixed.learn_delay(Duration::ZERO, begin);
        assert_eq!(fixed.target(0, begin), 8);
    }

    #[test]
    fn slow_connections_are_multiplied_until_the_link_is_full() {
        let link = Link {
            delay: Duration::from_millis(30),
            each: 50_000,
            all: 1_000_000,
        };
        let targets = link.run(Duration::from_secs(5));
        let enough = targets.iter().position(|target| *target >= 20).unwrap();
        assert!(enough < 30, "after {enough} steps");
        let last = *targets.last().unwrap();
        assert!((20..=48).contains(&last), "{last}");
    }

    #[test]
    fn the_number_is_bounded_and_a_fixed_one_never_changes() {
        let endless = Link {
            delay: Duration::from_millis(100),
            each: 1000,
            all: u64::MAX / 1000,
        };
        let targets = endless.run(Duration::from_secs(60));
        assert!(targets.iter().all(|target| (1..=MAX_REQUESTS).contains(target)));
        assert!(targets.contains(&MAX_REQUESTS));
        let mut fixed = Tuner::fixed(3);
        assert_eq!(fixed.target(1 << 40, Instant::now() + Duration::from_secs(3600)), 3);
    }
}
