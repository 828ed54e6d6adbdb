//! When to try again, and after how long: standard mode, as the AWS SDKs and Tools Reference Guide describes it.

mod quota;

use std::time::Duration;

use crate::ambient::Ambient;
use crate::error::{Error, ErrorKind};

pub(crate) use quota::RetryQuota;

/// How often a request is tried, and how long the pauses between are.
///
/// A pause is a random part of a bound that doubles with each attempt ("full jitter"), or what the server asked for
/// by `Retry-After`. All clones of a client share a quota of retries, so that a server in trouble is not asked the
/// more: see [`RetryPolicy::standard`].
///
/// ```
/// use std::time::Duration;
/// use sqs_client::RetryPolicy;
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
    /// Three attempts; pauses of up to 100 ms, doubled each time (1 s after throttling), at most 20 s; a quota of 500,
    /// of which a retry takes 5 (10 after a timeout), given back when it succeeds.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(100),
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

    /// Bounds every pause, the server's `Retry-After` included.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// The pause before the attempt after this failed one, counted from 1.
    fn delay(&self, attempt: u32, error: &Error, ambient: &Ambient) -> Duration {
        if let Some(asked) = error.retry_after() {
            return asked.min(self.max_delay);
        }
        let base = if error.is_throttled() {
            self.throttled_base_delay
        } else {
            self.base_delay
        };
        let doubled = base.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        doubled.min(self.max_delay).mul_f64(ambient.fraction())
    }
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
    ambient: &'a Ambient,
    failed: u32,
    /// What this request's last retry took of the quota.
    taken: u32,
    /// Whether any attempt may have taken effect.
    sent: bool,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(policy: &'a RetryPolicy, quota: &'a RetryQuota, ambient: &'a Ambient) -> Self {
        Self {
            policy,
            quota,
            ambient,
            failed: 0,
            taken: 0,
            sent: false,
        }
    }

    pub(crate) fn succeeded(&self) {
        self.quota.give_back(self.taken);
    }

    /// The pause before the next attempt, or the error to return.
    pub(crate) fn after(&mut self, error: Error, retryable: bool) -> Result<(Duration, Error), Error> {
        self.failed += 1;
        self.sent |= error.may_have_been_sent();
        let error = error.sent(self.sent);
        if !retryable || self.failed >= self.policy.max_attempts {
            return Err(error);
        }
        match self.quota.take(error.kind() == ErrorKind::Timeout) {
            Some(taken) => self.taken = taken,
            None => return Err(error),
        }
        let delay = self.policy.delay(self.failed, &error, self.ambient);
        Ok((delay, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts<'a>(policy: &'a RetryPolicy, quota: &'a RetryQuota, ambient: &'a Ambient) -> Attempts<'a> {
        Attempts::new(policy, quota, ambient)
    }

    #[test]
    fn pauses_are_within_a_doubling_bound() {
        let (policy, quota) = (RetryPolicy::standard().max_attempts(20), RetryQuota::default());
        let ambient = Ambient::real().with_seed(7);
        let mut attempts = attempts(&policy, &quota, &ambient);
        for attempt in 0..12 {
            let (delay, _) = attempts.after(Error::transport("x"), true).unwrap();
            let bound = Duration::from_millis(100) * 2_u32.pow(attempt);
            assert!(delay <= bound.min(Duration::from_secs(20)), "{attempt}: {delay:?}");
        }
    }

    #[test]
    fn any_attempt_that_may_have_been_sent_makes_the_whole_so() {
        let (policy, quota, ambient) = (RetryPolicy::standard(), RetryQuota::default(), Ambient::real());
        let mut attempts = attempts(&policy, &quota, &ambient);
        attempts.after(Error::transport("x").sent(true), true).unwrap();
        let error = attempts.after(Error::invalid_input("x"), false).unwrap_err();
        assert!(error.may_have_been_sent());
    }

    #[test]
    fn an_empty_quota_ends_the_attempts() {
        let (policy, quota, ambient) = (RetryPolicy::standard(), RetryQuota::default(), Ambient::real());
        while quota.take(true).is_some() {}
        let mut attempts = attempts(&policy, &quota, &ambient);
        assert!(attempts.after(Error::transport("x"), true).is_err());
    }
}
