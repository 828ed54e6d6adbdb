//! The messages of one payload, which are settled together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{join_all, select_all};
use sqs_client::Delivery;
use sqs_client::consumer::AckOutcome;
use tokio::time::Instant;

/// All messages of a payload that is being handled. Dropping the claim without settling it returns them to the queue.
pub(crate) struct ClaimedSegments {
    /// The deliveries of all segments, and of duplicates. Never empty.
    deliveries: Vec<Delivery>,
    observer: Option<Observer>,
    /// Set once a message is deleted, because the whole payload can then not be delivered again.
    finished: AtomicBool,
    /// A deletion began and did not finish.
    deleting: AtomicBool,
    /// The time at which all returned messages become visible.
    returned_until: Mutex<Option<Instant>>,
}

/// Reports the end of a payload's handling to the consumer.
pub(crate) struct Observer {
    /// Set if a payload counts as acknowledged even if SQS may not have carried out the deletion.
    pub(crate) trusts_unconfirmed: bool,
    /// Called at most once.
    pub(crate) on_end: Box<dyn Fn(PayloadEnd) + Send + Sync>,
}

/// The end of a payload's handling.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PayloadEnd {
    /// At least one of its messages is deleted.
    Acknowledged,
    /// It was returned to the queue and becomes visible at this time, or at once.
    Returned(Option<Instant>),
}

impl Observer {
    fn counts_as_acknowledged(&self, deleted: &Result<AckOutcome, sqs_client::Error>) -> bool {
        match deleted {
            Ok(_) => true,
            Err(error) => self.trusts_unconfirmed && error.may_have_been_sent(),
        }
    }
}

impl ClaimedSegments {
    pub(crate) fn new(deliveries: Vec<Delivery>, observer: Option<Observer>) -> Self {
        Self {
            deliveries,
            observer,
            finished: AtomicBool::new(false),
            deleting: AtomicBool::new(false),
            returned_until: Mutex::default(),
        }
    }

    /// Deletes all messages. Returns `true` if all leases held until that was confirmed.
    ///
    /// # Errors
    ///
    /// Some messages could not be deleted. They are deleted when they are received again.
    pub(crate) async fn delete(&self) -> Result<bool, sqs_client::Error> {
        self.deleting.store(true, Ordering::Release);
        // Each message is reported by itself, because the future may be dropped when some are deleted.
        let deleted = join_all(self.deliveries.iter().map(|delivery| async move {
            let deleted = delivery.ack().await;
            if self
                .observer
                .as_ref()
                .is_some_and(|observer| observer.counts_as_acknowledged(&deleted))
            {
                self.finish();
            }
            (delivery, deleted)
        }))
        .await;
        self.deleting.store(false, Ordering::Release);
        let outcomes = collect(deleted, "failed to delete a segment")?;
        Ok(outcomes.iter().all(|outcome| *outcome == AckOutcome::Deleted))
    }

    /// Returns all messages to the queue, which delivers them again after `delay`. The first segment is returned last,
    /// because a competing consumer of a FIFO queue would receive it without the rest.
    ///
    /// # Errors
    ///
    /// Some messages could not be returned.
    pub(crate) async fn nack(&self, delay: Duration) -> Result<(), sqs_client::Error> {
        *self.returned_until() = Instant::now().checked_add(delay);
        // A message that was deleted before must not fail the others.
        let some_left = !self.is_settled();
        let left = self
            .deliveries
            .iter()
            .rev()
            .filter(|delivery| !some_left || !delivery.is_settled());
        let returned = join_all(left.map(|delivery| async move { (delivery, delivery.nack(delay).await) })).await;
        collect(returned, "failed to return a segment to the queue").map(drop)
    }

    /// Returns all messages to the queue with one backoff. If some were returned before, the rest follows them at the same
    /// time.
    ///
    /// # Errors
    ///
    /// As for [`nack`](Self::nack).
    pub(crate) async fn nack_with_backoff(&self) -> Result<(), sqs_client::Error> {
        let before = *self.returned_until();
        let left = before.map(|until| until.saturating_duration_since(Instant::now()));
        self.nack(left.unwrap_or_else(|| common_backoff(&self.deliveries)))
            .await
    }

    fn finish(&self) {
        if let (Some(observer), false) = (&self.observer, self.finished.swap(true, Ordering::AcqRel)) {
            (observer.on_end)(PayloadEnd::Acknowledged);
        }
    }

    /// Waits until the lease of at least one message is lost.
    pub(crate) async fn lease_lost(&self) {
        let lost = self.deliveries.iter().map(|delivery| Box::pin(delivery.lease_lost()));
        if lost.len() > 0 {
            select_all(lost).await;
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.deliveries.iter().all(Delivery::is_settled)
    }

    pub(crate) fn queue_url(&self) -> &str {
        self.deliveries.first().map_or("", Delivery::queue_url)
    }

    fn returned_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.returned_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClaimedSegments {
    fn drop(&mut self) {
        let until = *self.returned_until();
        let trusts_unconfirmed = self
            .observer
            .as_ref()
            .is_some_and(|observer| observer.trusts_unconfirmed);
        if *self.deleting.get_mut() && trusts_unconfirmed {
            self.finish();
        }
        if let Some(observer) = self.observer.take()
            && !*self.finished.get_mut()
        {
            (observer.on_end)(PayloadEnd::Returned(until));
        }
    }
}

/// Returns the first failure, if there is one, and logs the others.
fn collect<T>(
    results: Vec<(&Delivery, Result<T, sqs_client::Error>)>,
    description: &'static str,
) -> Result<Vec<T>, sqs_client::Error> {
    let (mut values, mut first) = (Vec::new(), None);
    for (delivery, result) in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) if first.is_none() => first = Some(error),
            Err(error) => log_failure(delivery, &error, description),
        }
    }
    first.map_or(Ok(values), Err)
}

/// Returns the backoff for all segments of a payload. The segment that was received least often decides, because the
/// others may have been received without the rest.
pub(crate) fn common_backoff<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Duration {
    let least = deliveries.into_iter().min_by_key(|delivery| delivery.receive_count());
    least.map(Delivery::backoff).unwrap_or_default()
}

/// Logs a failure that the consumer survives.
pub(crate) fn log_failure(delivery: &Delivery, error: &(dyn std::error::Error + 'static), description: &'static str) {
    tracing::warn!(message_id = delivery.message().message_id, error, "{description}");
}
