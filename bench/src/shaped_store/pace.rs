//! The speed of a link: when bytes may be sent, and which requests and connections are unlucky.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::pattern::SplitMix;

const KIB: u64 = 1024;

/// The time that a late sender may catch up. It makes up for timers of 1 ms and for a busy CPU.
const CATCH_UP: Duration = Duration::from_millis(25);

/// The time without a transfer after which a sender counts as idle, and catches up nothing. An idle link must not save up
/// speed.
const IDLE: Duration = Duration::from_millis(50);

/// The duration of one write at a limited rate.
const WRITE: Duration = Duration::from_micros(2_500);

/// A link between the store and its clients. The default has no limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::Args)]
pub struct Link {
    /// The delay to the first byte of each response in milliseconds
    #[arg(long, default_value_t = 0)]
    pub delay_ms: u64,
    /// The speed of each connection in bytes per second. 0 is no limit
    #[arg(long, default_value_t = 0)]
    pub per_connection: u64,
    /// The speed of all connections together in bytes per second. 0 is no limit
    #[arg(long, default_value_t = 0)]
    pub total: u64,
    /// The part of all requests that are refused with 503 SlowDown
    #[arg(long, default_value_t = 0.0)]
    pub slow_down: f64,
    /// The part of all connections that have a tenth of the speed for their whole life
    #[arg(long, default_value_t = 0.0)]
    pub slow_connections: f64,
}

impl Link {
    /// Returns the arguments for [`Link`]'s parser.
    pub fn arguments(&self) -> Vec<String> {
        vec![
            format!("--delay-ms={}", self.delay_ms),
            format!("--per-connection={}", self.per_connection),
            format!("--total={}", self.total),
            format!("--slow-down={}", self.slow_down),
            format!("--slow-connections={}", self.slow_connections),
        ]
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

/// A schedule for bytes at a rate. A rate of 0 is no limit.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u64,
    /// The time at which the bytes so far have been transferred.
    next: Instant,
    /// The time of the last reservation.
    last: Instant,
}

impl Pace {
    /// Starts a schedule now.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        Self {
            rate,
            next: now,
            last: now,
        }
    }

    /// Returns the time at which the next bytes will have been transferred.
    pub(super) fn reserve(&mut self, bytes: u64, now: Instant) -> Instant {
        if self.rate == 0 {
            return now;
        }
        let is_idle = now.saturating_duration_since(self.last.max(self.next)) > IDLE;
        let catch_up = if is_idle { Duration::ZERO } else { CATCH_UP };
        let earliest = now.checked_sub(catch_up).unwrap_or(now);
        self.last = now;
        let duration = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        self.next = self.next.max(earliest) + duration;
        self.next
    }

    /// Returns the length of one write.
    pub(super) fn write_length(&self) -> u64 {
        match self.rate {
            0 => 256 * KIB,
            rate => ((rate as f64 * WRITE.as_secs_f64()) as u64).clamp(16 * KIB, 256 * KIB),
        }
    }
}

/// The schedule and the luck that all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) link: Link,
    total: Mutex<Pace>,
    seed: AtomicU64,
    requests: AtomicU64,
    connections: AtomicU64,
}

