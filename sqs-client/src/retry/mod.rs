//! Retries in the standard mode of AWS's SDKs, as the page "Retry behavior" of the AWS SDKs and Tools Reference Guide
//! describes it.
//!
//! The numbers are the defaults of AWS's SDKs from November 2026 on.

mod quota;

use std::time::Duration;

use crate::error::{Error, RetryHint};
use crate::random::Random;

pub(crate) use quota::RetryQuota;

/// The maximum time by which `x-amz-retry-after` can lengthen a pause.
const MAX_STRETCH: Duration = Duration::from_secs(5);

/// The number of a request's attempts, and the pauses between them.
///
/// A pause is a random part of a bound that doubles with each attempt ("full jitter"). A server can request another
/// pause by `Retry-After` in seconds, or by AWS's `x-amz-retry-after` in milliseconds. The latter lengthens a pause by
/// up to 5 seconds.
///
/// All clones of a client share a quota of retries, which limits the load on a server in trouble: see
/// [`RetryPolicy::standard`]. When the quota is empty, requests return their error without a retry. A failed long poll
/// still waits for the pause, so that a loop of receives does not spin.
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
    /// Returns the default policy: up to three attempts with pauses between them.
    ///
    /// The first pause is up to 50 ms (1 s after throttling). The bound doubles each time, up to 20 s. The quota is
    /// 500. A retry costs 14 of it, or 5 after throttling. A request that succeeds refunds the cost of its last retry,
    /// or adds 1 if it had none.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(50),
            throttled_base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(20),
        }
    }

    /// Returns a policy of a single attempt.
    #[must_use]
    pub fn never() -> Self {
        Self::standard().max_attempts(1)
    }

    /// Sets the maximum number of attempts, including the first. Default: 3. Range: at least 1. Zero counts as 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets the bound of the first pause, which doubles with each attempt. Default: 50 ms. Range: any. Zero
    /// means no pause.
    #[must_use]
    pub fn base_delay(mut self, delay: Duration) -> Self {
        self.base_delay = delay;
        self
    }

    /// Sets the bound of the first pause after throttling, which doubles with each attempt. Default: 1 second.
    /// Range: any. Zero means no pause.
    #[must_use]
    pub fn throttled_base_delay(mut self, delay: Duration) -> Self {
        self.throttled_base_delay = delay;
        self
    }

    /// Sets the bound of every pause, including the server's `Retry-After`. Default: 20 seconds. Range: any.
    ///
    /// `x-amz-retry-after` may add up to 5 seconds.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Returns the pause after this failed attempt, counted from 1.
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

/// Returns a random part of a bound that is `base` at the first attempt and doubles with each, up to `max`.
pub fn full_jitter(base: Duration, max: Duration, attempt: u32, fraction: f64) -> Duration {
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
    /// The quota that this request's last retry cost.
    cost: u32,
    /// `true` if any attempt may have taken effect.
    sent: bool,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(policy: &'a RetryPolicy, quota: &'a RetryQuota, random: &'a Random) -> Self {
        Self {
            policy,
            quota,
            random,
            failed: 0,
            cost: 0,
            sent: false,
        }
    }

    pub(crate) fn succeeded(&self) {
        self.quota.refund(self.cost);
    }

    /// Returns `true` if any attempt so far may have taken effect.
    pub(crate) fn may_have_been_sent(&self) -> bool {
        self.sent
    }

    /// Decides about another attempt after this failure.
    pub(crate) fn after(&mut self, error: Error, retryable: bool) -> Next {
        self.failed += 1;
        self.sent |= error.may_have_been_sent();
        let error = error.sent(self.sent);
        if !retryable || self.failed >= self.policy.max_attempts {
            return Next::End(error);
        }
        let delay = self.policy.delay(self.failed, &error, self.random);
        match self.quota.take(error.is_throttled()) {
            Some(cost) => {
                self.cost = cost;
                Next::Retry(delay, error)
            }
            None => Next::NoQuota(delay, error),
        }
    }
}

/// The decision after a failed attempt.
#[derive(Debug)]
pub(crate) enum Next {
    /// Make another attempt after this pause.
    Retry(Duration, Error),
    /// Return the error, because the quota is empty. A retry would have waited for this pause.
    NoQuota(Duration, Error),
    /// Return the error.
    End(Error),
}

impl Next {
    /// Returns the pause before another attempt, if there is one.
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
    fn full_jitter_doubles_up_to_its_maximum() {
        let jitter =
            |attempt, fraction| full_jitter(Duration::from_secs(1), Duration::from_secs(300), attempt, fraction);
        let bounds = [0, 1, 2, 3, 9, 10, u32::MAX].map(|attempt| jitter(attempt, 1.0).as_secs());
        assert_eq!(bounds, [1, 1, 2, 4, 256, 300, 300]);
        assert_eq!(jitter(2, 0.25), Duration::from_millis(500));
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
    fn the_server_can_replace_or_lengthen_a_pause() {
        let (policy, quota, random) = (RetryPolicy::standard(), RetryQuota::default(), Random::default());
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
    fn an_error_may_have_been_sent_if_any_attempt_may_have_been() {
        let (policy, quota, random) = (RetryPolicy::standard(), RetryQuota::default(), Random::default());
        let mut attempts = attempts(&policy, &quota, &random);
        retried(attempts.after(Error::transport("x").sent(true), true));
        let Next::End(error) = attempts.after(Error::invalid_input("x"), false) else {
            panic!("retried");
        };
        assert!(error.may_have_been_sent());
    }

    #[test]
    fn an_empty_quota_ends_the_attempts() {
        let (policy, quota, random) = (RetryPolicy::standard(), RetryQuota::default(), Random::default());
        let retries = std::iter::from_fn(|| quota.take(false)).count();
        assert_eq!(retries, 500 / 14);
        let mut attempts = attempts(&policy, &quota, &random);
        assert!(matches!(attempts.after(Error::transport("x"), true), Next::NoQuota(..)));
    }
}
