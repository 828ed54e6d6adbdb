//! The notifications in which SNS delivers messages to a queue.
//!
//! See <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>. With [raw message
//! delivery](https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html) there are none.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use sqs_client::limits;
use sqs_client::types::MessageAttributeValue;

use crate::error::{Error, ErrorKind};
use crate::pointer::attribute;

/// A message that was published to a topic.
pub(super) struct Published {
    pub(super) message: String,
    pub(super) attributes: BTreeMap<String, MessageAttributeValue>,
}

/// The members that distinguish a notification from other JSON.
#[derive(Deserialize)]
struct Markers {
    #[serde(rename = "Type")]
    _type: Type,
    #[serde(rename = "TopicArn")]
    _topic_arn: IgnoredAny,
}

#[derive(Deserialize)]
enum Type {
    Notification,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "Message")]
    message: String,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(rename = "MessageAttributes")]
    attributes: Option<BTreeMap<String, Option<Attribute>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    r#type: String,
    value: Value,
}

/// Returns the message in a notification, or `None` if the body is not a notification.
///
/// # Errors
///
/// The body is a malformed notification.
pub(super) fn unwrap(body: &str) -> Result<Option<Published>, Error> {
    if body.len() > limits::MAX_MESSAGE_BYTES || !body.trim_start().starts_with('{') {
        return Ok(None);
    }
    if serde_json::from_str::<Markers>(body).is_err() {
        return Ok(None);
    }
    let refused = |why| Error::plain(ErrorKind::RefusedPointer, why);
    let Message { message } =
        serde_json::from_str(body).map_err(|_| refused("the SNS notification's Message is not a single string"))?;
    let attributes = attributes(body)
        .ok_or_else(|| refused("the SNS notification's MessageAttributes are not valid message attributes"))?;
    Ok(Some(Published { message, attributes }))
}

fn attributes(body: &str) -> Option<BTreeMap<String, MessageAttributeValue>> {
    let Attributes { attributes } = serde_json::from_str(body).ok()?;
    let present = attributes.into_iter().flatten();
    present
        .filter_map(|(name, attribute)| Some((name, attribute?)))
        .map(|(name, attribute)| Some((name, attribute.into_value()?)))
        .collect()
}

impl Attribute {
    fn into_value(self) -> Option<MessageAttributeValue> {
        let value = Some(self.value).filter(|value| !value.is_null())?;
        let is_binary = self.r#type.split('.').next() == Some("Binary");
        let (text, base64) = if is_binary {
            (None, Some(value))
        } else {
            (Some(value), None)
        };
        attribute::value_from_json(&self.r#type, text, base64)
    }
}
