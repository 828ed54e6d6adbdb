use std::sync::atomic::{AtomicU32, Ordering};

/// What the quota holds at most.
const CAPACITY: u32 = 500;
/// What a retry takes.
const RETRY_COST: u32 = 14;
/// What a retry after throttling takes.
const THROTTLED_RETRY_COST: u32 = 5;
/// What a request that succeeds at once gives.
const SUCCESS_REFILL: u32 = 1;

/// How many retries the clones of a client may still make; successes fill it again.
#[derive(Debug)]
pub(crate) struct RetryQuota(AtomicU32);

impl Default for RetryQuota {
    fn default() -> Self {
        Self(AtomicU32::new(CAPACITY))
    }
}

impl RetryQuota {
    /// Takes what a retry costs, and says how much that was; `None` where there is not so much left.
    pub(super) fn take(&self, throttled: bool) -> Option<u32> {
        let cost = if throttled { THROTTLED_RETRY_COST } else { RETRY_COST };
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost));
        taken.ok().map(|_| cost)
    }

    /// After a success: gives back what the retry took, or a little where there was none.
    pub(super) fn give_back(&self, taken: u32) {
        let given = taken.max(SUCCESS_REFILL);
        let fill = |left: u32| (left < CAPACITY).then(|| left.saturating_add(given).min(CAPACITY));
        // An error means that the quota is full.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill);
    }
}
