use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::{Client, Error, validate};

/// Lets other accounts use a queue: the input of [`Client::add_permission`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct AddPermission {
    /// The queue's URL.
    pub queue_url: String,
    /// Names the permission, to remove it: up to 80 letters, digits, hyphens and underscores.
    pub label: String,
    /// The accounts, by their numbers of 12 digits.
    #[serde(rename = "AWSAccountIds")]
    pub aws_account_ids: Vec<String>,
    /// The actions that they may use, such as `SendMessage`, or `*`.
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
    /// Adds a statement to the queue's access policy: these accounts may use these actions on the queue.
    ///
    /// An action is named as in [`operation`](crate::operation), such as `SendMessage`, which covers its batch as well;
    /// `*` stands for all. For finer rules, set the attribute `policy` by
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
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O, for a label that is not well-formed, no account
    /// or no action; [`OverLimit`](crate::ErrorCode::OverLimit) for more than 7 actions;
    /// [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue) where the label is taken.
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
