use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{EmptyOutput, operation};
use crate::types::QueueAttributes;
use crate::{Client, Error, validate};

/// Changes a queue's attributes: the input of [`Client::set_queue_attributes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SetQueueAttributes {
    /// The queue's URL.
    pub queue_url: String,
    /// What to change; the others stay.
    pub attributes: QueueAttributes,
}

operation!(SetQueueAttributes of queue => EmptyOutput {
    fn validate(&self) -> Result<(), Error> {
        validate::some("attribute", self.attributes.is_empty())?;
        self.attributes.validate()
    }
});

impl Client {
    /// Changes those of the queue's attributes that are set; the others stay as they are.
    ///
    /// SQS says that a change may take 60 seconds, one of the retention period 15 minutes; a shorter retention period
    /// deletes the messages that are older. To take a policy away, see [`QueueAttributes::clear`]. Attributes that
    /// are read only, and `fifo_queue`, cannot be set: start from a default, not from what was read.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str, dead_letters_arn: &str) -> Result<(), sqs_client::Error> {
    /// use sqs_client::QueueAttributes;
    /// use sqs_client::types::RedrivePolicy;
    ///
    /// let mut attributes = QueueAttributes::default();
    /// attributes.redrive_policy = Some(RedrivePolicy::new(dead_letters_arn, 5));
    /// client.set_queue_attributes(queue, attributes).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O, for no attribute or a value out of its range;
    /// [`InvalidAttributeName`](crate::ErrorCode::InvalidAttributeName) for one that cannot be set,
    /// [`InvalidAttributeValue`](crate::ErrorCode::InvalidAttributeValue),
    /// [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist).
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
