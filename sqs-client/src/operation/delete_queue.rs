use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::{EmptyOutput, operation};

/// The input of [`Client::delete_queue`]. See AWS's
/// [`DeleteQueue`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.delete_queue(queue);
/// assert_eq!(request.input().queue_url, queue);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DeleteQueue {
    /// The queue's URL.
    pub queue_url: String,
}

operation!(DeleteQueue of queue => EmptyOutput {});

impl Client {
    /// Deletes a queue and all its messages. The deletion may take 60 seconds. A queue of the same name can be created
    /// only after that.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client.delete_queue(queue).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist. SQS itself reports
    ///   success in that case. Other servers may report this error.
    pub fn delete_queue(&self, queue_url: impl Into<String>) -> Request<DeleteQueue> {
        self.request(DeleteQueue {
            queue_url: queue_url.into(),
        })
    }
}
