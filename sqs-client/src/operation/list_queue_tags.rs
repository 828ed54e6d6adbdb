use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::operation;
use crate::types::lenient;

/// The input of [`Client::list_queue_tags`]. See AWS's
/// [`ListQueueTags`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueueTags.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.list_queue_tags(queue);
/// assert_eq!(request.input().queue_url, queue);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ListQueueTags {
    /// The queue's URL.
    pub queue_url: String,
}

/// The output of [`Client::list_queue_tags`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ListQueueTagsOutput {
    /// The tags, by key.
    #[serde(deserialize_with = "lenient::text_map")]
    pub tags: BTreeMap<String, String>,
}

operation!(ListQueueTags of queue => ListQueueTagsOutput {});

impl Client {
    /// Returns all tags of a queue.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// let tags = client.list_queue_tags(queue).await?.tags;
    /// println!("{:?}", tags.get("team"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn list_queue_tags(&self, queue_url: impl Into<String>) -> Request<ListQueueTags> {
        self.request(ListQueueTags {
            queue_url: queue_url.into(),
        })
    }
}
