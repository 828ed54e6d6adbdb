use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::{Client, Error, validate};

/// The input of [`Client::tag_queue`]. See AWS's
/// [`TagQueue`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_TagQueue.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.tag_queue(queue, [("team", "shop")]);
/// assert_eq!(request.input().tags["team"], "shop");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct TagQueue {
    /// The queue's URL.
    pub queue_url: String,
    /// The tags, by key: up to 50, with keys of 1–128 characters and values of up to 256.
    pub tags: BTreeMap<String, String>,
}

operation!(TagQueue of queue => EmptyOutput {
    fn validate(&self) -> Result<(), Error> {
        validate::some("tag", self.tags.is_empty())?;
        validate::tags(&self.tags)
    }
});

impl Client {
    /// Adds tags to a queue. A tag replaces an existing one with the same key.
    ///
    /// A queue can have 50 tags, with keys of 1–128 characters and values of up to 256.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client.tag_queue(queue, [("team", "shop"), ("stage", "test")]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: there is no tag, there are more than 50,
    ///   or one is too long.
    /// - [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue): the queue would have more than 50 tags.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn tag_queue<K: Into<String>, V: Into<String>>(
        &self,
        queue_url: impl Into<String>,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Request<TagQueue> {
        self.request(TagQueue {
            queue_url: queue_url.into(),
            tags: tags
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        })
    }
}
