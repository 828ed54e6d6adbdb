use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::{Client, Error, validate};

/// The input of [`Client::add_permission`]. See AWS's
/// [`AddPermission`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.add_permission(queue, "shop-sends", ["111122223333"], ["SendMessage"]);
/// assert_eq!(request.input().label, "shop-sends");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct AddPermission {
    /// The queue's URL.
    pub queue_url: String,
    /// The permission's label, by which it can be removed. It has up to 80 letters, digits, hyphens and underscores.
    pub label: String,
    /// The accounts, by their 12-digit ids.
    #[serde(rename = "AWSAccountIds")]
    pub aws_account_ids: Vec<String>,
    /// The actions that the accounts may use, such as `SendMessage`, or `*` for all.
    pub actions: Vec<String>,
}

operation!(AddPermission of queue => EmptyOutput {
    fn validate(&self) -> Result<(), Error> {
        validate::label("label of the permission", &self.label)?;
        validate::some("account", self.aws_account_ids.is_empty())?;
        validate::some("action", self.actions.is_empty())
    }
});

impl Client {
    /// Adds a statement to the queue's access policy, which allows these accounts to use these actions.
    ///
    /// An action has its name in [`operation`](crate::operation), such as `SendMessage`. It includes the batch action.
    /// `*` stands for all actions. For finer rules, set an [`AccessPolicy`](crate::types::AccessPolicy) with
    /// [`set_queue_attributes`](Self::set_queue_attributes).
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client.add_permission(queue, "shop-sends", ["111122223333"], ["SendMessage"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: the label is not valid, or there is no
    ///   account or action.
    /// - [`OverLimit`](crate::ErrorCode::OverLimit): there are more than 7 actions.
    /// - [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue): the label is in use.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn add_permission(
        &self,
        queue_url: impl Into<String>,
        label: impl Into<String>,
        aws_account_ids: impl IntoIterator<Item = impl Into<String>>,
        actions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Request<AddPermission> {
        self.request(AddPermission {
            queue_url: queue_url.into(),
            label: label.into(),
            aws_account_ids: aws_account_ids.into_iter().map(Into::into).collect(),
            actions: actions.into_iter().map(Into::into).collect(),
        })
    }
}
