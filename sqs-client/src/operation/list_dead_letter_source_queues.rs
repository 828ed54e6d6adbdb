use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::operation;
use crate::operation::pages;
use crate::types::lenient;
use crate::{Client, Error};

/// The input of [`Client::list_dead_letter_source_queues`]. See AWS's
/// [`ListDeadLetterSourceQueues`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.list_dead_letter_source_queues(queue).max_results(100);
/// assert_eq!(request.input().max_results, Some(100));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ListDeadLetterSourceQueues {
    /// The URL of the dead-letter queue.
    pub queue_url: String,
    /// The token of the page to list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// The maximum number of queues in a page. Range: 1–1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u16>,
}

/// The output of [`Client::list_dead_letter_source_queues`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ListDeadLetterSourceQueuesOutput {
    /// The queues' URLs.
    // The only member of the service model that begins with a lower-case letter.
    #[serde(rename = "queueUrls", deserialize_with = "lenient::list")]
    pub queue_urls: Vec<String>,
    /// The token of the next page, if there is one and `max_results` was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

operation!(ListDeadLetterSourceQueues of queue => ListDeadLetterSourceQueuesOutput {
    fn validate(&self) -> Result<(), Error> {
        pages::validate(self.max_results)
    }
});

pages::pages!(ListDeadLetterSourceQueues);

impl Client {
    /// Lists the queues that use this one as their dead-letter queue. `.await` returns one page, and
    /// [`into_stream`](Request::<ListDeadLetterSourceQueues>::into_stream) returns all queues.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, dead_letters: &str) -> Result<(), sqs_client::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let sources: Vec<String> = client.list_dead_letter_source_queues(dead_letters).into_stream().try_collect().await?;
    /// println!("{} queues", sources.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: `max_results` is not in the range 1–1,000.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn list_dead_letter_source_queues(&self, queue_url: impl Into<String>) -> Request<ListDeadLetterSourceQueues> {
        self.request(ListDeadLetterSourceQueues {
            queue_url: queue_url.into(),
            next_token: None,
            max_results: None,
        })
    }
}
