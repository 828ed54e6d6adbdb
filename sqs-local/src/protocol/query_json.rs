//! The Query protocol's responses in JSON. Absent members are null, and maps are lists of names and values.

use serde_json::{Map, Value, json};

use crate::protocol::error::Error;
use crate::protocol::schema::{Action, Kind, Member};
use crate::protocol::xml;

/// Returns an action's response.
pub(crate) fn response(action: Action, output: &Value, request_id: &str) -> String {
    let mut body = Map::new();
    body.insert("ResponseMetadata".into(), json!({"RequestId": request_id}));
    let shape = action.shape().output;
    if !shape.is_empty() {
        body.insert(format!("{action}Result"), members(output, shape));
    }
    json!({format!("{action}Response"): body}).to_string()
}

/// Returns an error response.
pub(crate) fn error(error: &Error, request_id: &str) -> String {
    let fault = if error.is_sender() { "Sender" } else { "Receiver" };
    json!({
        "Error": {"Code": error.code.query, "Message": xml::message(error), "Type": fault},
        "RequestId": request_id,
    })
    .to_string()
}

fn members(value: &Value, shape: &[Member]) -> Value {
    let shown = shape.iter().map(|member| {
        let name = match member.name {
            // AWS's format is older than these members' present names.
            "Messages" => "messages",
            "QueueUrls" => "queueUrls",
            name => name,
        };
        let value = value.get(member.name).map(|value| convert(value, &member.kind));
        (name.to_owned(), value.unwrap_or_default())
    });
    Value::Object(shown.collect())
}

fn convert(value: &Value, kind: &Kind) -> Value {
    match (kind, value) {
        (Kind::List(_, of), Value::Array(items)) => items.iter().map(|item| convert(item, of)).collect(),
        (
            Kind::Map {
                key,
                value: value_name,
                of,
                ..
            },
            Value::Object(pairs),
        ) => {
            let pairs = pairs.iter();
            pairs
                .map(|(k, v)| json!({*key: k, *value_name: convert(v, of)}))
                .collect()
        }
        (Kind::Struct(shape), value) => members(value, shape),
        (_, value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    /// Published by AWS as the output of an API Gateway that reads from a queue.
    #[test]
    fn received_messages_are_written_as_aws_does() {
        let output = json!({"Messages": [{"MessageId": "i", "ReceiptHandle": "h", "MD5OfBody": "m", "Body": "b"}]});
        assert_eq!(
            read(&response(Action::ReceiveMessage, &output, "r")),
            json!({"ReceiveMessageResponse": {
                "ReceiveMessageResult": {"messages": [{
                    "Attributes": null, "Body": "b", "MD5OfBody": "m", "MD5OfMessageAttributes": null,
                    "MessageAttributes": null, "MessageId": "i", "ReceiptHandle": "h"}]},
                "ResponseMetadata": {"RequestId": "r"}}})
        );
        assert_eq!(
            read(&response(Action::ReceiveMessage, &json!({}), "r")),
            json!({"ReceiveMessageResponse": {
                "ReceiveMessageResult": {"messages": null}, "ResponseMetadata": {"RequestId": "r"}}})
        );
    }

    #[test]
    fn attributes_are_a_list_of_names_and_values() {
        let output = json!({"Attributes": {"QueueArn": "a"}});
        let written = read(&response(Action::GetQueueAttributes, &output, "r"));
        assert_eq!(
            written["GetQueueAttributesResponse"]["GetQueueAttributesResult"],
            json!({"Attributes": [{"Name": "QueueArn", "Value": "a"}]})
        );
        let written = read(&response(Action::DeleteQueue, &json!({}), "r"));
        assert_eq!(
            written,
            json!({"DeleteQueueResponse": {"ResponseMetadata": {"RequestId": "r"}}})
        );
    }
}
