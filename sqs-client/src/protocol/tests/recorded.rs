//! Tests against recorded responses of AWS, which are optional test data.

use bytes::Bytes;
use http::HeaderName;

use crate::operation::{
    CreateQueue, DeleteMessageBatch, DeleteQueue, GetQueueUrl, Operation, ReceiveMessage, SendMessage, SendMessageBatch,
};
use crate::protocol::tests::{Response, Wire, model, read};
use crate::vectors::{json_vector, vector};
use crate::{Error, ErrorCode, ErrorKind};

/// Removes empty lists and metadata, because an absent list equals an empty one.
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
fn recorded_xml_responses_are_read() {
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

/// Returns the error of a response.
fn failed<Op: Operation>(
    protocol: Wire,
    status: u16,
    headers: &[(&'static str, String)],
    body: impl Into<Bytes>,
) -> Error {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    let response = Response {
        status,
        headers: headers.collect(),
        body: body.into(),
    };
    protocol.decode::<Op>(&response).err().unwrap()
}

/// Collects every object named `Error` with its HTTP status.
fn recorded_errors(value: &serde_json::Value, found: &mut Vec<(serde_json::Value, u16)>) {
    let status = value["ResponseMetadata"]["HTTPStatusCode"].as_u64();
    if let (Some(status), true) = (status, value["Error"].is_object()) {
        found.push((value["Error"].clone(), u16::try_from(status).unwrap()));
    }
    let members = value.as_object().into_iter().flat_map(|object| object.values());
    let items = value.as_array().into_iter().flatten();
    members.chain(items).for_each(|inner| recorded_errors(inner, found));
}

/// An error as AWS sends it.
pub(super) struct WireError<'a> {
    /// The name in the JSON protocol.
    pub(super) json: &'a str,
    /// The name in the Query protocol.
    pub(super) query: &'a str,
    /// The name in this crate.
    pub(super) code: &'a str,
    pub(super) sender_fault: bool,
    pub(super) status: u16,
    pub(super) message: &'a str,
}

/// Checks that the error is the same in all forms of AWS, and in that of a JSON server without the Query protocol's code.
pub(super) fn reads_alike_in_both_protocols(expected: &WireError<'_>) {
    let fault = if expected.sender_fault { "Sender" } else { "Receiver" };
    let json =
        serde_json::json!({"__type": format!("com.amazonaws.sqs#{}", expected.json), "message": expected.message});
    let query_error = ("x-amzn-query-error", format!("{};{fault}", expected.query));
    let xml = format!(
        "<ErrorResponse><Error><Type>{fault}</Type><Code>{}</Code><Message>{}</Message><Detail/></Error>\
         </ErrorResponse>",
        expected.query,
        expected.message.replace('&', "&amp;").replace('<', "&lt;")
    );
    for error in [
        failed::<SendMessage>(Wire::Json, expected.status, &[], json.to_string()),
        failed::<SendMessage>(Wire::Json, expected.status, &[query_error], json.to_string()),
        failed::<SendMessage>(Wire::Query, expected.status, &[], xml),
    ] {
        assert_eq!(error.kind(), ErrorKind::Service);
        assert_eq!(error.code().map(ErrorCode::as_str), Some(expected.code), "{error:?}");
        assert!(!matches!(error.code(), Some(ErrorCode::Other(_))), "{error:?}");
        assert_eq!(error.message(), expected.message);
        assert_eq!(error.status(), Some(expected.status));
        assert_eq!(error.is_sender_fault(), expected.sender_fault, "{error:?}");
        assert!(!error.may_have_been_sent());
        let throttled = ["RequestThrottled", "KmsThrottled"].contains(&expected.code);
        assert_eq!(error.is_retryable(), throttled, "{error:?}");
    }
}

/// Checks all recorded errors. The model relates the codes of the two protocols.
#[test]
fn recorded_errors_are_the_same_in_both_protocols() {
    let (Some(recorded), Some(shapes)) = (json_vector("aws-recorded/sqs.json"), model::shapes()) else {
        return;
    };
    let in_model = |query: &str| {
        let shapes = shapes.as_object().unwrap().iter();
        let mut of_code = shapes.filter(|(_, shape)| shape["traits"]["aws.protocols#awsQueryError"]["code"] == query);
        let (name, _) = of_code.next()?;
        name.rsplit('#').next()
    };
    let mut errors = Vec::new();
    recorded_errors(&recorded, &mut errors);
    assert!(errors.len() >= 60, "{} errors", errors.len());
    for (error, status) in errors {
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        // Codes that are not in the model differ only by the suffix `Exception` of the JSON protocol.
        let code = in_model(text("Code")).unwrap_or(text("Code"));
        reads_alike_in_both_protocols(&WireError {
            // Recordings of the Query protocol do not have the name of the JSON protocol.
            json: error["QueryErrorCode"].as_str().unwrap_or(code),
            query: text("Code"),
            code,
            sender_fault: text("Type") == "Sender",
            status,
            message: text("Message"),
        });
    }
}
