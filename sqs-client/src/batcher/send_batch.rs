//! The sending of a lane's batches.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Batch, Destination, FailedGroups};
use crate::credentials::BoxFuture;
use crate::error::Error;
use crate::queue_name::queue_name;
use crate::telemetry;

/// The histogram of the number of entries in a batch.
const BATCH_FILL: &str = "sqs.batch.entries";

/// Sends the items of a batch, and returns one result for each, in their order.
pub(super) type SendBatch<B> = Arc<dyn Fn(Vec<<B as Batch>::Item>) -> BoxFuture<'static, Results<B>> + Send + Sync>;

pub(super) type Results<B> = Vec<Result<<B as Batch>::Result, Error>>;

/// Sends batches to this queue, each with all its attempts within the time limit.
pub(super) fn send_to<B: Batch>(destination: Destination, queue_url: String, time: Option<Duration>) -> SendBatch<B> {
    Arc::new(move |items| {
        let (count, destination) = (items.len(), destination.clone());
        telemetry::record(BATCH_FILL, queue_name(&queue_url), count as f64);
        let results = async move { destination.send::<B>(items, &mut FailedGroups::default()).await };
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
