use serde::{Deserialize, Serialize};

/// The output of [`Client::send_message`](crate::Client::send_message).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageOutput {
    /// The id that SQS assigned to the message.
    pub message_id: String,
    /// The MD5 of the body as the server stored it. `None` if the server sent none.
    #[serde(default, rename = "MD5OfMessageBody", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_body: Option<String>,
    /// The MD5 of the message attributes as the server stored them.
    #[serde(default, rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_attributes: Option<String>,
    /// The MD5 of the message system attributes as the server stored them.
    #[serde(
        default,
        rename = "MD5OfMessageSystemAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    pub md5_of_message_system_attributes: Option<String>,
    /// FIFO queues: the message's sequence number, of 20 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
}
