//! How long a held message is surely ours, and when to ask for more: times in, decisions out.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// A lease ends this long before the visibility timeout does, or a quarter of the timeout where that is less: for what
/// two clocks may differ by.
pub const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// Extensions end this long before the 12 hours that SQS lets a message be held, counted from before the receive.
const LONGEST_MARGIN: Duration = Duration::from_secs(60);

/// The pause after the first failed extension is this part of the lease, and doubles with each that follows.
const FIRST_PAUSE: u32 = 16;

/// The number of extensions that may fail within one lease.
const MAX_FAILED: u32 = 5;

/// The part of a visibility timeout that a lease counts on.
pub(super) fn usable(visibility: Duration) -> Duration {
    visibility.saturating_sub(LEASE_MARGIN.min(visibility / 4))
}

/// The time up to which no other consumer can have been given the message, and the extensions of that time.
///
/// SQS counts a visibility timeout from when it handles the request, so counting from before the request was *sent*
/// errs on the safe side. SQS also answers success to the deletion of a message by a stale receipt handle, without
/// deleting it: only this clock says whether a confirmed deletion was real.
///
/// A lease that was lost stays lost, whatever is confirmed later: another consumer may have the message.
#[derive(Debug)]
pub struct Lease {
    visibility: Duration,
    /// Before the receive was sent.
    received: Instant,
    until: Instant,
    /// When to ask for more.
    due: Instant,
    under_way: bool,
    /// Extensions that failed since the last one that was confirmed.
    failed: u32,
    lost: bool,
}

/// What a lease needs at a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing before this time.
    Nothing(Instant),
    /// To be extended by this much; [`Lease::extended`] or [`Lease::not_extended`] must follow.
    Extension(Duration),
    /// It has just been lost: said once.
    Loss,
}

impl Lease {
    /// The lease of a message that a receive, sent no earlier than `asked`, hid for `visibility`.
    #[must_use]
    pub fn new(asked: Instant, visibility: Duration) -> Self {
        let usable = usable(visibility);
        Self {
            visibility,
            received: asked,
            until: asked + usable,
            due: asked + usable / 2,
            under_way: false,
            failed: 0,
            lost: false,
        }
    }

    /// Whether the message is surely ours.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        !self.lost && now < self.until
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// When the message is surely visible again if it is left alone now.
    pub(super) fn over(&self) -> Instant {
        self.until + self.visibility
    }

    /// How long from now the message can be hidden, by the 12 hours from its receipt.
    pub(super) fn longest(&self, now: Instant) -> Duration {
        let limit = self.received + (limits::MAX_VISIBILITY_TIMEOUT - LONGEST_MARGIN);
        Duration::from_secs(limit.saturating_duration_since(now).as_secs())
    }

    /// What the lease needs, where the next look is no later than `slack` from now.
    pub(super) fn need(&mut self, now: Instant, slack: Duration) -> Need {
        if self.lost {
            return Need::Nothing(now + self.visibility);
        }
        if now >= self.until {
            self.lost = true;
            return Need::Loss;
        }
        if self.under_way || self.failed >= MAX_FAILED {
            return Need::Nothing(self.until);
        }
        // A first extension may come early, to share a request. What failed pauses in full.
        let slack = if self.failed == 0 { slack } else { Duration::ZERO };
        if now + slack < self.due {
            return Need::Nothing(if self.failed == 0 { self.until } else { self.due });
        }
        let extension = self.visibility.min(self.longest(now));
        if now + usable(extension) <= self.until {
            // The 12 hours are nearly over.
            return Need::Nothing(self.until);
        }
        self.under_way = true;
        Need::Extension(extension)
    }

    /// Another visibility timeout is asked for, which may be shorter. Until it is confirmed, the earlier end counts.
    pub fn asked(&mut self, asked: Instant, visibility: Duration) {
        self.until = self.until.min(asked + usable(visibility));
    }

    /// The extension, sent no earlier than `asked`, was confirmed.
    pub fn extended(&mut self, asked: Instant, extension: Duration, now: Instant) {
        (self.under_way, self.failed) = (false, 0);
        if self.holds(now) {
            let usable = usable(extension);
            (self.until, self.due) = (asked + usable, asked + usable / 2);
        }
    }

    /// The extension failed, or nobody knows. The pause before the next grows with each failure; `jitter` takes up to
    /// half of it.
    pub(super) fn not_extended(&mut self, now: Instant, jitter: f64) {
        self.under_way = false;
        let pause = usable(self.visibility) / FIRST_PAUSE * (1 << self.failed.min(MAX_FAILED));
        self.failed = self.failed.saturating_add(1);
        self.due = now + pause.mul_f64(jitter.clamp(0.5, 1.0));
    }

    /// The server says that the message is not ours; `true` if that is news.
    pub fn refused(&mut self) -> bool {
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
        let asked = Instant::now();
        (Lease::new(asked, seconds * SECOND), asked)
    }

