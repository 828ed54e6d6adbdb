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
    /// Sends a batch, after the lookup of the queue if its URL is not known yet. If that fails, so do all items.
    async fn send<B: Batch>(self, items: Vec<B::Item>) -> Results<B> {
        let url = match self.queue.url(&self.client).await {
            Ok(url) => url.to_owned(),
            Err(error) => return items.iter().map(|_| Err(error.clone())).collect(),
        };
        let destination = Destination::with_limit(self.client, url, self.limit);
        destination.send::<B>(items, &mut FailedGroups::default()).await
    }
}

/// Sends batches to this queue, each with all its attempts within the time limit.
pub(super) fn send_to<B: Batch>(target: BatchTarget, time: Option<Duration>) -> SendBatch<B> {
    Arc::new(move |items| {
        let (count, target) = (items.len(), target.clone());
        telemetry::record(BATCH_FILL, queue_name(target.queue.given()), count as f64);
        let results = target.send::<B>(items);
        match time {
            None => Box::pin(results),
            Some(time) => Box::pin(async move {
                let late = || Err(Error::timeout(format!("no response to the batch within {time:?}")).sent(true));
                let results = tokio::time::timeout(time, results).await;
                results.unwrap_or_else(|_| std::iter::repeat_with(late).take(count).collect())
            }),
        }
    })
}
