use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::{EmptyOutput, operation};

/// The input of [`Client::purge_queue`]. See AWS's
/// [`PurgeQueue`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.purge_queue(queue);
/// assert_eq!(request.input().queue_url, queue);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct PurgeQueue {
    /// The queue's URL.
    pub queue_url: String,
}

operation!(PurgeQueue of queue => EmptyOutput {});

impl Client {
    /// Deletes all messages of a queue, including those in flight. The deletion may take 60 seconds.
    ///
    /// A purge also deletes messages that point to payloads in a payload store, and orphans their objects.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client.purge_queue(queue).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`PurgeQueueInProgress`](crate::ErrorCode::PurgeQueueInProgress): the queue was purged within the last 60
    ///   seconds.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn purge_queue(&self, queue_url: impl Into<String>) -> Request<PurgeQueue> {
        self.request(PurgeQueue {
            queue_url: queue_url.into(),
        })
    }
}
