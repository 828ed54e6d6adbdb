use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::operation;

/// The input of [`Client::get_queue_url`]. See AWS's
/// [`GetQueueUrl`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client) {
/// let request = client.get_queue_url("orders");
/// assert_eq!(request.input().queue_name, "orders");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct GetQueueUrl {
    /// The queue's name, which is case-sensitive.
    pub queue_name: String,
    /// The id of the account that owns the queue, if it is not the caller's.
    #[serde(default, rename = "QueueOwnerAWSAccountId", skip_serializing_if = "Option::is_none")]
    pub queue_owner_aws_account_id: Option<String>,
}

/// The output of [`Client::get_queue_url`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct GetQueueUrlOutput {
    /// The queue's URL, which most other actions require.
    pub queue_url: String,
}

operation!(GetQueueUrl => GetQueueUrlOutput {
    fn queue_name(&self) -> Option<&str> {
        Some(&self.queue_name)
    }
});

impl Request<GetQueueUrl> {
    /// Sets the id of the account that owns the queue. The queue's policy must grant access. Default: the caller's
    /// account.
    pub fn queue_owner_aws_account_id(mut self, account: impl Into<String>) -> Self {
        self.input.queue_owner_aws_account_id = Some(account.into());
        self
    }
}

impl Client {
    /// Returns the URL of the queue of this name.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
    /// let queue = client.get_queue_url("orders").await?.queue_url;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn get_queue_url(&self, name: impl Into<String>) -> Request<GetQueueUrl> {
        self.request(GetQueueUrl {
            queue_name: name.into(),
            queue_owner_aws_account_id: None,
        })
    }
}
