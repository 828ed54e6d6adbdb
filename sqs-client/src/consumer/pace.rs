//! When to poll and how often at once, by what the polls before brought: answers in, decisions out.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorCode, ErrorKind};

/// Bounds the first pause after a poll that failed, or was empty although it should have waited; the bound doubles with
/// each that follows.
const BASE_PAUSE: Duration = Duration::from_millis(100);
/// Bounds the pause after failures.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// Bounds the pause after answers that were empty too early.
const MAX_IDLE_PAUSE: Duration = Duration::from_secs(1);
/// So many polls refused one after the other, in a way that no repetition mends, end the consumer.
pub const MAX_REFUSED_POLLS: u32 = 6;

/// What a poll came to.
#[derive(Debug)]
pub(super) enum Polled {
    /// As many messages as were asked for, or more.
    Full,
    /// Some messages.
    Some,
    /// None, after the time that was waited for them.
    Nothing {
        /// Whether the server answered before the wait was over.
        early: bool,
    },
    /// An error.
    Failed(Error),
}

#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    polls: usize,
    failures: u32,
    refusals: u32,
    idle: u32,
    resume: Instant,
}

impl Pace {
    pub(super) fn new(most: usize, now: Instant) -> Self {
        Self {
            most,
            polls: 1,
            failures: 0,
            refusals: 0,
            idle: 0,
            resume: now,
        }
    }

    /// How many polls may be under way.
    pub(super) fn polls(&self) -> usize {
        self.polls
    }

    /// When the next may begin.
    pub(super) fn resume(&self) -> Instant {
        self.resume
    }

    /// Takes note; the error to end with where it is time to. `fraction` is random, in `0.0..1.0`.
    pub(super) fn note(&mut self, polled: Polled, now: Instant, fraction: f64) -> Result<(), Error> {
        let failures = std::mem::take(&mut self.failures);
        let refusals = std::mem::take(&mut self.refusals);
        let idle = std::mem::take(&mut self.idle);
        match polled {
            Polled::Full => self.polls = (self.polls + 1).min(self.most),
            Polled::Some => {}
            Polled::Nothing { early } => {
                self.polls = 1;
                if early {
                    self.idle = idle.saturating_add(1);
                    self.resume = now + pause(self.idle, MAX_IDLE_PAUSE, fraction);
                }
            }
            // A poll that began before the last failure: it says nothing that is not known.
            Polled::Failed(_) if failures > 0 && now < self.resume => {
                (self.failures, self.refusals) = (failures, refusals);
            }
            Polled::Failed(error) => {
                self.polls = 1;
                self.failures = failures.saturating_add(1);
                self.refusals = if is_refusal(&error) { refusals + 1 } else { 0 };
                if self.refusals >= MAX_REFUSED_POLLS {
                    return Err(error);
                }
                self.resume = now + pause(self.failures, MAX_PAUSE, fraction);
                tracing::warn!(%error, pause = ?self.resume - now, "a poll failed");
            }
        }
        Ok(())
    }
}

/// From half of a bound that doubles to all of it: never nothing, so that no fault is answered by a spin.
fn pause(nth: u32, max: Duration, fraction: f64) -> Duration {
    let doubled = BASE_PAUSE.saturating_mul(2_u32.saturating_pow(nth.saturating_sub(1)));
    doubled.min(max).mul_f64(0.5 + fraction / 2.0)
}

/// Whether the same poll will be refused again unless someone changes the queue, the permissions or the settings.
fn is_refusal(error: &Error) -> bool {
    let lasting = matches!(
        error.kind(),
        ErrorKind::Service | ErrorKind::Credentials | ErrorKind::Configuration | ErrorKind::InvalidInput
    );
    // Too many messages in flight pass as others finish theirs.
    lasting && !error.is_retryable() && error.code() != Some(&ErrorCode::OverLimit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(3, now), now)
    }

    #[test]
    fn polls_grow_while_answers_are_full_and_one_is_left_when_there_is_nothing() {
        let (mut pace, now) = pace();
        let mut polls = Vec::new();
        for polled in [
            Polled::Full,
            Polled::Full,
            Polled::Full,
            Polled::Some,
            Polled::Nothing { early: false },
        ] {
            pace.note(polled, now, 0.5).unwrap();
            polls.push(pace.polls());
        }
        assert_eq!(polls, [2, 3, 3, 3, 1]);
        assert_eq!(pace.resume(), now, "a long poll is its own pause");
    }

    #[test]
    fn failures_pause_longer_and_longer_and_a_success_ends_that() {
        let (mut pace, mut now) = pace();
        let mut last = Duration::ZERO;
        for _ in 0..7 {
            let now = pace.resume();
            pace.note(Polled::Failed(Error::transport("x")), now, 0.0).unwrap();
            let pause = pace.resume() - now;
            assert!(pause > last, "{pause:?}");
            last = pause;
        }
        for _ in 0..100 {
            now = pace.resume();
            pace.note(Polled::Failed(Error::transport("x")), now, 0.999).unwrap();
        }
        assert!(pace.resume() - now <= MAX_PAUSE);
        now = pace.resume();
        pace.note(Polled::Some, now, 0.0).unwrap();
        pace.note(Polled::Failed(Error::transport("x")), now, 0.0).unwrap();
        assert_eq!(pace.resume() - now, BASE_PAUSE / 2);
    }

    #[test]
    fn answers_that_come_empty_too_early_do_not_spin() {
        let (mut pace, now) = pace();
        for _ in 0..20 {
            pace.note(Polled::Nothing { early: true }, now, 0.0).unwrap();
            assert!(pace.resume() >= now + BASE_PAUSE / 2);
        }
        assert_eq!(pace.resume(), now + MAX_IDLE_PAUSE / 2);
    }

    #[test]
    fn refusals_one_after_the_other_end_it() {
        let (mut pace, _) = pace();
        let mut refused = |times: u32, polled: fn() -> Polled| {
            for _ in 0..times {
                let now = pace.resume();
                pace.note(polled(), now, 0.5)?;
            }
            Ok::<(), Error>(())
        };
        let refusal = || Polled::Failed(Error::credentials("none"));
        refused(MAX_REFUSED_POLLS - 1, refusal).unwrap();
        refused(1, || Polled::Nothing { early: false }).unwrap();
        refused(MAX_REFUSED_POLLS - 1, refusal).unwrap();
        assert_eq!(refused(1, refusal).unwrap_err().kind(), ErrorKind::Credentials);
    }

    #[test]
    fn polls_that_fail_together_fail_once() {
        let (mut pace, now) = pace();
        for _ in 0..2 * MAX_REFUSED_POLLS {
            pace.note(Polled::Failed(Error::credentials("none")), now, 0.0).unwrap();
        }
        assert_eq!(pace.resume() - now, BASE_PAUSE / 2);
    }
}
