//! How long a received message is surely ours.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A lease ends this long before the visibility timeout does, for what two clocks and a network may differ by.
pub const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// The time up to which no other consumer can have been given the message.
///
/// SQS counts a visibility timeout from when it handles the request, so counting from before the request was *sent*
/// errs on the safe side. SQS also answers success to the deletion of a message with a stale receipt handle, without
/// deleting it: only this clock says whether a confirmed deletion was real.
#[derive(Debug)]
pub(crate) struct Lease {
    until: Mutex<Option<Instant>>,
    /// Held over a change of the visibility timeout: SQS keeps the last one to arrive, so only one may be under way.
    changing: tokio::sync::Mutex<()>,
}

impl Lease {
    /// The lease of a message that a receive, sent no earlier than `asked`, hid for `visibility_timeout`.
    pub(crate) fn new(asked: Instant, visibility_timeout: Duration) -> Self {
        Self {
            until: Mutex::new(end(asked, visibility_timeout)),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// Whether the message is surely still ours.
    pub(crate) fn holds(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Asks for another visibility timeout by `request`, and keeps the lease true whatever comes of it: while the
    /// request is under way, and for good if it fails or is dropped, the earlier of the old and new ends counts.
    pub(crate) async fn change<E>(
        &self,
        visibility_timeout: Duration,
        request: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let _one_at_a_time = self.changing.lock().await;
        let new = end(Instant::now(), visibility_timeout);
        {
            let mut until = self.until_mut();
            *until = (*until).min(new);
        }
        request.await?;
        *self.until_mut() = new;
        Ok(())
    }

    fn until(&self) -> Option<Instant> {
        *self.until_mut()
    }

    fn until_mut(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        // An Instant is whole at any time, so a panic elsewhere cannot have spoilt it.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None`, which is less than any `Some`, where nothing is left after the margin.
fn end(asked: Instant, visibility_timeout: Duration) -> Option<Instant> {
    let lease = visibility_timeout.checked_sub(LEASE_MARGIN)?;
    asked.checked_add(lease)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn ends_a_margin_before_the_visibility_timeout() {
        let lease = Lease::new(Instant::now(), 10 * SECOND);
        tokio::time::advance(10 * SECOND - LEASE_MARGIN - Duration::from_millis(1)).await;
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
        tokio::time::advance(SECOND).await;
        assert!(!lease.holds());
        lease.change(10 * SECOND, async { Ok::<_, ()>(()) }).await.unwrap();
        assert!(lease.holds(), "a confirmed one sets it right");
    }

    #[tokio::test(start_paused = true)]
    async fn no_visibility_is_no_lease() {
        assert!(!Lease::new(Instant::now(), Duration::ZERO).holds());
        assert!(!Lease::new(Instant::now(), LEASE_MARGIN).holds());
    }
}
