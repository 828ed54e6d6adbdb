use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::operation;

/// Finds a queue's URL by its name: the input of [`Client::get_queue_url`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct GetQueueUrl {
    /// The queue's name; case matters.
    pub queue_name: String,
    /// The account that owns the queue, where it is not the caller's.
    #[serde(default, rename = "QueueOwnerAWSAccountId", skip_serializing_if = "Option::is_none")]
    pub queue_owner_aws_account_id: Option<String>,
}

/// The answer to [`GetQueueUrl`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct GetQueueUrlOutput {
    /// The queue's URL, to use with all other actions.
    pub queue_url: String,
}

operation!(GetQueueUrl => GetQueueUrlOutput {
    fn queue_name(&self) -> Option<&str> {
        Some(&self.queue_name)
    }
});

impl Request<GetQueueUrl> {
    /// Looks in another account, whose queue must grant access.
    pub fn queue_owner_aws_account_id(mut self, account: impl Into<String>) -> Self {
        self.input.queue_owner_aws_account_id = Some(account.into());
        self
    }
}

impl Client {
    /// Finds the URL of the queue of this name.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
    /// let queue = client.get_queue_url("orders").await?.queue_url;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist).
    pub fn get_queue_url(&self, name: impl Into<String>) -> Request<GetQueueUrl> {
        self.request(GetQueueUrl {
            queue_name: name.into(),
            queue_owner_aws_account_id: None,
        })
    }
}
