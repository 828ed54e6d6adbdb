//! The messages of one payload, to be settled together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use sqs_client::Delivery;
use sqs_client::consumer::AckOutcome;
use tokio::time::Instant;

use crate::consumer::fifo_groups::FifoGroups;
use crate::consumer::gathering::Gathering;
use crate::consumer::held_segment::{backoff, warn};
use crate::segment::fifo_planner::Finished;

/// All messages of a payload that is being handled. Dropping it unsettled returns them to the queue.
pub(crate) struct ClaimedSegments {
    /// At least one; duplicates among them.
    deliveries: Vec<Delivery>,
    origin: Option<Origin>,
    /// A part of it is deleted: it cannot come again as a whole.
    finished: AtomicBool,
    /// A deletion was begun, and did not come to its end.
    deleting: AtomicBool,
    /// When it comes again, once it was returned: all of it at one time.
    returned_until: Mutex<Option<Instant>>,
}

/// The place that is told what becomes of a payload.
pub(super) enum Origin {
    /// On a standard queue, of the payload of this id.
    Gathering(Arc<Gathering>, String),
    /// On a FIFO queue, with what is to be remembered of the payload.
    Group(Arc<FifoGroups>, Finished),
}

impl Origin {
    /// Returns `true` if the payload counts as finished after this.
    fn is_finished_by(&self, deleted: &Result<AckOutcome, sqs_client::Error>) -> bool {
        match (self, deleted) {
            (_, Ok(_)) => true,
            (_, Err(error)) => error.may_have_been_sent() && self.is_finished_by_chance(),
        }
    }

    /// Returns `true` if the payload counts as finished where nobody knows if a part of it is deleted.
    fn is_finished_by_chance(&self) -> bool {
        match self {
            Self::Gathering(..) => false,
            // A part would block the group, and a whole payload is delivered again in any case.
            Self::Group(..) => true,
        }
    }

    fn finished(&self) {
        match self {
            Self::Gathering(gathering, id) => gathering.acked(id),
            Self::Group(ordered, finished) => ordered.finish(finished.clone()),
        }
    }

    /// The payload was returned, to come again at this time.
    fn released(&self, until: Option<Instant>) {
        match self {
            Self::Gathering(gathering, id) => gathering.released(id, until),
            Self::Group(..) => {}
        }
    }
}

impl ClaimedSegments {
    pub(super) fn new(deliveries: Vec<Delivery>, origin: Option<Origin>) -> Self {
        Self {
            deliveries,
            origin,
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
                .origin
                .as_ref()
                .is_some_and(|origin| origin.is_finished_by(&deleted))
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
        self.release(left.unwrap_or_else(|| backoff(&self.deliveries))).await
    }

    fn finish(&self) {
        if let (Some(origin), false) = (&self.origin, self.finished.swap(true, Ordering::AcqRel)) {
            origin.finished();
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.deliveries.iter().all(Delivery::is_settled)
    }

    pub(crate) fn queue_url(&self) -> &str {
        self.deliveries.first().map_or("", Delivery::queue_url)
    }

    fn returned_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.returned_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClaimedSegments {
    fn drop(&mut self) {
        let until = *self.returned_until();
        if *self.deleting.get_mut() && self.origin.as_ref().is_some_and(Origin::is_finished_by_chance) {
            self.finish();
        }
        if let Some(origin) = self.origin.take()
            && !*self.finished.get_mut()
        {
            origin.released(until);
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
            Err(error) => warn(delivery, &error, failed),
        }
    }
    first.map_or(Ok(all), Err)
}
