//! A received message and the methods that settle it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::requests::is_stale;
use crate::consumer::settlement::{AckOutcome, Settlement};
use crate::consumer::shared::Shared;
use crate::consumer::state::{End, State};
use crate::consumer::tracked::TrackedMessage;
use crate::error::Error;
use crate::types::Message;

/// A received message that stays in flight until it is [acknowledged](Self::ack) or [returned](Self::nack) to the queue.
///
/// Until then a heartbeat extends its visibility, up to 12 hours after its receipt, so that no competing consumer
/// receives it. If the last clone of an unsettled delivery is dropped, a background task returns the message to the
/// queue at once. If the runtime has ended, the message reappears when its visibility timeout expires.
///
/// SQS delivers at least once, so it can deliver a message again although it was acknowledged.
///
/// ```no_run
/// # async fn f(delivery: sqs_client::Delivery) -> Result<(), sqs_client::Error> {
/// use std::time::Duration;
///
/// match delivery.message().body.parse::<u64>() {
///     Ok(number) => {
///         println!("{number}");
///         delivery.ack().await?;
///     }
///     Err(_) => delivery.nack(Duration::from_secs(60)).await?,
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Delivery {
    pub(super) inner: Arc<Inner>,
    pub(super) message: Arc<Message>,
}

/// The state that the clones of a delivery share.
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) tracked: Arc<TrackedMessage>,
    pub(super) settlement: tokio::sync::Mutex<Option<Settlement>>,
    pub(super) was_parked: AtomicBool,
}

impl Delivery {
    pub(super) fn new(shared: Arc<Shared>, tracked: Arc<TrackedMessage>) -> Self {
        Self {
            message: tracked.message(),
            inner: Arc::new(Inner {
                shared,
                tracked,
                settlement: tokio::sync::Mutex::new(None),
                was_parked: AtomicBool::new(false),
            }),
        }
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Returns the URL of the queue that the message came from.
    #[must_use]
    pub fn queue_url(&self) -> &str {
        // The queue was looked up before it was polled.
        self.inner.shared.queue.url_or_name()
    }

    /// Returns the number of times that the message was received without being deleted, this receive included. It is 1 if
    /// the server does not report it.
    #[must_use]
    pub fn receive_count(&self) -> u32 {
        self.message().attributes.approximate_receive_count().unwrap_or(1)
    }

    /// Returns the number of the message's receives, this one included, plus the retries in place by this consumer. A
    /// receive counts whether or not the message was handled. After a restart, for example, the first handling can have
    /// a count of 2.
    ///
    /// On a FIFO queue, the consumer first retries a failed message in place, without another receive. See
    /// [`Consumer`](crate::consumer::Consumer#receive-counts).
    #[must_use]
    pub fn handling_count(&self) -> u32 {
        self.receive_count().saturating_add(self.inner.tracked.all_retries())
    }

    /// Returns the remaining time of the lease if no extension follows. Zero once the lease is lost.
    ///
    /// A lease is the time in which no competing consumer can receive the message. It counts from before the receive or
    /// the last confirmed extension was sent. It is 1 second shorter than the visibility timeout, or a quarter shorter
    /// if the timeout is below 4 seconds.
    #[must_use]
    pub fn lease_remaining(&self) -> Duration {
        self.inner.tracked.lease().remaining(Instant::now())
    }

    /// Waits until the lease is lost. That happens if no extension is confirmed in time, the server refuses one, or the
    /// message has been in flight for 12 hours. A competing consumer may then have the message. The future never
    /// completes if the delivery is settled in time.
    ///
    /// ```no_run
    /// # async fn work(_: &sqs_client::Message) {}
    /// # async fn f(delivery: sqs_client::Delivery) -> Result<(), sqs_client::Error> {
    /// tokio::select! {
    ///     () = work(delivery.message()) => drop(delivery.ack().await?),
    ///     () = delivery.lease_lost() => {} // a competing consumer may handle it
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped, and the method called again, at any time.
    pub async fn lease_lost(&self) {
        self.inner.tracked.lease_lost().await;
    }

    /// Deletes the message, and returns whether the deletion is certain. Concurrent acknowledgements share requests. A
    /// repeated call returns the same result without another request.
    ///
    /// # Errors
    ///
    /// The deletion failed. The message stays in flight and can be acknowledged again. The error is of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the message was already returned to the queue.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the message may or may not be deleted. The delivery stays unsettled, and the call may
    /// be repeated.
    pub async fn ack(&self) -> Result<AckOutcome, Error> {
        let inner = &*self.inner;
        let mut settlement = inner.settlement.lock().await;
        match *settlement {
            Some(Settlement::Acked(outcome)) => return Ok(outcome),
            Some(_) => return Err(Error::invalid_input("the message was already returned to the queue")),
            None => {}
        }
        inner.begin_settling();
        let deleted = inner.shared.requests.delete(inner.tracked.receipt_handle()).await;
        let outcome = match deleted {
            Ok(()) if inner.tracked.lease_is_valid() => AckOutcome::Deleted,
            Ok(()) => AckOutcome::LeaseLost,
            Err(error) if is_stale(&error) => AckOutcome::LeaseLost,
            Err(error) => return Err(error),
        };
        inner.settle(&mut settlement, Settlement::Acked(outcome));
        inner.finish(match outcome {
            AckOutcome::Deleted => End::Deleted,
            AckOutcome::LeaseLost => End::Handled,
        });
        Ok(outcome)
    }

    /// Returns the message to the queue, where it becomes visible after `delay`. Range: 0 seconds–12 hours after its
    /// receipt, in whole seconds (rounded up). A longer delay counts as the maximum. Once the lease is lost, no request
    /// is sent.
    ///
    /// On a FIFO queue, the group waits until the message is received again. Messages that were received after it stay
    /// in flight, so that only this message's receive count grows.
    ///
    /// # Errors
    ///
    /// The request failed. The message stays in flight. The error is of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the message was already acknowledged.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the delay may or may not take effect. The delivery stays unsettled, and the call may
    /// be repeated.
    pub async fn nack(&self, delay: Duration) -> Result<(), Error> {
        self.inner.return_once(delay, Settlement::Nacked(delay)).await
    }

    /// Returns the message to the queue after the consumer's [backoff](crate::consumer::Consumer::backoff), which grows
    /// with every handling.
    ///
    /// On a FIFO queue, the message is first retried in place,
    /// [`RETRIES_IN_PLACE`](crate::Consumer::RETRIES_IN_PLACE) times. It stays in flight, and the
    /// consumer yields it as a new delivery after the backoff. If the lease is lost, no request is sent.
    ///
    /// # Errors
    ///
    /// See [`nack`](Self::nack).
    ///
    /// # Cancel safety
    ///
    /// See [`nack`](Self::nack).
    pub async fn nack_with_backoff(&self) -> Result<(), Error> {
        let inner = &*self.inner;
        let pause = self.backoff();
        {
            let mut settlement = inner.settlement.lock().await;
            let retry = |state: &mut State| state.retry_in_place(&inner.tracked, pause, Instant::now());
            if settlement.is_none() && inner.shared.update(retry) {
                inner.settle(&mut settlement, Settlement::NackedWithBackoff);
                return Ok(());
            }
        }
        inner.return_once(pause, Settlement::NackedWithBackoff).await
    }

    /// Returns a random delay by the consumer's [backoff](crate::consumer::Consumer::backoff), as
    /// [`nack_with_backoff`](Self::nack_with_backoff) uses it. Each call returns a different delay. If several messages
    /// must reappear together, pass the same delay to [`nack`](Self::nack) for each.
    #[must_use]
    pub fn backoff(&self) -> Duration {
        let inner = &*self.inner;
        let handled = inner.tracked.receives().saturating_add(inner.tracked.retries());
        inner.shared.backoff(handled)
    }

    /// Returns `true` if the message was acknowledged or returned to the queue.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        // A task that settles the delivery holds the lock until it is done, so a locked delivery is not settled yet.
        let settlement = self.inner.settlement.try_lock();
        settlement.is_ok_and(|settlement| settlement.is_some())
    }

