//! Notifications by which SNS delivers to a queue, unless the subscription asks for raw delivery.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use sqs_client::limits;
use sqs_client::types::MessageAttributeValue;

use crate::error::{Error, ErrorKind};
use crate::pointer::attribute;

/// What was published to a topic.
pub(super) struct Published {
    pub(super) message: String,
    pub(super) attributes: BTreeMap<String, MessageAttributeValue>,
}

/// The members that tell a notification from other JSON.
#[derive(Deserialize)]
struct Marks {
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

/// What the body says was published, or `None` if it is not a notification.
///
/// # Errors
///
/// It is a notification, but malformed.
pub(super) fn unwrap(body: &str) -> Result<Option<Published>, Error> {
    if body.len() > limits::MAX_MESSAGE_BYTES || !body.trim_start().starts_with('{') {
        return Ok(None);
    }
    if serde_json::from_str::<Marks>(body).is_err() {
        return Ok(None);
    }
    let refused = |why| Error::plain(ErrorKind::RefusedPointer, why);
    let Message { message } =
        serde_json::from_str(body).map_err(|_| refused("the SNS notification's Message is not one text"))?;
    let attributes = attributes(body)
        .ok_or_else(|| refused("the SNS notification's MessageAttributes are not attributes that SQS knows"))?;
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
        attribute::value_of(&self.r#type, text, base64)
    }
}
