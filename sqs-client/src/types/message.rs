use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{MessageAttributeValue, MessageSystemAttributes, lenient};

/// A received message.
///
/// The message stays in the queue, hidden from other consumers for the visibility timeout.
/// [`delete_message`](crate::Client::delete_message) removes it by its receipt handle. See
/// [`receive_message`](crate::Client::receive_message).
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
/// for message in client.receive_message(queue).await?.messages {
///     println!("{}: {}", message.message_id, message.body);
///     client.delete_message(queue, &message.receipt_handle).await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Message {
    /// The id that SQS assigned to the message when it was sent.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub message_id: String,
    /// The receipt handle, by which the message is deleted or its visibility changed. Each receive has its own handle.
    pub receipt_handle: String,
    /// The body.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub body: String,
    /// The MD5 of the body as the server computed it. The client verifies it by default. `None` if the server sent none.
    #[serde(default, rename = "MD5OfBody", skip_serializing_if = "Option::is_none")]
    pub md5_of_body: Option<String>,
    /// The MD5 of the requested message attributes as the server computed it. `None` if the server sent none.
    #[serde(default, rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_attributes: Option<String>,
    /// The requested system attributes.
    #[serde(default, skip_serializing_if = "MessageSystemAttributes::is_empty")]
    pub attributes: MessageSystemAttributes,
    /// The requested message attributes.
    #[serde(
        default,
        deserialize_with = "lenient::map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub message_attributes: BTreeMap<String, MessageAttributeValue>,
}

impl Message {
    /// Creates an empty message to read members into.
    pub(crate) fn unread() -> Self {
        Self {
            message_id: String::new(),
            receipt_handle: String::new(),
            body: String::new(),
            md5_of_body: None,
            md5_of_message_attributes: None,
            attributes: MessageSystemAttributes::default(),
            message_attributes: BTreeMap::new(),
        }
    }

    /// Returns a copy without body and message attributes, which is enough to settle and log the message.
    #[cfg(feature = "consumer")]
    pub(crate) fn without_content(&self) -> Self {
        Self {
            message_id: self.message_id.clone(),
            receipt_handle: self.receipt_handle.clone(),
            attributes: self.attributes.clone(),
            ..Self::unread()
        }
    }
}
