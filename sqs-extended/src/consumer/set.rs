//! The messages of one payload, to be settled together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use sqs_client::{AckOutcome, Delivery};

use super::gathering::Gathering;

/// All messages of a payload that is being handled. Dropping it unsettled gives them back.
pub(crate) struct HeldSet {
    /// At least one; duplicates among them.
    deliveries: Vec<Delivery>,
    /// Who wants to know what becomes of which payload, on a standard queue.
    of: Option<(Arc<Gathering>, String)>,
    /// A part of it is deleted: it cannot come again as a whole.
    finished: AtomicBool,
}

impl HeldSet {
    pub(super) fn new(deliveries: Vec<Delivery>, of: Option<(Arc<Gathering>, String)>) -> Self {
        Self {
            deliveries,
            of,
            finished: AtomicBool::new(false),
        }
    }

    /// Deletes all, and says whether all were surely ours until that was confirmed. What is left, if some cannot be
    /// deleted, is deleted as it comes again.
    pub(crate) async fn delete(&self) -> Result<bool, sqs_client::Error> {
        let deleted = join_all(self.deliveries.iter().map(Delivery::ack)).await;
        if deleted.iter().any(Result::is_ok)
            && !self.finished.swap(true, Ordering::AcqRel)
            && let Some((gathering, id)) = &self.of
        {
            gathering.acked(id);
        }
        let mut surely_ours = true;
        for outcome in deleted {
            surely_ours &= outcome? == AckOutcome::Deleted;
        }
        Ok(surely_ours)
    }

    pub(crate) async fn release(&self, after: Duration) -> Result<(), sqs_client::Error> {
        try_join_all(self.deliveries.iter().map(|delivery| delivery.nack(after)))
            .await
            .map(drop)
    }

    pub(crate) async fn release_with_backoff(&self) -> Result<(), sqs_client::Error> {
        try_join_all(self.deliveries.iter().map(Delivery::nack_with_backoff))
            .await
            .map(drop)
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.deliveries.iter().all(Delivery::is_settled)
    }

    pub(crate) fn queue_url(&self) -> &str {
        self.deliveries.first().map_or("", Delivery::queue_url)
    }
}

impl Drop for HeldSet {
    fn drop(&mut self) {
        if let Some((gathering, id)) = self.of.take()
            && !*self.finished.get_mut()
        {
            gathering.released(&id);
        }
    }
}
