use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::{EmptyOutput, operation};

/// Deletes all messages of a queue: the input of [`Client::purge_queue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct PurgeQueue {
    /// The queue's URL.
    pub queue_url: String,
}

operation!(PurgeQueue of queue => EmptyOutput {});

impl Client {
    /// Deletes all messages that are in the queue now, those in flight included. SQS may take 60 seconds.
    ///
    /// Pointers of offloaded payloads go with the messages, and their objects stay behind.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client.purge_queue(queue).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PurgeQueueInProgress`](crate::ErrorCode::PurgeQueueInProgress) within 60 seconds of another purge,
    /// [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist).
    pub fn purge_queue(&self, queue_url: impl Into<String>) -> Request<PurgeQueue> {
        self.request(PurgeQueue {
            queue_url: queue_url.into(),
        })
    }
}
