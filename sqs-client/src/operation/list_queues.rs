use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::operation;
use crate::operation::pages;
use crate::types::lenient;
use crate::{Client, Error};

/// Lists the queues of the region: the input of [`Client::list_queues`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ListQueues {
    /// What the names of the queues begin with; case matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_name_prefix: Option<String>,
    /// Goes on after an earlier page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// At most so many queues in a page, 1–1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u16>,
}

/// The answer to [`ListQueues`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ListQueuesOutput {
    /// The queues' URLs.
    #[serde(deserialize_with = "lenient::list")]
    pub queue_urls: Vec<String>,
    /// The token of the next page; only where `max_results` was set and there is more.
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
    /// Lists only the queues whose names begin so; case matters.
    pub fn queue_name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.input.queue_name_prefix = Some(prefix.into());
        self
    }
}

impl Client {
    /// Lists the queues of the region: awaited, one page; by [`into_stream`](Request::<ListQueues>::into_stream), all.
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
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O, unless `max_results` is 1 to 1,000;
    /// [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue) for a token that the server did not give.
    pub fn list_queues(&self) -> Request<ListQueues> {
        self.request(ListQueues::default())
    }
}
