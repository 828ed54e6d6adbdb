//! How long a received message is surely ours.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqs_client::internal;
use tokio::time::Instant;

/// The [lease](internal::Lease) of a message that a receive brought, with its owner's changes of the visibility timeout.
#[derive(Debug)]
pub(crate) struct Lease {
    state: Mutex<internal::Lease>,
    /// Held over a change of the visibility timeout: SQS keeps the last one to arrive, so only one may be under way.
    changing: tokio::sync::Mutex<()>,
}

impl Lease {
    /// The lease of a message that a receive, sent no earlier than `asked`, hid for `visibility_timeout`.
    pub(crate) fn new(asked: Instant, visibility_timeout: Duration) -> Self {
        Self {
            state: Mutex::new(internal::Lease::new(asked, visibility_timeout)),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// Whether the message is surely still ours.
    pub(crate) fn holds(&self) -> bool {
        self.state().is_valid(Instant::now())
    }

    /// Asks for another visibility timeout by `request`, and keeps the lease true whatever comes of it: while the
    /// request is under way, and for good if it fails or is dropped, the earlier of the old and new ends counts.
    pub(crate) async fn change<E>(
        &self,
        visibility_timeout: Duration,
        request: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let _one_at_a_time = self.changing.lock().await;
        let asked = Instant::now();
        self.state().change_requested(asked, visibility_timeout);
        request.await?;
        self.state().extended(asked, visibility_timeout, Instant::now());
        Ok(())
    }

    /// The server says that the message is not ours.
    pub(crate) fn refused(&self) {
        self.state().mark_lost();
    }

    fn state(&self) -> MutexGuard<'_, internal::Lease> {
        // It is whole at any time, so a panic elsewhere cannot have spoilt it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn ends_a_margin_before_the_visibility_timeout() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        tokio::time::advance(10 * SECOND - internal::LEASE_MARGIN - Duration::from_millis(1)).await;
        assert!(lease.holds());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn counts_from_before_the_request() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        let slow = async {
            tokio::time::sleep(6 * SECOND).await;
            Ok::<_, ()>(())
        };
        lease.change(10 * SECOND, slow).await.unwrap();
        assert!(lease.holds());
        tokio::time::advance(4 * SECOND).await;
        assert!(!lease.holds(), "10 s from before the request, not from its answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_change_never_lengthens_and_may_shorten() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        lease.change(60 * SECOND, async { Err(()) }).await.unwrap_err();
        tokio::time::advance(8 * SECOND).await;
        assert!(lease.holds());
        lease.change(Duration::ZERO, async { Err(()) }).await.unwrap_err();
        assert!(!lease.holds(), "the release may have arrived");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_change_counts_as_failed() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        let never = lease.change(2 * SECOND, std::future::pending::<Result<(), ()>>());
        tokio::time::timeout(Duration::from_millis(1), never).await.unwrap_err();
        tokio::time::advance(2 * SECOND).await;
        assert!(!lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_confirmed_change_sets_an_unconfirmed_one_right_in_time() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        lease.change(4 * SECOND, async { Err(()) }).await.unwrap_err();
        lease.change(20 * SECOND, async { Ok::<_, ()>(()) }).await.unwrap();
        tokio::time::advance(18 * SECOND).await;
        assert!(lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_stays_lost() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        tokio::time::advance(10 * SECOND).await;
        lease.change(60 * SECOND, async { Ok::<_, ()>(()) }).await.unwrap();
        assert!(!lease.holds(), "a late confirmation");

        let lease = Lease::new(Instant::now(), 10 * SECOND);
        lease.refused();
        lease.change(60 * SECOND, async { Ok::<_, ()>(()) }).await.unwrap();
        assert!(!lease.holds(), "the server said so");
    }

    #[tokio::test(start_paused = true)]
    async fn no_visibility_is_no_lease() {
        assert!(!Lease::new(Instant::now(), Duration::ZERO).holds());
        let short = Lease::new(Instant::now(), internal::LEASE_MARGIN);
        assert!(short.holds(), "a short one is not all margin");
    }
}
