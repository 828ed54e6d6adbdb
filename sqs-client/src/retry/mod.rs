//! When to try again, and after how long: standard mode, as the page "Retry behavior" of the AWS SDKs and Tools
//! Reference Guide describes it, with the numbers that AWS's SDKs have by default from November 2026 on.

mod quota;

use std::time::Duration;

use crate::error::{Error, RetryHint};
use crate::random::Random;

pub(crate) use quota::RetryQuota;

/// Longest that the server can lengthen a pause by with `x-amz-retry-after`.
const MAX_STRETCH: Duration = Duration::from_secs(5);

/// How often a request is tried, and how long the pauses between are.
///
/// A pause is a random part of a bound that doubles with each attempt ("full jitter"), or what the server asked for:
/// by `Retry-After` in seconds, or by AWS's `x-amz-retry-after` in milliseconds, which can lengthen a pause by 5
/// seconds at most. All clones of a client share a quota of retries, so that a server in trouble is not asked the
/// more: see [`RetryPolicy::standard`]. When the quota is empty, errors are returned at once, but for those of a long
/// poll: they wait for the pause first, so that a loop of receives does not spin.
///
/// ```
/// use std::time::Duration;
/// use sqs_client::client::RetryPolicy;
///
/// let patient = RetryPolicy::standard().max_attempts(8).max_delay(Duration::from_secs(60));
/// let none = RetryPolicy::never();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    max_attempts: u32,
    base_delay: Duration,
    throttled_base_delay: Duration,
    max_delay: Duration,
}

impl RetryPolicy {
    /// Three attempts; pauses of up to 50 ms, doubled each time (1 s after throttling), at most 20 s; a quota of 500,
    /// of which a retry takes 14 (5 after throttling), given back when it succeeds.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(50),
            throttled_base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(20),
        }
    }

    /// One attempt.
    #[must_use]
    pub fn never() -> Self {
        Self::standard().max_attempts(1)
    }

    /// Tries at most so often, the first attempt included; at least once.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Bounds the first pause; the following bounds are doubles of it.
    #[must_use]
    pub fn base_delay(mut self, delay: Duration) -> Self {
        self.base_delay = delay;
        self
    }

    /// Bounds the first pause after the server said that there were too many requests.
    #[must_use]
    pub fn throttled_base_delay(mut self, delay: Duration) -> Self {
        self.throttled_base_delay = delay;
        self
    }

    /// Bounds every pause, the server's `Retry-After` included; what `x-amz-retry-after` may add comes on top.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// The pause before the attempt after this failed one, counted from 1.
    fn delay(&self, attempt: u32, error: &Error, random: &Random) -> Duration {
        let hint = error.retry_hint();
        if let Some(RetryHint::After(asked)) = hint {
            return asked.min(self.max_delay);
        }
        let base = if error.is_throttled() {
            self.throttled_base_delay
        } else {
            self.base_delay
        };
        let own = full_jitter(base, self.max_delay, attempt, random.fraction());
        match hint {
            Some(RetryHint::Within(asked)) => asked.clamp(own, own.saturating_add(MAX_STRETCH)),
            _ => own,
        }
    }
}

/// A random part of a bound that is `base` at the first attempt and doubles with each, up to `max`.
pub(crate) fn full_jitter(base: Duration, max: Duration, attempt: u32, fraction: f64) -> Duration {
    let doubled = base.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    doubled.min(max).mul_f64(fraction)
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::standard()
    }
}

/// The attempts of one request.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    quota: &'a RetryQuota,
    random: &'a Random,
    failed: u32,
    /// What this request's last retry took of the quota.
    taken: u32,
    /// Whether any attempt may have taken effect.
    sent: bool,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(policy: &'a RetryPolicy, quota: &'a RetryQuota, random: &'a Random) -> Self {
        Self {
            policy,
            quota,
            random,
            failed: 0,
            taken: 0,
            sent: false,
        }
    }

    pub(crate) fn succeeded(&self) {
        self.quota.give_back(self.taken);
    }

    /// Whether any attempt so far may have taken effect.
    pub(crate) fn may_have_been_sent(&self) -> bool {
        self.sent
    }

    /// What comes after this failure.
    pub(crate) fn after(&mut self, error: Error, retryable: bool) -> Next {
        self.failed += 1;
        self.sent |= error.may_have_been_sent();
        let error = error.sent(self.sent);
        if !retryable || self.failed >= self.policy.max_attempts {
            return Next::End(error);
        }
        let delay = self.policy.delay(self.failed, &error, self.random);
        match self.quota.take(error.is_throttled()) {
            Some(taken) => {
                self.taken = taken;
                Next::Retry(delay, error)
            }
            None => Next::NoQuota(delay, error),
        }
    }
}

