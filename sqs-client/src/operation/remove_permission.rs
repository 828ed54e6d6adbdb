use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::{Client, Error, validate};

/// The input of [`Client::remove_permission`]. See AWS's
/// [`RemovePermission`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_RemovePermission.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.remove_permission(queue, "shop-sends");
/// assert_eq!(request.input().label, "shop-sends");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct RemovePermission {
    /// The queue's URL.
    pub queue_url: String,
    /// The label of the permission to remove.
    pub label: String,
}

operation!(RemovePermission of queue => EmptyOutput {
    fn validate(&self) -> Result<(), Error> {
        validate::label("label of the permission", &self.label)
    }
});

impl Client {
    /// Removes the statement with this label from the queue's access policy.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client.remove_permission(queue, "shop-sends").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: the label is not valid.
    /// - [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue): the policy has no such label.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn remove_permission(
        &self,
        queue_url: impl Into<String>,
        label: impl Into<String>,
    ) -> Request<RemovePermission> {
        self.request(RemovePermission {
            queue_url: queue_url.into(),
            label: label.into(),
        })
    }
}
