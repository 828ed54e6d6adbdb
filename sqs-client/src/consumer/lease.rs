//! The lease of a message in flight, and the times of its extensions. Decides from times alone, without I/O.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// The margin by which a lease ends before the visibility timeout, because two clocks may differ. A quarter of the timeout
/// if that is less.
pub const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// The margin by which extensions end before the 12 hours that SQS allows, counted from before the receive.
const LONGEST_MARGIN: Duration = Duration::from_secs(60);

/// The part of a lease that is the pause after the first failed extension. The pause doubles with each further failure.
const FIRST_PAUSE_PART: u32 = 16;

/// The number of extensions that may fail within one lease.
const MAX_FAILED: u32 = 5;

/// Returns the part of a visibility timeout that a lease relies on.
pub(super) fn usable(visibility: Duration) -> Duration {
    visibility.saturating_sub(LEASE_MARGIN.min(visibility / 4))
}

/// The time in which no competing consumer can have received the message, and its extensions.
///
/// SQS counts a visibility timeout from when it handles the request, so counting from before the request was *sent* is
/// safe. SQS also confirms the deletion of a message by a stale receipt handle, without deleting it. Only this clock tells
/// whether a confirmed deletion was real.
///
/// A lost lease stays lost, even if an extension is confirmed later, because a competing consumer may have the message.
#[derive(Debug)]
pub struct Lease {
    visibility: Duration,
    /// The time before the receive was sent.
    received: Instant,
    until: Instant,
    /// The time of the next extension.
    due: Instant,
    in_progress: bool,
    /// The number of failed extensions since the last confirmed one.
    failed: u32,
    lost: bool,
}

/// The need of a lease at a given time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The lease needs nothing before this time.
    Nothing(Instant),
    /// The lease needs an extension by this time. [`Lease::extended`] or [`Lease::extension_failed`] must follow.
    Extension(Duration),
    /// The lease has just been lost. It is reported once.
    Loss,
}

impl Lease {
    /// Returns the lease of a message that a receive hid for `visibility`. The receive was sent no earlier than `sent_at`.
    #[must_use]
    pub fn new(sent_at: Instant, visibility: Duration) -> Self {
        let usable = usable(visibility);
        Self {
            visibility,
            received: sent_at,
            until: sent_at + usable,
            due: sent_at + usable / 2,
            in_progress: false,
            failed: 0,
            lost: false,
        }
    }

