//! The sending of a lane's batches.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Batch, Destination, FailedGroups};
use crate::client::Client;
use crate::client::batch_limit::BatchLimit;
use crate::credentials::BoxFuture;
use crate::error::Error;
use crate::queue_name::queue_name;
use crate::queue_ref::QueueRef;
use crate::telemetry;

/// The histogram of the number of entries in a batch.
const BATCH_FILL: &str = "sqs.batch.entries";

/// Sends the items of a batch, and returns one result for each, in their order.
pub(super) type SendBatch<B> = Arc<dyn Fn(Vec<<B as Batch>::Item>) -> BoxFuture<'static, Results<B>> + Send + Sync>;

pub(super) type Results<B> = Vec<Result<<B as Batch>::Result, Error>>;

/// The queue that a batcher's batches go to, with the limit of their bytes.
#[derive(Clone, Debug)]
pub(super) struct BatchTarget {
    pub(super) client: Client,
    pub(super) queue: QueueRef,
    pub(super) limit: BatchLimit,
}

impl BatchTarget {
    /// Sends a batch with all its attempts within `time`, after the lookup of the queue if its URL is not known yet. If the
    /// lookup fails, so do all items, and nothing was sent.
    async fn send<B: Batch>(self, items: Vec<B::Item>, time: Option<Duration>) -> Results<B> {
        let count = items.len();
        let url = match self.queue.url(&self.client).await {
            Ok(url) => url.to_owned(),
            Err(error) => return vec![error; count].into_iter().map(Err).collect(),
        };
        let destination = Destination::with_limit(self.client, url, self.limit);
        let mut failed_groups = FailedGroups::default();
        let results = destination.send::<B>(items, &mut failed_groups);
        let Some(time) = time else { return results.await };
        let late = || Err(Error::timeout(format!("no response to the batch within {time:?}")).sent(true));
        let results = tokio::time::timeout(time, results).await;
        results.unwrap_or_else(|_| std::iter::repeat_with(late).take(count).collect())
    }
}

/// Sends batches to this queue, each with all its attempts within the time limit.
pub(super) fn send_to<B: Batch>(target: BatchTarget, time: Option<Duration>) -> SendBatch<B> {
    Arc::new(move |items| {
        telemetry::record(BATCH_FILL, queue_name(target.queue.given()), items.len() as f64);
        Box::pin(target.clone().send::<B>(items, time))
    })
}
