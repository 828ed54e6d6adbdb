//! A store's requests to slow down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the responses by which a store requested a lower rate. Clones share the count.
///
/// object_store repeats such requests itself, so they are invisible above it. Those who make the requests compare two
/// counts to learn whether the store asked in between.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pressure(Arc<AtomicU64>);

impl Pressure {
    /// Counts one response that asked to slow down.
    #[cfg_attr(
        not(any(feature = "_http", test)),
        expect(dead_code, reason = "only stores over HTTP count")
    )]
    pub(crate) fn slow_down(&self) {
        // The count orders no other memory.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of responses so far that asked to slow down.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_count() {
        let pressure = Pressure::default();
        let clone = pressure.clone();
        assert_eq!(pressure.count(), 0);
        clone.slow_down();
        pressure.slow_down();
        assert_eq!((pressure.count(), clone.count()), (2, 2));
        assert_eq!(Pressure::default().count(), 0);
    }
}
