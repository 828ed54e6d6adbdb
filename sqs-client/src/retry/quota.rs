use std::sync::atomic::{AtomicU32, Ordering};

/// The maximum of the quota.
const CAPACITY: u32 = 500;
/// The cost of a retry.
const RETRY_COST: u32 = 14;
/// The cost of a retry after throttling.
const THROTTLED_RETRY_COST: u32 = 5;
/// The refill for a request that succeeds without a retry.
const SUCCESS_REFILL: u32 = 1;

/// The budget for the retries of all clones of a client. Successes refill it.
#[derive(Debug)]
pub(crate) struct RetryQuota(AtomicU32);

impl Default for RetryQuota {
    fn default() -> Self {
        Self(AtomicU32::new(CAPACITY))
    }
}

impl RetryQuota {
    /// Deducts the cost of a retry and returns it. `None` if the remaining quota does not cover it.
    pub(super) fn take(&self, throttled: bool) -> Option<u32> {
        let cost = if throttled { THROTTLED_RETRY_COST } else { RETRY_COST };
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost));
        taken.ok().map(|_| cost)
    }

    /// Refunds the cost of a retry after its success, or adds a little if there was no retry.
    pub(super) fn refund(&self, cost: u32) {
        let refill = cost.max(SUCCESS_REFILL);
        let fill = |left: u32| (left < CAPACITY).then(|| left.saturating_add(refill).min(CAPACITY));
        // An error means that the quota is full.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill);
    }
}
