//! The time of the next poll, and the number of concurrent polls. Decides from the outcomes of earlier polls, without I/O.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorCode, ErrorKind};

/// The upper limit of the first pause after a poll that failed, or that was empty too early. It doubles with each further
/// one.
const BASE_PAUSE: Duration = Duration::from_millis(100);
/// The upper limit of the pause after failures.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// The upper limit of the pause after responses that were empty too early.
const MAX_IDLE_PAUSE: Duration = Duration::from_secs(1);

/// The outcome of a poll.
#[derive(Debug)]
pub(super) enum PollOutcome {
    /// The poll returned all requested messages, or more.
    Full,
    /// The poll returned some messages.
    Partial,
    /// The poll returned no messages.
    Empty {
        /// `true` if the response arrived before the end of the wait time.
        early: bool,
    },
    /// The poll failed.
    Failed(Error),
}

#[derive(Debug)]
pub(super) struct Pace {
    max_polls: usize,
    refusal_timeout: Duration,
    polls: usize,
    failures: u32,
    /// The time of the first refusal in a row.
    refused_since: Option<Instant>,
    idle: u32,
    resume: Instant,
    warned: Warned,
}

/// The warnings logged since the last successful poll.
#[derive(Debug, Default)]
struct Warned {
    failing: bool,
    refused: bool,
}

impl Pace {
    pub(super) fn new(max_polls: usize, refusal_timeout: Duration, now: Instant) -> Self {
        Self {
            max_polls,
            refusal_timeout,
            polls: 1,
            failures: 0,
            refused_since: None,
            idle: 0,
            resume: now,
            warned: Warned::default(),
        }
    }

    /// Returns the number of polls that may run concurrently.
    pub(super) fn polls(&self) -> usize {
        self.polls
    }

    /// Returns the time at which the next poll may begin.
    pub(super) fn resume(&self) -> Instant {
        self.resume
    }

    /// Records the outcome of a poll. `fraction` is random, in `0.0..1.0`.
    ///
    /// # Errors
    ///
    /// The error with which the consumer ends.
    pub(super) fn record(&mut self, polled: PollOutcome, now: Instant, fraction: f64) -> Result<(), Error> {
        let idle = std::mem::take(&mut self.idle);
        match polled {
            PollOutcome::Failed(error) => return self.failed(error, now, fraction),
            PollOutcome::Full => self.polls = (self.polls + 1).min(self.max_polls),
            PollOutcome::Partial => {}
            PollOutcome::Empty { early } => {
                self.polls = 1;
                if early {
                    self.idle = idle.saturating_add(1);
                    self.resume = now + pause(self.idle, MAX_IDLE_PAUSE, fraction);
                }
            }
        }
        let warned = std::mem::take(&mut self.warned);
        if warned.failing || warned.refused {
            tracing::info!(failures = self.failures, "polls succeed again");
        }
        (self.failures, self.refused_since) = (0, None);
        Ok(())
    }

    fn failed(&mut self, error: Error, now: Instant, fraction: f64) -> Result<(), Error> {
        // The poll began before the last failure, so its failure is no news.
        if self.failures > 0 && now < self.resume {
            return Ok(());
        }
        if is_permanent(&error) {
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
        self.warn(&error, now);
        Ok(())
    }

    /// Warns once of failures, and once of refusals.
    fn warn(&mut self, error: &Error, now: Instant) {
        let pause = self.resume - now;
        let refused = self.refused_since.is_some();
        let warned = if refused {
            &mut self.warned.refused
        } else {
            &mut self.warned.failing
        };
        if std::mem::replace(warned, true) {
            tracing::debug!(%error, ?pause, "a poll failed");
        } else if refused {
            tracing::warn!(
                %error, refusal_timeout = ?self.refusal_timeout,
                "SQS refuses polls; the consumer keeps polling, and ends if the refusals last for its refusal timeout"
            );
        } else {
            tracing::warn!(%error, "polls fail; the consumer keeps polling until they succeed");
        }
    }
}

/// Returns between half and all of a limit that doubles. Never zero, so that no fault causes a busy loop.
fn pause(nth: u32, max: Duration, fraction: f64) -> Duration {
    let doubled = BASE_PAUSE.saturating_mul(2_u32.saturating_pow(nth.saturating_sub(1)));
    doubled.min(max).mul_f64(0.5 + fraction / 2.0)
}

/// Returns `true` if the client itself rejects every such poll. Waiting does not help.
fn is_permanent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Configuration | ErrorKind::InvalidInput)
}