    #[test]
    fn ends_a_margin_before_the_visibility_timeout_counted_from_before_the_receive() {
        let (lease, asked) = lease(30);
        assert!(lease.holds(asked + 29 * SECOND - Duration::from_nanos(1)));
        assert!(!lease.holds(asked + 29 * SECOND));
        assert_eq!(
            usable(SECOND),
            Duration::from_millis(750),
            "a short one is not all margin"
        );
    }

    #[test]
    fn is_extended_at_half_of_it_and_counts_from_before_the_extension() {
        let (mut lease, asked) = lease(30);
        assert_eq!(
            lease.need(asked + 14 * SECOND, NO_SLACK),
            Need::Nothing(asked + 29 * SECOND)
        );
        assert_eq!(lease.need(asked + 14 * SECOND, SECOND), Need::Extension(30 * SECOND));
        // One at a time.
        assert_eq!(
            lease.need(asked + 20 * SECOND, NO_SLACK),
            Need::Nothing(asked + 29 * SECOND)
        );
        lease.extended(asked + 14 * SECOND, 30 * SECOND, asked + 15 * SECOND);
        assert_eq!(lease.until(), asked + 43 * SECOND);
    }

    #[test]
    fn a_confirmation_that_comes_after_the_end_revives_nothing() {
        let (mut lease, asked) = lease(30);
        assert_eq!(lease.need(asked + 28 * SECOND, SECOND), Need::Extension(30 * SECOND));
        // Nobody has looked meanwhile.
        lease.extended(asked + 28 * SECOND, 30 * SECOND, asked + 29 * SECOND);
        assert!(!lease.holds(asked + 29 * SECOND));
        assert_eq!(lease.need(asked + 30 * SECOND, NO_SLACK), Need::Loss);
    }

    #[test]
    fn the_earlier_end_counts_until_a_change_is_confirmed() {
        let (mut lease, asked) = lease(30);
        lease.asked(asked, 10 * SECOND);
        assert_eq!(lease.until(), asked + 9 * SECOND);
        lease.asked(asked, 60 * SECOND);
        assert_eq!(lease.until(), asked + 9 * SECOND);
        lease.extended(asked, 60 * SECOND, asked + SECOND);
        assert_eq!(lease.until(), asked + 59 * SECOND);
        lease.asked(asked + SECOND, Duration::ZERO);
        assert!(!lease.holds(asked + SECOND));
    }

    #[test]
    fn a_failed_extension_is_tried_again_while_the_lease_lasts() {
        let (mut lease, asked) = lease(30);
        let mut now = asked;
        let (mut tries, mut lost) = (0, 0);
        while now < asked + 40 * SECOND {
            match lease.need(now, NO_SLACK) {
                Need::Extension(_) => {
                    tries += 1;
                    lease.not_extended(now, 1.0);
                }
                Need::Loss => lost += 1,
                Need::Nothing(_) => {}
            }
            now += Duration::from_millis(100);
        }
        assert!((4..=6).contains(&tries), "{tries}");
        assert_eq!(lost, 1, "the loss is said once");
        lease.extended(asked + 28 * SECOND, 30 * SECOND, now);
        assert!(!lease.holds(asked + 30 * SECOND), "what is lost stays lost");
    }

    #[test]
    fn failed_extensions_pause_longer_each_time_and_are_bounded() {
        for jitter in [0.0, 1.0] {
            let (mut lease, asked) = lease(30);
            let mut tries = Vec::new();
            let mut now = asked;
            while now < asked + 29 * SECOND {
                // With the slack of a heartbeat that looks every eighth of a lease.
                if let Need::Extension(_) = lease.need(now, usable(30 * SECOND) / 8) {
                    tries.push(now);
                    lease.not_extended(now, jitter);
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
    fn is_lost_at_once_where_the_server_says_so() {
        let (mut lease, asked) = lease(30);
        assert!(lease.refused() && !lease.refused());
        assert!(!lease.holds(asked));
    }

    #[test]
    fn never_passes_twelve_hours() {
        let (mut lease, asked) = lease(3600);
        let twelve_hours = limits::MAX_VISIBILITY_TIMEOUT;
        let (mut now, mut last) = (asked, asked);
        loop {
            match lease.need(now, NO_SLACK) {
                Need::Extension(extension) => {
                    assert!(now + extension <= asked + twelve_hours);
                    last = now + extension;
                    lease.extended(now, extension, now);
                }
                Need::Loss => break,
                Need::Nothing(_) => {}
            }
            now += 10 * SECOND;
        }
        assert!(last > asked + twelve_hours - 2 * LONGEST_MARGIN, "but uses them");
        assert_eq!(lease.longest(now + 3600 * SECOND), Duration::ZERO);
    }
}