    pub(super) fn was_parked(&self) -> bool {
        self.inner.was_parked.load(Ordering::Acquire)
    }
}

impl Inner {
    /// Returns the message to the queue, unless it was returned before.
    async fn return_once(&self, delay: Duration, how: Settlement) -> Result<(), Error> {
        let mut settlement = self.settlement.lock().await;
        match *settlement {
            Some(Settlement::Acked(_)) => return Err(Error::invalid_input("the message was already acknowledged")),
            Some(_) => return Ok(()),
            None => {}
        }
        self.begin_settling();
        let _one_at_a_time = self.tracked.changing.lock().await;
        let end = return_to_queue(&self.shared, &self.tracked, delay).await?;
        self.settle(&mut settlement, how);
        self.finish(end);
        Ok(())
    }

    fn settle(&self, settlement: &mut Option<Settlement>, how: Settlement) {
        *settlement = Some(how);
        self.shared.record(how);
    }

    fn begin_settling(&self) {
        self.shared
            .update(|state| state.begin_settling(&self.tracked, Instant::now()));
    }

    pub(super) fn finish(&self, end: End) {
        self.shared
            .update(|state| state.finish(&self.tracked, end, Instant::now()));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.settlement.get_mut().is_none() {
            self.shared.record(Settlement::Dropped);
            self.shared
                .update(|state| state.schedule_return(&self.tracked, Duration::ZERO, Instant::now()));
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message_id", &self.message().message_id)
            .field("receive_count", &self.receive_count())
            .field("lease_remaining", &self.lease_remaining())
            .finish_non_exhaustive()
    }
}

/// Returns a message to the queue, unless its lease is over. The caller must hold the lock `changing`.
pub(super) async fn return_to_queue(shared: &Shared, tracked: &TrackedMessage, delay: Duration) -> Result<End, Error> {
    if !tracked.lease_is_valid() {
        return Ok(End::Lost);
    }
    let delay = delay.min(tracked.lease().max_extension(Instant::now()));
    match shared.requests.change_visibility(tracked.receipt_handle(), delay).await {
        Ok(()) => Ok(End::Returned(delay)),
        Err(error) if is_stale(&error) => Ok(End::Lost),
        Err(error) => Err(error),
    }
}
