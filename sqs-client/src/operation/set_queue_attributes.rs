use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::types::QueueAttributes;
use crate::{Client, Error, validate};

/// The input of [`Client::set_queue_attributes`]. See AWS's
/// [`SetQueueAttributes`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// use sqs_client::QueueAttributes;
///
/// let request = client.set_queue_attributes(queue, QueueAttributes::new().maximum_message_size(65_536));
/// assert_eq!(request.input().attributes.maximum_message_size, Some(65_536));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SetQueueAttributes {
    /// The queue's URL.
    pub queue_url: String,
    /// The attributes to change.
    pub attributes: QueueAttributes,
}

operation!(SetQueueAttributes of queue => EmptyOutput {
    fn validate(&self) -> Result<(), Error> {
        validate::some("attribute", self.attributes.is_empty())?;
        self.attributes.validate()
    }
});

impl Client {
    /// Changes attributes of a queue. Attributes that are not set keep their values.
    ///
    /// A change may take 60 seconds to apply, or 15 minutes for the retention period. A shorter retention period
    /// deletes older messages. [`QueueAttributes::clear`] removes a policy. Read-only attributes and `fifo_queue`
    /// cannot be changed. Therefore start with [`QueueAttributes::new`], not with the attributes of a response.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str, dead_letters_arn: &str) -> Result<(), sqs_client::Error> {
    /// use sqs_client::QueueAttributes;
    ///
    /// let attributes = QueueAttributes::new().dead_letter_queue(dead_letters_arn, 5);
    /// client.set_queue_attributes(queue, attributes).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: there is no attribute, or one is out of
    ///   its range.
    /// - [`InvalidAttributeName`](crate::ErrorCode::InvalidAttributeName): an attribute cannot be set.
    /// - [`InvalidAttributeValue`](crate::ErrorCode::InvalidAttributeValue): the server refuses a value.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn set_queue_attributes(
        &self,
        queue_url: impl Into<String>,
        attributes: QueueAttributes,
    ) -> Request<SetQueueAttributes> {
        self.request(SetQueueAttributes {
            queue_url: queue_url.into(),
            attributes,
        })
    }
}
