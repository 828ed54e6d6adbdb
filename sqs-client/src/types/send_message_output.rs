use serde::{Deserialize, Serialize};

/// The response to [`SendMessage`](crate::operation::SendMessage).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageOutput {
    /// The message's id, which SQS assigned.
    pub message_id: String,
    /// The MD5 of the body as the server stored it, or `None` if the server sent none.
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
    /// The message's place in a FIFO queue, of 20 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
}
