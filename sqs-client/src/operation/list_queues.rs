use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::operation;
use crate::operation::pages;
use crate::types::lenient;
use crate::{Client, Error};

/// The input of [`Client::list_queues`]. See AWS's
/// [`ListQueues`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client) {
/// let request = client.list_queues().queue_name_prefix("orders-");
/// assert_eq!(request.input().queue_name_prefix.as_deref(), Some("orders-"));
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ListQueues {
    /// The prefix of the queues' names, which is case-sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_name_prefix: Option<String>,
    /// The token of the page to list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// The maximum number of queues in a page. Range: 1–1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u16>,
}

/// The output of [`Client::list_queues`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ListQueuesOutput {
    /// The queues' URLs.
    #[serde(deserialize_with = "lenient::list")]
    pub queue_urls: Vec<String>,
    /// The token of the next page, if there is one and `max_results` was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

operation!(ListQueues => ListQueuesOutput {
    fn validate(&self) -> Result<(), Error> {
        pages::validate(self.max_results)
    }
});

pages::pages!(ListQueues);

impl Request<ListQueues> {
    /// Lists only the queues whose names have this case-sensitive prefix. Default: all queues.
    pub fn queue_name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.input.queue_name_prefix = Some(prefix.into());
        self
    }
}

impl Client {
    /// Lists the queues of the region. `.await` returns one page, and
    /// [`into_stream`](Request::<ListQueues>::into_stream) returns all queues.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut urls = client.list_queues().queue_name_prefix("orders-").into_stream();
    /// while let Some(url) = urls.try_next().await? {
    ///     println!("{url}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: `max_results` is not in the range 1–1,000.
    /// - [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue): the server did not issue the token.
    pub fn list_queues(&self) -> Request<ListQueues> {
        self.request(ListQueues::default())
    }
}
