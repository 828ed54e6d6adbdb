use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{MessageAttributeValue, MessageSystemAttributes, lenient};

/// A received message.
///
/// It stays in the queue, hidden from other consumers for the visibility timeout, until
/// [`delete_message`](crate::Client::delete_message) is called with its receipt handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Message {
    /// The id that SQS gave the message when it was sent.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub message_id: String,
    /// The handle of this one receipt, to delete the message or change its visibility with. Every receive of the
    /// same message brings another.
    pub receipt_handle: String,
    /// The body.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub body: String,
    /// MD5 of the body as the server computed it, verified by the client unless that is turned off. `None` where the
    /// server sent none.
    #[serde(default, rename = "MD5OfBody", skip_serializing_if = "Option::is_none")]
    pub md5_of_body: Option<String>,
    /// MD5 of the message attributes that were asked for, as the server computed it.
    #[serde(default, rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_attributes: Option<String>,
    /// What SQS says of the message: the attributes that were asked for.
    #[serde(default, skip_serializing_if = "MessageSystemAttributes::is_empty")]
    pub attributes: MessageSystemAttributes,
    /// The sender's attributes that were asked for.
    #[serde(
        default,
        deserialize_with = "lenient::map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub message_attributes: BTreeMap<String, MessageAttributeValue>,
}

impl Message {
    /// A message of which nothing has been read yet.
    pub(super) fn unread() -> Self {
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

    /// What it takes to settle the message, and to log it: no body, no message attributes.
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