    /// Returns `true` if no competing consumer can have received the message.
    #[must_use]
    pub fn is_valid(&self, now: Instant) -> bool {
        !self.lost && now < self.until
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Returns the time until the lease ends. Zero once it is lost.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Duration {
        match self.lost {
            true => Duration::ZERO,
            false => self.until.saturating_duration_since(now),
        }
    }

    /// Returns the time at which the message is certainly visible again if nothing changes.
    pub(super) fn visible_by(&self) -> Instant {
        self.until + self.visibility
    }

    /// Returns the longest time for which the message can be hidden, within 12 hours of its receipt.
    pub(super) fn max_extension(&self, now: Instant) -> Duration {
        let limit = self.received + (limits::MAX_VISIBILITY_TIMEOUT - LONGEST_MARGIN);
        Duration::from_secs(limit.saturating_duration_since(now).as_secs())
    }

    /// Returns the need of the lease, if the next check follows within `slack`.
    pub(super) fn need(&mut self, now: Instant, slack: Duration) -> Need {
        if self.lost {
            return Need::Nothing(now + self.visibility);
        }
        if now >= self.until {
            self.lost = true;
            return Need::Loss;
        }
        if self.in_progress || self.failed >= MAX_FAILED {
            return Need::Nothing(self.until);
        }
        // A first extension may be early, to share a request. After a failure, the pause counts in full.
        let slack = if self.failed == 0 { slack } else { Duration::ZERO };
        if now + slack < self.due {
            return Need::Nothing(if self.failed == 0 { self.until } else { self.due });
        }
        let extension = self.visibility.min(self.max_extension(now));
        if now + usable(extension) <= self.until {
            // The 12 hours are nearly over.
            return Need::Nothing(self.until);
        }
        self.in_progress = true;
        Need::Extension(extension)
    }

    /// Notes a request for another visibility timeout, which may be shorter. The earlier end counts until it is confirmed.
    pub fn change_requested(&mut self, sent_at: Instant, visibility: Duration) {
        self.until = self.until.min(sent_at + usable(visibility));
    }

    /// Notes a confirmed extension, which was sent no earlier than `sent_at`.
    pub fn extended(&mut self, sent_at: Instant, extension: Duration, now: Instant) {
        (self.in_progress, self.failed) = (false, 0);
        if self.is_valid(now) {
            let usable = usable(extension);
            (self.until, self.due) = (sent_at + usable, sent_at + usable / 2);
        }
    }

    /// Notes an extension that failed or whose outcome is unknown. The pause before the next one grows with each failure.
    /// `jitter` scales it to between half and all of it.
    pub(super) fn extension_failed(&mut self, now: Instant, jitter: f64) {
        self.in_progress = false;
        let pause = usable(self.visibility) / FIRST_PAUSE_PART * (1 << self.failed.min(MAX_FAILED));
        self.failed = self.failed.saturating_add(1);
        self.due = now + pause.mul_f64(jitter.clamp(0.5, 1.0));
    }

    /// Ends the lease, because the server refused the receipt handle. Returns `true` if the lease was not lost before.
    pub fn mark_lost(&mut self) -> bool {
        !std::mem::replace(&mut self.lost, true)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NO_SLACK: Duration = Duration::ZERO;

    fn lease(seconds: u32) -> (Lease, Instant) {
        let sent_at = Instant::now();
        (Lease::new(sent_at, seconds * SECOND), sent_at)
    }

    #[test]
    fn a_lease_ends_a_margin_before_the_visibility_timeout() {
        let (lease, sent_at) = lease(30);
        assert!(lease.is_valid(sent_at + 29 * SECOND - Duration::from_nanos(1)));
        assert!(!lease.is_valid(sent_at + 29 * SECOND));
        assert_eq!(
            usable(SECOND),
            Duration::from_millis(750),
            "a short timeout is not all margin"
        );
    }

    #[test]
    fn a_lease_is_extended_at_half_time_and_counts_from_before_the_extension() {
        let (mut lease, sent_at) = lease(30);
        assert_eq!(
            lease.need(sent_at + 14 * SECOND, NO_SLACK),
            Need::Nothing(sent_at + 29 * SECOND)
        );
        assert_eq!(lease.need(sent_at + 14 * SECOND, SECOND), Need::Extension(30 * SECOND));
        // Only one extension may be open.
        assert_eq!(
            lease.need(sent_at + 20 * SECOND, NO_SLACK),
            Need::Nothing(sent_at + 29 * SECOND)
        );
        lease.extended(sent_at + 14 * SECOND, 30 * SECOND, sent_at + 15 * SECOND);
        assert_eq!(lease.until(), sent_at + 43 * SECOND);
    }

    #[test]
    fn a_confirmation_after_the_end_does_not_revive_a_lease() {
        let (mut lease, sent_at) = lease(30);
        assert_eq!(lease.need(sent_at + 28 * SECOND, SECOND), Need::Extension(30 * SECOND));
        // No check happened in between.
        lease.extended(sent_at + 28 * SECOND, 30 * SECOND, sent_at + 29 * SECOND);
        assert!(!lease.is_valid(sent_at + 29 * SECOND));
        assert_eq!(lease.need(sent_at + 30 * SECOND, NO_SLACK), Need::Loss);
    }

    #[test]
    fn the_earlier_end_counts_until_a_change_is_confirmed() {
        let (mut lease, sent_at) = lease(30);
        lease.change_requested(sent_at, 10 * SECOND);
        assert_eq!(lease.until(), sent_at + 9 * SECOND);
        lease.change_requested(sent_at, 60 * SECOND);
        assert_eq!(lease.until(), sent_at + 9 * SECOND);
        lease.extended(sent_at, 60 * SECOND, sent_at + SECOND);
        assert_eq!(lease.until(), sent_at + 59 * SECOND);
        lease.change_requested(sent_at + SECOND, Duration::ZERO);
        assert!(!lease.is_valid(sent_at + SECOND));
    }

    #[test]
    fn a_failed_extension_is_retried_while_the_lease_lasts() {
        let (mut lease, sent_at) = lease(30);
        let mut now = sent_at;
        let (mut tries, mut lost) = (0, 0);
        while now < sent_at + 40 * SECOND {
            match lease.need(now, NO_SLACK) {
                Need::Extension(_) => {
                    tries += 1;
                    lease.extension_failed(now, 1.0);
                }
                Need::Loss => lost += 1,
                Need::Nothing(_) => {}
            }
            now += Duration::from_millis(100);
        }
        assert!((4..=6).contains(&tries), "{tries}");
        assert_eq!(lost, 1, "the loss is reported once");
        lease.extended(sent_at + 28 * SECOND, 30 * SECOND, now);
        assert!(!lease.is_valid(sent_at + 30 * SECOND), "a lost lease stays lost");
    }

    #[test]
    fn pauses_after_failed_extensions_grow_and_attempts_are_bounded() {
        for jitter in [0.0, 1.0] {
            let (mut lease, sent_at) = lease(30);
            let mut tries = Vec::new();
            let mut now = sent_at;
            while now < sent_at + 29 * SECOND {
                // The slack is that of a heartbeat every eighth of a lease.
                if let Need::Extension(_) = lease.need(now, usable(30 * SECOND) / 8) {
                    tries.push(now);
                    lease.extension_failed(now, jitter);
                }
                now += Duration::from_millis(20);
            }
            assert!((3..=MAX_FAILED as usize).contains(&tries.len()), "{}", tries.len());
            let pauses: Vec<_> = tries.windows(2).map(|two| two[1] - two[0]).collect();
            assert!(pauses.is_sorted() && pauses[0] > usable(30 * SECOND) / 33, "{pauses:?}");
            lease.extended(now, 30 * SECOND, now);
            assert_eq!(lease.failed, 0);
        }
    }

    #[test]
    fn a_refusal_by_the_server_ends_the_lease_at_once() {
        let (mut lease, sent_at) = lease(30);
        assert!(lease.mark_lost() && !lease.mark_lost());
        assert!(!lease.is_valid(sent_at));
    }

    #[test]
    fn extensions_never_exceed_twelve_hours() {
        let (mut lease, sent_at) = lease(3600);
        let twelve_hours = limits::MAX_VISIBILITY_TIMEOUT;
        let (mut now, mut last) = (sent_at, sent_at);
        loop {
            match lease.need(now, NO_SLACK) {
                Need::Extension(extension) => {
                    assert!(now + extension <= sent_at + twelve_hours);
                    last = now + extension;
                    lease.extended(now, extension, now);
                }
                Need::Loss => break,
                Need::Nothing(_) => {}
            }
            now += 10 * SECOND;
        }
        assert!(
            last > sent_at + twelve_hours - 2 * LONGEST_MARGIN,
            "the 12 hours are used"
        );
        assert_eq!(lease.max_extension(now + 3600 * SECOND), Duration::ZERO);
    }
}
