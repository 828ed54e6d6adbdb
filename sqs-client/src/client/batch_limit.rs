//! The maximum bytes of a batch: AWS's limit or the client's setting, until a server refuses a smaller batch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;
use crate::queue_name::queue_name;

/// The maximum number of queues whose limits a client remembers.
const MAX_QUEUES: usize = 1_024;

/// AWS's limit until August 2025, which many servers still have. Halving stops here first.
const COMMON_LOWER_LIMIT: usize = 262_144;

/// The limits of all queues of a client.
#[derive(Debug)]
pub(crate) struct BatchLimits {
    configured: usize,
    of_queues: Mutex<HashMap<String, BatchLimit>>,
}

impl BatchLimits {
    pub(crate) fn new(configured: usize) -> Self {
        Self {
            configured: configured.clamp(1, limits::MAX_MESSAGE_BYTES),
            of_queues: Mutex::default(),
        }
    }

    /// Returns the queue's limit, which all callers share.
    pub(crate) fn of(&self, queue_url: &str) -> BatchLimit {
        let mut of_queues = self.of_queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = of_queues.get(queue_url) {
            return limit.clone();
        }
        // A forgotten limit costs up to one refused request before it is learned again.
        if of_queues.len() >= MAX_QUEUES
            && let Some(any) = of_queues.keys().next().cloned()
        {
            of_queues.remove(&any);
        }
        let limit = BatchLimit::new(self.configured);
        of_queues.insert(queue_url.to_owned(), limit.clone());
        limit
    }
}

/// The maximum number of bytes of one queue's batches. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct BatchLimit(Arc<AtomicUsize>);

impl BatchLimit {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Lowers the limit after the server refused a batch of this many bytes as too long.
    pub(crate) fn lower(&self, queue_url: &str, refused: usize) {
        let half = refused / 2;
        let lower = if refused > COMMON_LOWER_LIMIT {
            half.max(COMMON_LOWER_LIMIT)
        } else {
            half
        };
        let before = self.0.fetch_min(lower, Ordering::Relaxed);
        if lower < before {
            let queue = queue_name(queue_url);
            tracing::warn!(
                queue,
                refused,
                limit = lower,
                "the server refused a batch as too long; sending smaller ones"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_remembered_for_a_bounded_number_of_queues() {
        let limits = BatchLimits::new(usize::MAX);
        limits.of("first").lower("first", 1_000_000);
        assert_eq!(limits.of("first").bytes(), 500_000);
        assert_eq!(limits.of("second").bytes(), limits::MAX_MESSAGE_BYTES);
        for number in 0..2 * MAX_QUEUES {
            limits.of(&number.to_string());
        }
        assert_eq!(limits.of_queues.lock().unwrap().len(), MAX_QUEUES);
    }

    #[test]
    fn halving_stops_at_the_common_lower_limit_first_and_never_raises() {
        let limit = BatchLimit::new(limits::MAX_MESSAGE_BYTES);
        let lowered = |refused| {
            limit.lower("q", refused);
            limit.bytes()
        };
        assert_eq!(lowered(1_000_000), 500_000);
        assert_eq!(lowered(500_000), COMMON_LOWER_LIMIT);
        assert_eq!(lowered(900_000), COMMON_LOWER_LIMIT);
        assert_eq!(lowered(COMMON_LOWER_LIMIT), 131_072);
        assert_eq!(lowered(2), 1);
    }
}
