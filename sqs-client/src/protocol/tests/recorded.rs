//! Held against answers that were recorded from AWS: the optional test data.

use bytes::Bytes;
use http::HeaderName;

use super::{Answer, Wire, read};
use crate::operation::{
    CreateQueue, DeleteMessageBatch, DeleteQueue, GetQueueUrl, Operation, ReceiveMessage, SendMessage, SendMessageBatch,
};
use crate::testing::{json_vector, vector};
use crate::{Error, ErrorCode};

/// What is not there and what is empty are the same to a reader.
fn without_empty(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => members
            .into_iter()
            .filter(|(name, value)| name != "ResponseMetadata" && value.as_array().is_none_or(|list| !list.is_empty()))
            .map(|(name, value)| (name, without_empty(value)))
            .collect(),
        serde_json::Value::Array(items) => items.into_iter().map(without_empty).collect(),
        value => value,
    }
}

#[test]
fn recorded_xml_answers_are_read() {
    fn check<Op: Operation>(name: &str)
    where
        Op::Output: serde::Serialize,
    {
        let Some(xml) = vector(&format!("xml-responses/{name}.xml")) else {
            return;
        };
        let Some(expected) = json_vector(&format!("xml-responses/{name}.json")) else {
            return;
        };
        let output = read::<Op>(Wire::Query, String::from_utf8(xml).unwrap());
        let output = serde_json::to_value(output).unwrap();
        assert_eq!(without_empty(output), without_empty(expected), "{name}");
    }
    check::<CreateQueue>("create-queue");
    check::<DeleteMessageBatch>("delete-message-batch");
    check::<GetQueueUrl>("get-queue-url");
    check::<ReceiveMessage>("receive-message");
    check::<SendMessageBatch>("send-message-batch");
    check::<SendMessage>("send-message");

    let Some(body) = vector("xml-responses/error-delete-queue.xml") else {
        return;
    };
    let error = failed::<DeleteQueue>(Wire::Query, 404, &[], body);
    assert_eq!(error.code(), Some(&ErrorCode::InvalidAddress));
    assert_eq!(error.message(), "The address foobar is not valid for this endpoint.");
    assert_eq!(error.request_id(), Some("9b06cd2c-b433-550f-bde2-8728ce9b1a93"));
    assert!(error.is_sender_fault());
}

/// The error that such an answer is.
fn failed<Op: Operation>(
    protocol: Wire,
    status: u16,
    headers: &[(&'static str, String)],
    body: impl Into<Bytes>,
) -> Error {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    let answer = Answer {
        status,
        headers: headers.collect(),
        body: body.into(),
    };
    protocol.decode::<Op>(&answer).err().unwrap()
}

/// Every object named `Error` within, with the status that it was answered with.
fn recorded_errors(value: &serde_json::Value, found: &mut Vec<(serde_json::Value, u16)>) {
    let status = value["ResponseMetadata"]["HTTPStatusCode"].as_u64();
    if let (Some(status), true) = (status, value["Error"].is_object()) {
        found.push((value["Error"].clone(), u16::try_from(status).unwrap()));
    }
    let members = value.as_object().into_iter().flat_map(|object| object.values());
    let items = value.as_array().into_iter().flatten();
    members.chain(items).for_each(|inner| recorded_errors(inner, found));
}

/// What AWS answered, put back into the forms that it answers in, and that a JSON server without the Query protocol's
/// code does: all are the same error.
#[test]
fn recorded_errors_are_the_same_in_both_protocols() {
    let Some(recorded) = json_vector("aws-recorded/sqs.json") else {
        return;
    };
    let mut errors = Vec::new();
    recorded_errors(&recorded, &mut errors);
    assert!(errors.len() >= 60, "{} errors", errors.len());
    for (error, status) in errors {
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        let (legacy, message, fault) = (text("Code"), text("Message"), text("Type"));
        // Where the recording is of the Query protocol it has no name of the JSON one; the table knows it.
        let json_name = match text("QueryErrorCode") {
            "" => ErrorCode::from_wire(legacy).as_str().to_owned(),
            name => name.to_owned(),
        };
        let json = serde_json::json!({"__type": format!("com.amazonaws.sqs#{json_name}"), "message": message});
        let query_error = ("x-amzn-query-error", format!("{legacy};{fault}"));
        let xml = format!(
            "<ErrorResponse><Error><Type>{fault}</Type><Code>{legacy}</Code><Message>{}</Message><Detail/></Error>\
             </ErrorResponse>",
            message.replace('&', "&amp;").replace('<', "&lt;")
        );
        let forms = [
            failed::<SendMessage>(Wire::Json, status, &[], json.to_string()),
            failed::<SendMessage>(Wire::Json, status, &[query_error], json.to_string()),
            failed::<SendMessage>(Wire::Query, status, &[], xml),
        ];
        for said in &forms {
            assert!(
                !matches!(said.code(), Some(ErrorCode::Other(_)) | None),
                "{error} {said:?}"
            );
            assert_eq!(said.code(), forms[0].code(), "{error}");
            assert_eq!(said.message(), message);
            assert_eq!(said.status(), Some(status));
            assert_eq!(said.is_sender_fault(), fault == "Sender");
            assert!(!said.may_have_been_sent() && !said.is_retryable());
        }
    }
}