impl Shared {
    pub(super) fn new(link: Link) -> Self {
        let total = Pace::new(link.total, Instant::now());
        Self {
            link,
            total: Mutex::new(total),
            seed: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    /// Starts a sequence of lucky and unlucky requests and connections. A seed makes the same one for every contender.
    pub(super) fn restart(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        self.requests.store(0, Ordering::Relaxed);
        self.connections.store(0, Ordering::Relaxed);
    }

    /// Returns `true` if the next request is to be refused. A seed makes the same choices in every run.
    pub(super) fn refuses_next(&self) -> bool {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        let seed = SplitMix(self.seed.load(Ordering::Relaxed)).next();
        let random = SplitMix(seed.wrapping_add(count)).next() >> 11;
        (random as f64) < self.link.slow_down * (1_u64 << 53) as f64
    }

    /// Returns the rate of the next connection. Slow connections have equal distances, because a transfer has so few
    /// connections that chance would rarely choose one. The seed chooses the first.
    pub(super) fn next_rate(&self) -> u64 {
        let count = self.connections.fetch_add(1, Ordering::Relaxed);
        let distance = (1.0 / self.link.slow_connections).round() as u64;
        let first = self.seed.load(Ordering::Relaxed).saturating_mul(7);
        if self.link.slow_connections > 0.0 && count % distance == first % distance {
            return self.link.per_connection / 10;
        }
        self.link.per_connection
    }

    /// Waits until bytes have been transferred over a connection and over the link.
    pub(super) async fn transfer(&self, connection: &mut Pace, bytes: u64) {
        let now = Instant::now();
        let due = self.due(connection, bytes, now);
        if due > now {
            sleep_until(due).await;
        }
    }

    fn due(&self, connection: &mut Pace, bytes: u64, now: Instant) -> Instant {
        let due = connection.reserve(bytes, now);
        if self.link.total > 0
            && let Ok(mut total) = self.total.lock()
        {
            return due.max(total.reserve(bytes, now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn begin(rate: u64) -> (Instant, Pace) {
        let now = Instant::now();
        (now, Pace::new(rate, now))
    }

    #[test]
    fn a_body_takes_the_time_of_its_rate() {
        let (begin, mut pace) = begin(90_000_000);
        let mut now = begin;
        for write in 0..900 {
            // Timers are late by up to 1 ms.
            now = now.max(pace.reserve(100_000, now)) + Duration::from_micros(write % 1_000);
        }
        let time = now - begin;
        assert!(
            time >= Duration::from_secs(1) && time < Duration::from_millis(1_002),
            "{time:?}"
        );
    }

    #[test]
    fn a_late_sender_catches_up_a_little() {
        let (begin, mut pace) = begin(MIB);
        assert_eq!(pace.reserve(MIB, begin), begin + Duration::from_secs(1));
        let late = begin + Duration::from_millis(1_020);
        assert_eq!(pace.reserve(MIB, late), begin + Duration::from_secs(2));
        let later = begin + Duration::from_millis(2_040);
        assert_eq!(pace.reserve(MIB, later), later - CATCH_UP + Duration::from_secs(1));
    }

    #[test]
    fn an_idle_link_saves_up_nothing() {
        let (begin, mut pace) = begin(MIB);
        let later = begin + Duration::from_secs(60);
        assert_eq!(pace.reserve(MIB, later), later + Duration::from_secs(1));
    }

    #[test]
    fn connections_share_the_total() {
        let link = Link {
            total: 1_000_000_000,
            ..Link::default()
        };
        let shared = Shared::new(link);
        let (begin, _) = begin(0);
        let mut connections: Vec<_> = (0..64).map(|_| (begin, Pace::new(90_000_000, begin))).collect();
        // The connection whose last write ended first writes next.
        for _ in 0..64 * 250 {
            let next = connections.iter_mut().min_by_key(|(now, _)| *now);
            let (now, pace) = next.unwrap();
            *now = shared.due(pace, 250_000, *now);
        }
        for (now, _) in connections {
            let time = now - begin;
            assert!(
                time > Duration::from_millis(3_980) && time < Duration::from_millis(4_010),
                "{time:?}"
            );
        }
    }

    #[test]
    fn no_limit_is_no_wait() {
        let (now, mut pace) = begin(0);
        assert_eq!(pace.reserve(u64::MAX, now), now);
        assert_eq!(pace.write_length(), 256 * KIB);
        assert_eq!(Pace::new(90_000_000, now).write_length(), 225_000);
        assert_eq!(Pace::new(1, now).write_length(), 16 * KIB);
    }

    #[test]
    fn luck_has_the_rate_and_repeats() {
        let link = Link {
            slow_down: 0.02,
            slow_connections: 0.02,
            per_connection: 90,
            ..Link::default()
        };
        let shared = Shared::new(link);
        let run = |seed| {
            shared.restart(seed);
            (0..10_000).map(|_| shared.refuses_next()).collect::<Vec<_>>()
        };
        let refused = run(1);
        let count = refused.iter().filter(|refused| **refused).count();
        assert!((150..250).contains(&count), "{count}");
        assert_eq!(run(1), refused);
        assert_ne!(run(2), refused);
        shared.restart(1);
        let slow: Vec<_> = (0..100).filter(|_| shared.next_rate() == 9).collect();
        assert_eq!(slow, [7, 57]);
    }

    #[test]
    fn a_link_survives_its_arguments() {
        use clap::Parser;

        #[derive(Parser)]
        struct Program {
            #[command(flatten)]
            link: Link,
        }
        let link = Link {
            delay_ms: 30,
            per_connection: 90_000_000,
            total: 1_000_000_000,
            slow_down: 0.02,
            slow_connections: 0.1,
        };
        let arguments = [vec!["program".to_owned()], link.arguments()].concat();
        assert_eq!(Program::parse_from(arguments).link, link);
    }
}
