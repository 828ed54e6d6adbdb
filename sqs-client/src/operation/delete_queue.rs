use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::{EmptyOutput, operation};

/// Deletes a queue: the input of [`Client::delete_queue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DeleteQueue {
    /// The queue's URL.
    pub queue_url: String,
}

operation!(DeleteQueue of queue => EmptyOutput {});

impl Client {
    /// Deletes the queue with all its messages. SQS may take 60 seconds, and a queue of the same name can be created
    /// again only then.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client.delete_queue(queue).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist) on some servers; SQS itself answers success.
    pub fn delete_queue(&self, queue_url: impl Into<String>) -> Request<DeleteQueue> {
        self.request(DeleteQueue {
            queue_url: queue_url.into(),
        })
    }
}
