use serde::{Deserialize, Serialize};

use crate::Client;
use crate::action::Purpose;
use crate::client::Request;
use crate::operation::{EmptyOutput, operation};

/// Deletes a received message: the input of [`Client::delete_message`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DeleteMessage {
    /// The queue's URL.
    pub queue_url: String,
    /// The handle of the receipt.
    pub receipt_handle: String,
}

operation!(DeleteMessage of queue => EmptyOutput {
    const PURPOSE: Purpose = Purpose::Acknowledge;
});

impl Client {
    /// Deletes a received message, by the handle of its latest receipt.
    ///
    /// Deleting twice is no error. A standard queue may answer success to a handle that a later receive has made
    /// stale, without deleting the message.
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
    /// [`ReceiptHandleIsInvalid`](crate::ErrorCode::ReceiptHandleIsInvalid);
    /// [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue) on a FIFO queue once the handle expired.
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
