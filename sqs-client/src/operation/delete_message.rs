use serde::{Deserialize, Serialize};

use crate::Client;
use crate::action::Purpose;
use crate::client::Request;
use crate::operation::{EmptyOutput, operation};

/// The input of [`Client::delete_message`]. See AWS's
/// [`DeleteMessage`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str, receipt_handle: &str) {
/// let request = client.delete_message(queue, receipt_handle);
/// assert_eq!(request.input().receipt_handle, receipt_handle);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DeleteMessage {
    /// The queue's URL.
    pub queue_url: String,
    /// The receipt handle.
    pub receipt_handle: String,
}

operation!(DeleteMessage of queue => EmptyOutput {
    const PURPOSE: Purpose = Purpose::Acknowledge;
});

impl Client {
    /// Deletes a received message by its latest receipt handle.
    ///
    /// Deleting a message twice is not an error. A standard queue may report success for an outdated receipt handle
    /// without deleting the message.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// for message in client.receive_message(queue).await?.messages {
    ///     client.delete_message(queue, &message.receipt_handle).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ReceiptHandleIsInvalid`](crate::ErrorCode::ReceiptHandleIsInvalid): the receipt handle is not valid.
    /// - [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue): the queue is a FIFO queue and the
    ///   receipt handle has expired.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn delete_message(
        &self,
        queue_url: impl Into<String>,
        receipt_handle: impl Into<String>,
    ) -> Request<DeleteMessage> {
        self.request(DeleteMessage {
            queue_url: queue_url.into(),
            receipt_handle: receipt_handle.into(),
        })
    }
}
