use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::operation;
use crate::types::{QueueAttributeName, QueueAttributes, lenient, parts};

/// The input of [`Client::get_queue_attributes`]. See AWS's
/// [`GetQueueAttributes`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// use sqs_client::types::QueueAttributeName::QueueArn;
///
/// let request = client.get_queue_attributes(queue, [QueueArn]);
/// assert_eq!(request.input().attribute_names, [QueueArn]);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct GetQueueAttributes {
    /// The queue's URL.
    pub queue_url: String,
    /// The attributes to return.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attribute_names: Vec<QueueAttributeName>,
}

/// The output of [`Client::get_queue_attributes`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct GetQueueAttributesOutput {
    /// The requested attributes that the queue has.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub attributes: QueueAttributes,
}

operation!(GetQueueAttributes of queue => GetQueueAttributesOutput {
    fn explain(json: &[u8]) -> Option<String> {
        let mut unreadable = None;
        parts::members(json, |name, value| {
            if name == "Attributes" {
                unreadable = QueueAttributes::unreadable(value);
            }
            Some(())
        });
        Some(format!("the queue attribute {} could not be read", unreadable?.as_str()))
    }
});

impl Client {
    /// Returns the queue's attributes of these names. [`QueueAttributeName::All`] returns all of them.
    ///
    /// The numbers of messages are approximate. They become consistent within a minute after the last change.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use sqs_client::types::QueueAttributeName;
    ///
    /// let attributes = client.get_queue_attributes(queue, [QueueAttributeName::All]).await?.attributes;
    /// println!("{:?} messages", attributes.approximate_number_of_messages);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    /// - [`InvalidAttributeName`](crate::ErrorCode::InvalidAttributeName): the server does not know an attribute.
    pub fn get_queue_attributes(
        &self,
        queue_url: impl Into<String>,
        names: impl IntoIterator<Item = QueueAttributeName>,
    ) -> Request<GetQueueAttributes> {
        self.request(GetQueueAttributes {
            queue_url: queue_url.into(),
            attribute_names: names.into_iter().collect(),
        })
    }
}
