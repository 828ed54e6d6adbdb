use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::Purpose;
use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::types::text::always_seconds;
use crate::{Client, Error, limits, validate};

/// Changes how long a received message stays hidden: the input of [`Client::change_message_visibility`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ChangeMessageVisibility {
    /// The queue's URL.
    pub queue_url: String,
    /// The handle of the receipt.
    pub receipt_handle: String,
    /// From now on: 0 s–12 h. Always sent, zero too.
    #[serde(with = "always_seconds")]
    pub visibility_timeout: Duration,
}

operation!(ChangeMessageVisibility of queue => EmptyOutput {
    const PURPOSE: Purpose = Purpose::Settle;

    fn validate(&self) -> Result<(), Error> {
        validate::no_longer_than("visibility timeout", self.visibility_timeout, limits::MAX_VISIBILITY_TIMEOUT)
    }
});

impl Client {
    /// Hides a received message for this long from now on; zero gives it back to the queue at once.
    ///
    /// In whole seconds: a fraction counts as one. A message can be held for 12 hours in total from its receipt.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str, receipt_handle: &str) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    ///
    /// client.change_message_visibility(queue, receipt_handle, Duration::from_secs(300)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MessageNotInflight`](crate::ErrorCode::MessageNotInflight) once the message is visible again or deleted,
    /// [`ReceiptHandleIsInvalid`](crate::ErrorCode::ReceiptHandleIsInvalid),
    /// [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue) past the 12 hours.
    pub fn change_message_visibility(
        &self,
        queue_url: impl Into<String>,
        receipt_handle: impl Into<String>,
        visibility_timeout: Duration,
    ) -> Request<ChangeMessageVisibility> {
        self.request(ChangeMessageVisibility {
            queue_url: queue_url.into(),
            receipt_handle: receipt_handle.into(),
            visibility_timeout,
        })
    }
}
