//! Messages in the events of AWS Lambda.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use sqs_client::Message;
use sqs_client::types::{MessageAttributeValue, MessageSystemAttributes};

use crate::pointer::attribute;

/// A record of the event with which AWS Lambda passes a queue's messages to a function.
///
/// Deserialize it from the [event's JSON](https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html), and read the
/// message by [`ParsedMessage::from_message`](crate::pointer::ParsedMessage::from_message).
///
/// ```
/// use serde::Deserialize;
/// use sqs_extended::pointer::{LambdaRecord, ParsedMessage, PayloadLocation};
///
/// #[derive(Deserialize)]
/// struct Event {
///     #[serde(rename = "Records")]
///     records: Vec<LambdaRecord>,
/// }
///
/// let event: Event = serde_json::from_str(r#"{"Records": [{
///     "messageId": "1",
///     "receiptHandle": "AQEB",
///     "body": "[\"software.amazon.payloadoffloading.PayloadS3Pointer\",{\"s3BucketName\":\"b\",\"s3Key\":\"k\"}]",
///     "attributes": {"ApproximateReceiveCount": "1"},
///     "messageAttributes": {"ExtendedPayloadSize": {"stringValue": "300000", "dataType": "Number"}},
///     "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:orders"
/// }]}"#)?;
/// for record in &event.records {
///     match ParsedMessage::from_message(&record.message)?.contents {
///         PayloadLocation::Inline(text) => println!("{text}"),
///         PayloadLocation::Offloaded(envelope) => println!("{} bytes in the store", envelope.size.unwrap_or(0)),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Record")]
#[non_exhaustive]
pub struct LambdaRecord {
    /// The message, as a client would have received it.
    pub message: Message,
    /// The ARN of the queue that the message was received from.
    pub queue_arn: String,
}

/// The record in the event's JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    receipt_handle: String,
    body: Option<String>,
    md5_of_body: Option<String>,
    md5_of_message_attributes: Option<String>,
    attributes: Option<MessageSystemAttributes>,
    message_attributes: Option<BTreeMap<String, Option<Attribute>>>,
    #[serde(rename = "eventSourceARN")]
    queue_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    data_type: String,
    string_value: Option<Value>,
    binary_value: Option<Value>,
}

impl TryFrom<Record> for LambdaRecord {
    type Error = &'static str;

    fn try_from(record: Record) -> Result<Self, &'static str> {
        // `Message` is non-exhaustive, so only its deserializer can create one.
        let empty = json!({"ReceiptHandle": record.receipt_handle});
        let mut message: Message = serde_json::from_value(empty).map_err(|_| "the record is not a message")?;
        message.message_id = record.message_id;
        message.body = record.body.unwrap_or_default();
        message.md5_of_body = record.md5_of_body;
        message.md5_of_message_attributes = record.md5_of_message_attributes;
        message.attributes = record.attributes.unwrap_or_default();
        message.message_attributes = record
            .message_attributes
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, attribute)| Some((name, attribute?)))
            .map(|(name, attribute)| Some((name, attribute.into_value()?)))
            .collect::<Option<_>>()
            .ok_or("a message attribute of the record is neither text nor base64")?;
        Ok(Self {
            message,
            queue_arn: record.queue_arn,
        })
    }
}

impl Attribute {
    fn into_value(self) -> Option<MessageAttributeValue> {
        attribute::value_from_json(&self.data_type, self.string_value, self.binary_value)
    }
}
