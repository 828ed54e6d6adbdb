//! The messages of one payload, which are settled together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use sqs_client::Delivery;
use sqs_client::consumer::AckOutcome;
use tokio::time::Instant;

/// All messages of a payload that is being handled. Dropping it unsettled returns them to the queue.
pub(crate) struct ClaimedSegments {
    /// At least one; duplicates among them.
    deliveries: Vec<Delivery>,
    observer: Option<Observer>,
    /// A part of it is deleted: it cannot come again as a whole.
    finished: AtomicBool,
    /// A deletion was begun, and did not come to its end.
    deleting: AtomicBool,
    /// When it comes again, once it was returned: all of it at one time.
    returned_until: Mutex<Option<Instant>>,
}

/// Reports to the consumer what became of a payload.
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

    /// Deletes all, and says whether all were surely ours until that was confirmed. What is left, if some cannot be
    /// deleted, is deleted as it comes again.
    pub(crate) async fn delete(&self) -> Result<bool, sqs_client::Error> {
        self.deleting.store(true, Ordering::Release);
        // Each by itself, as this may be dropped when some are deleted.
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
        let outcomes = all(deleted, "a segment could not be deleted")?;
        Ok(outcomes.iter().all(|outcome| *outcome == AckOutcome::Deleted))
    }

    /// Returns all to the queue, which shows them again after this time. The head last: a competing consumer of a FIFO queue
    /// would be given it without the rest.
    pub(crate) async fn release(&self, after: Duration) -> Result<(), sqs_client::Error> {
        *self.returned_until() = Instant::now().checked_add(after);
        // Those that were deleted before are no failure of the others.
        let some_left = !self.is_settled();
        let left = self
            .deliveries
            .iter()
            .rev()
            .filter(|delivery| !some_left || !delivery.is_settled());
        let returned = join_all(left.map(|delivery| async move { (delivery, delivery.nack(after).await) })).await;
        all(returned, "a segment could not be returned").map(drop)
    }

    /// Returns all for one time by the consumer's backoff, or for what is left of the time for which some were returned
    /// before.
    pub(crate) async fn release_with_backoff(&self) -> Result<(), sqs_client::Error> {
        let before = *self.returned_until();
        let left = before.map(|until| until.saturating_duration_since(Instant::now()));
        self.release(left.unwrap_or_else(|| common_backoff(&self.deliveries)))
            .await
    }

    fn finish(&self) {
        if let (Some(observer), false) = (&self.observer, self.finished.swap(true, Ordering::AcqRel)) {
            (observer.on_end)(PayloadEnd::Acknowledged);
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

/// The first failure, where there is one. The others are logged.
fn all<T>(
    results: Vec<(&Delivery, Result<T, sqs_client::Error>)>,
    failed: &'static str,
) -> Result<Vec<T>, sqs_client::Error> {
    let (mut all, mut first) = (Vec::new(), None);
    for (delivery, result) in results {
        match result {
            Ok(value) => all.push(value),
            Err(error) if first.is_none() => first = Some(error),
            Err(error) => log_failure(delivery, &error, failed),
        }
    }
    first.map_or(Ok(all), Err)
}

/// The time for which all segments of a payload stay hidden after it failed: by the one that was received the least often,
/// as others may have been received without the rest.
pub(crate) fn common_backoff<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Duration {
    let least = deliveries.into_iter().min_by_key(|delivery| delivery.receive_count());
    least.map(Delivery::backoff).unwrap_or_default()
}

/// Logs a failure that the consumer survives.
pub(crate) fn log_failure(delivery: &Delivery, error: &(dyn std::error::Error + 'static), what: &'static str) {
    tracing::warn!(message_id = delivery.message().message_id, error, "{what}");
}