/// What comes after a failed attempt.
#[derive(Debug)]
pub(crate) enum Next {
    /// Another attempt after this pause.
    Retry(Duration, Error),
    /// The error, as nothing is left of the quota; the pause is what a retry would have waited.
    NoQuota(Duration, Error),
    /// The error.
    End(Error),
}

impl Next {
    /// The pause before another attempt, if there is one.
    pub(crate) fn pause(self) -> Option<Duration> {
        match self {
            Self::Retry(pause, _) => Some(pause),
            Self::NoQuota(..) | Self::End(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorCode, ServiceError};

    fn attempts<'a>(policy: &'a RetryPolicy, quota: &'a RetryQuota, random: &'a Random) -> Attempts<'a> {
        Attempts::new(policy, quota, random)
    }

    fn retried(next: Next) -> (Duration, Error) {
        match next {
            Next::Retry(delay, error) => (delay, error),
            other => panic!("{other:?}"),
        }
    }

    fn hinted(hint: RetryHint) -> Error {
        Error::service(ServiceError {
            code: ErrorCode::InternalError,
            message: String::new(),
            sender_fault: false,
            status: 500,
            request_id: None,
            retry_hint: Some(hint),
        })
    }

    #[test]
    fn pauses_are_within_a_doubling_bound() {
        let (policy, quota) = (RetryPolicy::standard().max_attempts(20), RetryQuota::default());
        let random = Random::with_seed(7);
        let mut attempts = attempts(&policy, &quota, &random);
        for attempt in 0..12 {
            let (delay, _) = retried(attempts.after(Error::transport("x"), true));
            let bound = Duration::from_millis(50) * 2_u32.pow(attempt);
            assert!(delay <= bound.min(Duration::from_secs(20)), "{attempt}: {delay:?}");
        }
    }

    #[test]
    fn the_server_can_set_a_pause_or_stretch_it() {
        let (policy, quota, random) = (RetryPolicy::standard(), RetryQuota::default(), Random::new());
        let pause = |hint| {
            let mut attempts = attempts(&policy, &quota, &random);
            retried(attempts.after(hinted(hint), true)).0
        };
        let seconds = Duration::from_secs;
        assert_eq!(pause(RetryHint::After(seconds(7))), seconds(7));
        assert_eq!(pause(RetryHint::After(seconds(99))), seconds(20));
        assert_eq!(pause(RetryHint::Within(seconds(3))), seconds(3));
        assert!(pause(RetryHint::Within(seconds(99))) <= seconds(5) + Duration::from_millis(50));
    }

    #[test]
    fn any_attempt_that_may_have_been_sent_makes_the_whole_so() {
        let (policy, quota, random) = (RetryPolicy::standard(), RetryQuota::default(), Random::new());
        let mut attempts = attempts(&policy, &quota, &random);
        retried(attempts.after(Error::transport("x").sent(true), true));
        let Next::End(error) = attempts.after(Error::invalid_input("x"), false) else {
            panic!("tried again");
        };
        assert!(error.may_have_been_sent());
    }

    #[test]
    fn an_empty_quota_ends_the_attempts() {
        let (policy, quota, random) = (RetryPolicy::standard(), RetryQuota::default(), Random::new());
        let retries = std::iter::from_fn(|| quota.take(false)).count();
        assert_eq!(retries, 500 / 14);
        let mut attempts = attempts(&policy, &quota, &random);
        assert!(matches!(attempts.after(Error::transport("x"), true), Next::NoQuota(..)));
    }
}