/// Returns `true` if SQS refuses the poll until someone changes the queue, the permissions or the keys. A response without
/// a code comes from a proxy.
fn is_refusal(error: &Error) -> bool {
    let Some(code) = error.code() else { return false };
    // Too many messages in flight is temporary, because competing consumers settle theirs.
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
    fn polls_grow_while_responses_are_full_and_shrink_to_one_when_empty() {
        let (mut pace, now) = pace();
        let mut polls = Vec::new();
        for polled in [
            PollOutcome::Full,
            PollOutcome::Full,
            PollOutcome::Full,
            PollOutcome::Partial,
            PollOutcome::Empty { early: false },
        ] {
            pace.record(polled, now, 0.5).unwrap();
            polls.push(pace.polls());
        }
        assert_eq!(polls, [2, 3, 3, 3, 1]);
        assert_eq!(pace.resume(), now, "a long poll is its own pause");
    }

    #[test]
    fn pauses_after_failures_grow_until_a_success() {
        let (mut pace, mut now) = pace();
        let mut last = Duration::ZERO;
        for _ in 0..7 {
            let now = pace.resume();
            pace.record(PollOutcome::Failed(Error::transport("x")), now, 0.0)
                .unwrap();
            let pause = pace.resume() - now;
            assert!(pause > last, "{pause:?}");
            last = pause;
        }
        for _ in 0..100 {
            now = pace.resume();
            pace.record(PollOutcome::Failed(Error::transport("x")), now, 0.999)
                .unwrap();
        }
        assert!(pace.resume() - now <= MAX_PAUSE);
        now = pace.resume();
        pace.record(PollOutcome::Partial, now, 0.0).unwrap();
        pace.record(PollOutcome::Failed(Error::transport("x")), now, 0.0)
            .unwrap();
        assert_eq!(pace.resume() - now, BASE_PAUSE / 2);
    }

    #[test]
    fn early_empty_responses_do_not_cause_a_busy_loop() {
        let (mut pace, now) = pace();
        for _ in 0..20 {
            pace.record(PollOutcome::Empty { early: true }, now, 0.0).unwrap();
            assert!(pace.resume() >= now + BASE_PAUSE / 2);
        }
        assert_eq!(pace.resume(), now + MAX_IDLE_PAUSE / 2);
    }

    fn refusal() -> PollOutcome {
        PollOutcome::Failed(service_error(ErrorCode::AccessDenied))
    }

    fn service_error(code: ErrorCode) -> Error {
        Error::service(ServiceError {
            code,
            message: "no".to_owned(),
            sender_fault: true,
            status: 403,
            request_id: None,
            retry_hint: None,
        })
    }

    /// Records one poll after the other for this time.
    fn record_for(pace: &mut Pace, time: Duration, polled: impl Fn() -> PollOutcome) -> Result<(), Error> {
        let end = pace.resume() + time;
        while pace.resume() < end {
            let now = pace.resume();
            pace.record(polled(), now, 0.5)?;
        }
        Ok(())
    }

    #[test]
    fn refusals_end_the_consumer_once_they_have_lasted_for_the_timeout() {
        let (mut pace, _) = pace();
        let nearly_all = TIMEOUT - MAX_PAUSE;
        record_for(&mut pace, nearly_all, refusal).unwrap();
        let now = pace.resume();
        pace.record(PollOutcome::Empty { early: false }, now, 0.5).unwrap();
        record_for(&mut pace, nearly_all, refusal).unwrap();
        let error = record_for(&mut pace, 3 * MAX_PAUSE, refusal).unwrap_err();
        assert_eq!(error.code(), Some(&ErrorCode::AccessDenied));
    }

    #[test]
    fn failing_providers_and_responses_without_a_code_never_end_the_consumer() {
        let (mut pace, _) = pace();
        record_for(&mut pace, 10 * TIMEOUT, || {
            PollOutcome::Failed(Error::credentials("none"))
        })
        .unwrap();
        record_for(&mut pace, 10 * TIMEOUT, || {
            PollOutcome::Failed(service_error(ErrorCode::unnamed(403)))
        })
        .unwrap();
    }

    #[test]
    fn an_error_of_the_client_itself_ends_the_consumer_at_once() {
        let (mut pace, now) = pace();
        let wrong = PollOutcome::Failed(Error::invalid_input("x"));
        assert_eq!(
            pace.record(wrong, now, 0.5).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn concurrent_failures_count_once() {
        let (mut pace, now) = pace();
        for _ in 0..12 {
            pace.record(PollOutcome::Failed(Error::credentials("none")), now, 0.0)
                .unwrap();
        }
        assert_eq!(pace.resume() - now, BASE_PAUSE / 2);
    }
}
