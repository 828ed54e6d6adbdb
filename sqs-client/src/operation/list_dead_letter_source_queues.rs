use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::operation;
use crate::operation::pages;
use crate::types::lenient;
use crate::{Client, Error};

/// Lists the queues whose dead letters come to a queue: the input of [`Client::list_dead_letter_source_queues`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ListDeadLetterSourceQueues {
    /// The URL of the dead-letter queue.
    pub queue_url: String,
    /// Goes on after an earlier page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// At most so many queues in a page, 1–1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u16>,
}

/// The answer to [`ListDeadLetterSourceQueues`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ListDeadLetterSourceQueuesOutput {
    /// The queues' URLs.
    // The one member of the model's that begins in lower case.
    #[serde(rename = "queueUrls", deserialize_with = "lenient::list")]
    pub queue_urls: Vec<String>,
    /// The token of the next page; only where `max_results` was set and there is more.
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
    /// Lists the queues that have this one for their dead-letter queue: awaited, one page; by
    /// [`into_stream`](Request::<ListDeadLetterSourceQueues>::into_stream), all.
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
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O, unless `max_results` is 1 to 1,000;
    /// [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist).
    pub fn list_dead_letter_source_queues(&self, queue_url: impl Into<String>) -> Request<ListDeadLetterSourceQueues> {
        self.request(ListDeadLetterSourceQueues {
            queue_url: queue_url.into(),
            next_token: None,
            max_results: None,
        })
    }
}
