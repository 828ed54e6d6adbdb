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
    refusal_timeout: Duration,
    polls: usize,
    failures: u32,
    /// When the first of the refusals was, one after the other.
    refused_since: Option<Instant>,
    idle: u32,
    resume: Instant,
    told: Told,
}

/// The warnings that were given since the last poll that succeeded.
#[derive(Debug, Default)]
struct Told {
    failing: bool,
    refused: bool,
}

impl Pace {
    pub(super) fn new(most: usize, refusal_timeout: Duration, now: Instant) -> Self {
        Self {
            most,
            refusal_timeout,
            polls: 1,
            failures: 0,
            refused_since: None,
            idle: 0,
            resume: now,
            told: Told::default(),
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
        let idle = std::mem::take(&mut self.idle);
        match polled {
            Polled::Failed(error) => return self.failed(error, now, fraction),
            Polled::Full => self.polls = (self.polls + 1).min(self.most),
            Polled::Some => {}
            Polled::Nothing { early } => {
                self.polls = 1;
                if early {
                    self.idle = idle.saturating_add(1);
                    self.resume = now + pause(self.idle, MAX_IDLE_PAUSE, fraction);
                }
            }
        }
        let told = std::mem::take(&mut self.told);
        if told.failing || told.refused {
            tracing::info!(failures = self.failures, "polls succeed again");
        }
        (self.failures, self.refused_since) = (0, None);
        Ok(())
    }

    fn failed(&mut self, error: Error, now: Instant, fraction: f64) -> Result<(), Error> {
        // A poll that began before the last failure: it says nothing that is not known.
        if self.failures > 0 && now < self.resume {
            return Ok(());
        }
        if is_certain(&error) {
            return Err(error);
        }
        self.polls = 1;
        self.failures = self.failures.saturating_add(1);
        if is_refusal(&error) {
            let since = *self.refused_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= self.refusal_timeout {
                return Err(error);
            }
        } else {
            self.refused_since = None;
        }
        self.resume = now + pause(self.failures, MAX_PAUSE, fraction);
        self.tell(&error, now);
        Ok(())
    }

    /// Warns once of failures, and once of refusals.
    fn tell(&mut self, error: &Error, now: Instant) {
        let pause = self.resume - now;
        let refused = self.refused_since.is_some();
        let told = if refused {
            &mut self.told.refused
        } else {
            &mut self.told.failing
        };
        if std::mem::replace(told, true) {
            tracing::debug!(%error, ?pause, "a poll failed");
        } else if refused {
            tracing::warn!(
                %error, refusal_timeout = ?self.refusal_timeout,
                "polls are refused; the consumer goes on polling, and ends if that lasts for its refusal timeout"
            );
        } else {
            let source = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, source, "polls fail; the consumer goes on polling until they succeed");
        }
    }
}

/// From half of a bound that doubles to all of it: never nothing, so that no fault is answered by a spin.
fn pause(nth: u32, max: Duration, fraction: f64) -> Duration {
    let doubled = BASE_PAUSE.saturating_mul(2_u32.saturating_pow(nth.saturating_sub(1)));
    doubled.min(max).mul_f64(0.5 + fraction / 2.0)
}

/// Returns `true` for what the client itself finds wrong with every such poll. No time mends that.
fn is_certain(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Configuration | ErrorKind::InvalidInput)
}

/// Returns `true` if SQS refuses the poll until someone changes the queue, the permissions or the keys. A response without
/// a code is a proxy's.
fn is_refusal(error: &Error) -> bool {
    let Some(code) = error.code() else { return false };
    // Too many messages in flight pass as others finish theirs.
    !code.is_unnamed() && *code != ErrorCode::OverLimit && !error.is_retryable()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ServiceError;

    const TIMEOUT: Duration = Duration::from_secs(300);

    fn pace() -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(3, TIMEOUT, now), now)
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

    fn refusal() -> Polled {
        Polled::Failed(answered(ErrorCode::AccessDenied))
    }

    fn answered(code: ErrorCode) -> Error {
        Error::service(ServiceError {
            code,
            message: "no".to_owned(),
            sender_fault: true,
            status: 403,
            request_id: None,
            retry_hint: None,
        })
    }

    /// Notes one poll after the other for this long.
    fn note_for(pace: &mut Pace, time: Duration, polled: impl Fn() -> Polled) -> Result<(), Error> {
        let end = pace.resume() + time;
        while pace.resume() < end {
            let now = pace.resume();
            pace.note(polled(), now, 0.5)?;
        }
        Ok(())
    }

    #[test]
    fn refusals_end_it_once_they_have_lasted_for_the_timeout() {
        let (mut pace, _) = pace();
        let most = TIMEOUT - MAX_PAUSE;
        note_for(&mut pace, most, refusal).unwrap();
        let now = pace.resume();
        pace.note(Polled::Nothing { early: false }, now, 0.5).unwrap();
        note_for(&mut pace, most, refusal).unwrap();
        let error = note_for(&mut pace, 3 * MAX_PAUSE, refusal).unwrap_err();
        assert_eq!(error.code(), Some(&ErrorCode::AccessDenied));
    }

    #[test]
    fn failing_providers_and_responses_without_a_code_never_end_it() {
        let (mut pace, _) = pace();
        note_for(&mut pace, 10 * TIMEOUT, || Polled::Failed(Error::credentials("none"))).unwrap();
        note_for(&mut pace, 10 * TIMEOUT, || {
            Polled::Failed(answered(ErrorCode::unnamed(403)))
        })
        .unwrap();
    }

    #[test]
    fn what_the_client_itself_finds_wrong_ends_it_at_once() {
        let (mut pace, now) = pace();
        let wrong = Polled::Failed(Error::invalid_input("x"));
        assert_eq!(pace.note(wrong, now, 0.5).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn polls_that_fail_together_fail_once() {
        let (mut pace, now) = pace();
        for _ in 0..12 {
            pace.note(Polled::Failed(Error::credentials("none")), now, 0.0).unwrap();
        }
        assert_eq!(pace.resume() - now, BASE_PAUSE / 2);
    }
}
