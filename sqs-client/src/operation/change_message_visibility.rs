use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::Purpose;
use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::types::text::always_seconds;
use crate::{Client, Error, limits, validate};

/// The input of [`Client::change_message_visibility`]. See AWS's
/// [`ChangeMessageVisibility`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str, receipt_handle: &str) {
/// use std::time::Duration;
///
/// let request = client.change_message_visibility(queue, receipt_handle, Duration::ZERO);
/// assert_eq!(request.input().visibility_timeout, Duration::ZERO);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ChangeMessageVisibility {
    /// The queue's URL.
    pub queue_url: String,
    /// The receipt handle.
    pub receipt_handle: String,
    /// The time from now for which the message stays hidden, in whole seconds (rounded up). Range: 0 s–12 h. Zero makes
    /// the message visible.
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
    /// Hides a received message for this time from now on. Zero makes it visible at once.
    ///
    /// The time is in whole seconds (rounded up). A message can be in flight for at most 12 hours in total.
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
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: the timeout is longer than 12 hours.
    /// - [`MessageNotInflight`](crate::ErrorCode::MessageNotInflight): the message is visible again or deleted.
    /// - [`ReceiptHandleIsInvalid`](crate::ErrorCode::ReceiptHandleIsInvalid): the receipt handle is not valid.
    /// - [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue): the message would be in flight for more
    ///   than 12 hours in total.
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
