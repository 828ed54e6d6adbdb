//! Notifications by which SNS delivers to a queue, unless the subscription asks for raw delivery.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sqs_client::{MessageAttributeValue, limits};

use super::attribute;

/// What was published to a topic.
pub(super) struct Published {
    pub(super) message: String,
    pub(super) attributes: BTreeMap<String, MessageAttributeValue>,
}

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Type")]
    _type: Type,
    /// Every notification names its topic; asked for because little else tells it from other JSON.
    #[serde(rename = "TopicArn")]
    _topic_arn: IgnoredAny,
    #[serde(rename = "Message")]
    message: String,
    #[serde(rename = "MessageAttributes", default)]
    attributes: BTreeMap<String, Attribute>,
}

#[derive(Deserialize)]
enum Type {
    Notification,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    r#type: String,
    value: String,
}

/// What the body says was published, or `None` if it is not a notification.
pub(super) fn unwrap(body: &str) -> Option<Published> {
    if body.len() > limits::MAX_MESSAGE_BYTES || !body.trim_start().starts_with('{') {
        return None;
    }
    let notification: Notification = serde_json::from_str(body).ok()?;
    let attributes = notification.attributes.into_iter();
    Some(Published {
        message: notification.message,
        attributes: attributes
            .map(|(name, attribute)| Some((name, attribute.into_value()?)))
            .collect::<Option<_>>()?,
    })
}

impl Attribute {
    fn into_value(self) -> Option<MessageAttributeValue> {
        let is_binary = self.r#type.split('.').next() == Some("Binary");
        let (text, base64) = if is_binary {
            (None, Some(self.value))
        } else {
            (Some(self.value), None)
        };
        attribute::value_of(&self.r#type, text, base64)
    }
}
