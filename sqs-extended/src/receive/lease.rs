//! The lease of a message that a single receive returned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqs_client::internal;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// The [lease](internal::Lease) of a message, which its owner extends or ends.
#[derive(Debug)]
pub(crate) struct Lease {
    state: Mutex<internal::Lease>,
    /// Locked while a request changes the visibility timeout. SQS keeps the last change that arrives, so only one request
    /// may be in flight.
    changing: tokio::sync::Mutex<()>,
    /// Notified when the end of the lease may have changed.
    changed: Notify,
    settled: AtomicBool,
}

/// Notifies even if the change is dropped half-way.
struct NotifyOnDrop<'a>(&'a Notify);

impl Drop for NotifyOnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

impl Lease {
    /// Creates the lease of a message that a receive hid for `visibility_timeout`. The receive was sent at `requested` or
    /// later.
    pub(crate) fn new(requested: Instant, visibility_timeout: Duration) -> Self {
        Self {
            state: Mutex::new(internal::Lease::new(requested, visibility_timeout)),
            changing: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
            settled: AtomicBool::new(false),
        }
    }

    /// Returns `true` if no other consumer can have received the message.
    pub(crate) fn holds(&self) -> bool {
        self.state().is_valid(Instant::now())
    }

    /// Changes the visibility timeout by `request`. The earlier one of the old and the new end counts while the request is in
    /// flight. If it fails or is dropped, that end stays.
    pub(crate) async fn change<E>(
        &self,
        visibility_timeout: Duration,
        request: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        self.change_or_settle(visibility_timeout, request, false).await
    }

    /// Returns the message to the queue by `request`, as a [change](Self::change) after which the lease is not lost but
    /// settled.
    pub(crate) async fn return_message<E>(
        &self,
        delay: Duration,
        request: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        self.change_or_settle(delay, request, true).await
    }

    async fn change_or_settle<E>(
        &self,
        visibility_timeout: Duration,
        request: impl Future<Output = Result<(), E>>,
        settles: bool,
    ) -> Result<(), E> {
        let _one_at_a_time = self.changing.lock().await;
        let _notify = NotifyOnDrop(&self.changed);
        let requested = Instant::now();
        let held = self.holds();
        self.state().change_requested(requested, visibility_timeout);
        request.await?;
        self.state().extended(requested, visibility_timeout, Instant::now());
        if settles && held {
            self.settled.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Notes that the message's deletion was confirmed. Returns `true` if the lease held until now.
    pub(crate) fn settle(&self) -> bool {
        let holds = self.holds();
        if holds {
            self.settled.store(true, Ordering::Release);
        }
        holds
    }

    /// Ends the lease, because the server says that the message is not ours.
    pub(crate) fn refused(&self) {
        self.state().mark_lost();
        self.changed.notify_waiters();
    }

    /// Waits until the lease is over. Never returns if the message was settled before.
    pub(crate) async fn lost(&self) {
        loop {
            // Registered before the check, so that no change is missed.
            let changed = self.changed.notified();
            if self.settled.load(Ordering::Acquire) {
                std::future::pending::<()>().await;
            }
            let remaining = self.state().remaining(Instant::now());
            if remaining.is_zero() {
                return;
            }
            // Either way the next check decides.
            drop(timeout(remaining, changed).await);
        }
    }

    fn state(&self) -> MutexGuard<'_, internal::Lease> {
        // Every update is complete, so a panic cannot leave the lease inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_a_margin_before_the_visibility_timeout() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        tokio::time::advance(10 * SECOND - internal::LEASE_MARGIN - Duration::from_millis(1)).await;
        assert!(lease.holds());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_counts_from_before_the_request() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        let slow = async {
            tokio::time::sleep(6 * SECOND).await;
            Ok::<_, ()>(())
        };
        lease.change(10 * SECOND, slow).await.unwrap();
        assert!(lease.holds());
        tokio::time::advance(4 * SECOND).await;
        assert!(!lease.holds(), "10 s from before the request, not from its response");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_change_never_lengthens_and_may_shorten() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        lease.change(60 * SECOND, async { Err(()) }).await.unwrap_err();
        tokio::time::advance(8 * SECOND).await;
        assert!(lease.holds());
        lease.change(Duration::ZERO, async { Err(()) }).await.unwrap_err();
        assert!(!lease.holds(), "the request may have arrived");
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
    async fn a_confirmed_change_corrects_an_unconfirmed_one_in_time() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        lease.change(4 * SECOND, async { Err(()) }).await.unwrap_err();
        lease.change(20 * SECOND, async { Ok::<_, ()>(()) }).await.unwrap();
        tokio::time::advance(18 * SECOND).await;
        assert!(lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_stays_lost() {
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
    async fn without_a_visibility_timeout_there_is_no_lease() {
        assert!(!Lease::new(Instant::now(), Duration::ZERO).holds());
        let short = Lease::new(Instant::now(), internal::LEASE_MARGIN);
        assert!(short.holds(), "a short one is not all margin");
    }

    #[tokio::test(start_paused = true)]
    async fn lost_returns_at_the_end_of_the_lease() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        let begin = Instant::now();
        lease.lost().await;
        let margin = Duration::from_millis(2);
        assert!(!lease.holds());
        assert!(begin.elapsed() <= 10 * SECOND - internal::LEASE_MARGIN + margin);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_waits_for_an_extended_lease_and_not_for_a_refused_one() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        let extend = async {
            tokio::time::sleep(5 * SECOND).await;
            lease.change(20 * SECOND, async { Ok::<_, ()>(()) }).await.unwrap();
            tokio::time::sleep(10 * SECOND).await;
            lease.refused();
        };
        let begin = Instant::now();
        tokio::join!(lease.lost(), extend);
        assert_eq!(begin.elapsed(), 15 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_never_returns_once_the_message_is_settled() {
        for settle in [true, false] {
            let lease = Lease::new(Instant::now(), 10 * SECOND);
            if settle {
                assert!(lease.settle());
            } else {
                let returned = lease.return_message(Duration::ZERO, async { Ok::<_, ()>(()) });
                returned.await.unwrap();
            }
            timeout(100 * SECOND, lease.lost()).await.unwrap_err();
        }
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        tokio::time::advance(10 * SECOND).await;
        assert!(!lease.settle());
        lease.lost().await;
    }
}
