use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::operation;
use crate::types::{QueueAttributeName, QueueAttributes, lenient, parts};

/// Reads a queue's attributes: the input of [`Client::get_queue_attributes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct GetQueueAttributes {
    /// The queue's URL.
    pub queue_url: String,
    /// Which attributes to answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attribute_names: Vec<QueueAttributeName>,
}

/// The answer to [`GetQueueAttributes`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct GetQueueAttributesOutput {
    /// The attributes that were asked for and are set.
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
        Some(format!("the queue attribute {} cannot be read", unreadable?.as_str()))
    }
});

impl Client {
    /// Reads the queue's attributes of these names; [`QueueAttributeName::All`] brings all of them.
    ///
    /// The counts of messages are about right: SQS says that they settle within a minute of the last change.
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
    /// [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist),
    /// [`InvalidAttributeName`](crate::ErrorCode::InvalidAttributeName).
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
