use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::{Client, Error, validate};

/// The input of [`Client::untag_queue`]. See AWS's
/// [`UntagQueue`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_UntagQueue.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.untag_queue(queue, ["team"]);
/// assert_eq!(request.input().tag_keys, ["team"]);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct UntagQueue {
    /// The queue's URL.
    pub queue_url: String,
    /// The keys of the tags, which are case-sensitive.
    pub tag_keys: Vec<String>,
}

operation!(UntagQueue of queue => EmptyOutput {
    fn validate(&self) -> Result<(), Error> {
        validate::some("tag key", self.tag_keys.is_empty())
    }
});

impl Client {
    /// Removes the tags with these keys from a queue. A key that the queue does not have is not an error.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client.untag_queue(queue, ["team", "stage"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: there is no key.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn untag_queue(
        &self,
        queue_url: impl Into<String>,
        tag_keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> Request<UntagQueue> {
        self.request(UntagQueue {
            queue_url: queue_url.into(),
            tag_keys: tag_keys.into_iter().map(Into::into).collect(),
        })
    }
}
