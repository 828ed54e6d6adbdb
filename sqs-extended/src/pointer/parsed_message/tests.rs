use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::pointer::format::Pointer;
use crate::pointer::lambda::LambdaRecord;

const POINTER: &str = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"B","s3Key":"K"}]"#;

fn offloaded(size: Option<u64>) -> PayloadLocation {
    let pointer = Pointer::new("B", "K");
    PayloadLocation::Offloaded(Box::new(Envelope { pointer, size }))
}

fn inline(body: &str) -> PayloadLocation {
    PayloadLocation::Inline(body.to_owned())
}

fn notification(message: &str, attributes: Value) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "dc1e94d9-56c5-5e96-808d-cc7f68faa162",
        "TopicArn": "arn:aws:sns:us-east-2:111122223333:topic",
        "Subject": "subject",
        "Message": message,
        "Timestamp": "2021-02-16T21:41:19.978Z",
        "SignatureVersion": "1",
        "Signature": "FMG5tlZhJNHLHUXvZgtZzlk24FzVa7oX0T4P03neeXw8ZEXZx6z35j2FOTuNYShn2h0bKNC",
        "SigningCertURL": "https://sns.us-east-2.amazonaws.com/cert.pem",
        "UnsubscribeURL": "https://sns.us-east-2.amazonaws.com/?Action=Unsubscribe",
        "MessageAttributes": attributes,
    })
}

fn unwrapped(body: impl ToString) -> Result<ParsedMessage, Error> {
    ParsedMessage::new(body.to_string(), BTreeMap::new())?.unwrap_sns()
}

fn record(body: &str, attributes: Value) -> Value {
    json!({
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "2", "SenderId": "AIDAIENQZJOLO23YVJ4VO"},
        "messageAttributes": attributes,
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "md5OfMessageAttributes": null,
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
        "awsRegion": "us-east-2",
    })
}

#[test]
fn a_reserved_attribute_makes_a_message_a_pointer() {
    let size = [("ExtendedPayloadSize".to_owned(), MessageAttributeValue::number(3))];
    let mine = [("mine".to_owned(), "x".into())];
    let plain = ParsedMessage::new(POINTER, BTreeMap::from(mine.clone())).unwrap();
    assert_eq!(plain.contents, inline(POINTER));
    let pointer = ParsedMessage::new(POINTER, size.into_iter().chain(mine.clone()).collect()).unwrap();
    assert_eq!(pointer.contents, offloaded(Some(3)));
    assert_eq!(pointer.message_attributes, BTreeMap::from(mine));
}

#[test]
fn the_size_may_be_of_type_string() {
    for size in [
        MessageAttributeValue::string("3"),
        MessageAttributeValue::string("3").with_label("long"),
    ] {
        let size = BTreeMap::from([("ExtendedPayloadSize".to_owned(), size)]);
        assert_eq!(ParsedMessage::new(POINTER, size).unwrap().contents, offloaded(Some(3)));
    }
    for wrong in [
        MessageAttributeValue::string("three"),
        MessageAttributeValue::binary(vec![51]),
    ] {
        let size = BTreeMap::from([("ExtendedPayloadSize".to_owned(), wrong)]);
        assert_eq!(
            ParsedMessage::new(POINTER, size).unwrap_err().kind(),
            ErrorKind::RefusedPointer
        );
    }
}

#[test]
fn a_refused_message_keeps_its_receipt_handle() {
    let message = serde_json::from_value(json!({
        "ReceiptHandle": "handle", "Body": "secret",
        "MessageAttributes": {"ExtendedPayloadSize": {"DataType": "Number", "StringValue": "3"}},
    }))
    .unwrap();
    let error = ParsedMessage::from_message(&message).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RefusedPointer);
    assert_eq!(error.receipt_handle(), Some("handle"));
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn a_notification_of_a_pointer_is_unwrapped() {
    let attributes = json!({
        "SQSLargePayloadSize": {"Type": "Number", "Value": "3"},
        "text": {"Type": "String", "Value": "t"},
        "list": {"Type": "String.Array", "Value": "[1]"},
        "bytes": {"Type": "Binary", "Value": "AQI="},
    });
    let parsed = unwrapped(notification(POINTER, attributes)).unwrap();
    assert_eq!(parsed.contents, offloaded(Some(3)));
    let list = MessageAttributeValue::string("[1]").with_label("Array");
    let bytes = MessageAttributeValue::binary(vec![1, 2]);
    let expected = [("text", "t".into()), ("list", list), ("bytes", bytes)];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(parsed.message_attributes, BTreeMap::from(expected));
}

#[test]
fn a_notification_of_an_ordinary_message_is_unwrapped_once() {
    let inner = notification("inner", json!({})).to_string();
    let mut outer = notification(&inner, json!({}));
    outer.as_object_mut().unwrap().remove("MessageAttributes");
    assert_eq!(unwrapped(&outer).unwrap().contents, inline(&inner));
    let pretty = serde_json::to_string_pretty(&outer).unwrap();
    assert_eq!(unwrapped(pretty).unwrap().contents, inline(&inner));
}

#[test]
fn a_message_of_raw_delivery_is_returned_unchanged() {
    let size = BTreeMap::from([("ExtendedPayloadSize".to_owned(), MessageAttributeValue::number(3))]);
    let parsed = ParsedMessage::new(POINTER, size).unwrap().unwrap_sns().unwrap();
    assert_eq!(parsed.contents, offloaded(Some(3)));
}

#[test]
fn other_messages_are_returned_unchanged() {
    let with = |change: fn(&mut Value)| {
        let mut body = notification(POINTER, json!({}));
        change(&mut body);
        body.to_string()
    };
    let ok = with(|_| ());
    for body in [
        String::new(),
        "hello".to_owned(),
        "{}".to_owned(),
        "[".repeat(1_000_000),
        r#"{"Type":"Notification","MessageAttributes":"#.repeat(20_000),
        r#"["Notification","topic","message",{}]"#.to_owned(),
        with(|body| body["Type"] = json!("SubscriptionConfirmation")),
        with(|body| body["Type"] = json!(["Notification"])),
        with(|body| {
            body.as_object_mut().unwrap().remove("TopicArn");
        }),
        format!("{ok}x"),
        with(|body| body["Message"] = json!("x".repeat(limits()))),
    ] {
        let parsed = unwrapped(&body).unwrap();
        assert!(parsed.contents == inline(&body), "{body:.200}");
    }
}

#[test]
fn a_malformed_notification_is_refused_naming_the_member() {
    let with = |change: fn(&mut Value)| {
        let mut body = notification("secret", json!({}));
        change(&mut body);
        body.to_string()
    };
    let twice = with(|_| ()).replacen('{', r#"{"Message":"secret","#, 1);
    for (body, member) in [
        (with(|body| body["Message"] = json!({"s3Key": "K"})), "Message"),
        (with(|body| body["Message"] = json!(5)), "Message"),
        (with(|body| body["Message"] = Value::Null), "Message"),
        (twice, "Message"),
        (with(|body| body["MessageAttributes"] = json!([])), "MessageAttributes"),
        (
            with(|body| body["MessageAttributes"] = json!({"a": {"Type": "String"}})),
            "MessageAttributes",
        ),
        (
            with(|body| body["MessageAttributes"] = json!({"a": {"Type": "String", "Value": 1.5}})),
            "MessageAttributes",
        ),
        (
            with(|body| body["MessageAttributes"] = json!({"a": {"Type": "Binary", "Value": "%"}})),
            "MessageAttributes",
        ),
    ] {
        let error = unwrapped(&body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RefusedPointer, "{body}");
        assert!(error.to_string().contains(&format!("{member} ")), "{error}: {body}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

/// Publishers other than AWS write JSON numbers for numeric values, and `null` for absent members.
#[test]
fn numbers_and_null_are_read_in_notifications_and_records() {
    let attributes = json!({
        "SQSLargePayloadSize": {"Type": "Number", "Value": 3},
        "bool": {"Type": "String", "Value": true},
        "none": null,
    });
    let parsed = unwrapped(notification(POINTER, attributes)).unwrap();
    assert_eq!(parsed.contents, offloaded(Some(3)));
    let expected = BTreeMap::from([("bool".to_owned(), "true".into())]);
    assert_eq!(parsed.message_attributes, expected);
    assert_eq!(
        unwrapped(notification("hello", Value::Null)).unwrap().contents,
        inline("hello")
    );

    let attributes = json!({
        "ExtendedPayloadSize": {"stringValue": 3, "dataType": "Number", "binaryValue": null},
        "none": null,
    });
    let mut as_numbers = record(POINTER, attributes);
    as_numbers["attributes"] = json!({"ApproximateReceiveCount": 2, "MessageGroupId": null});
    let read: LambdaRecord = serde_json::from_value(as_numbers).unwrap();
    assert_eq!(read.message.attributes.approximate_receive_count(), Some(2));
    assert_eq!(
        ParsedMessage::from_message(&read.message).unwrap().contents,
        offloaded(Some(3))
    );

    let mut nothing = record("", Value::Null);
    nothing["attributes"] = Value::Null;
    nothing["body"] = Value::Null;
    let read: LambdaRecord = serde_json::from_value(nothing).unwrap();
    assert!(read.message.message_attributes.is_empty() && read.message.attributes.is_empty());
    assert_eq!(ParsedMessage::from_message(&read.message).unwrap().contents, inline(""));
}

fn limits() -> usize {
    sqs_client::limits::MAX_MESSAGE_BYTES
}

#[test]
fn a_notification_of_a_malformed_pointer_is_refused() {
    for (message, size) in [
        ("secret", json!({"Type": "Number", "Value": "3"})),
        (POINTER, json!({"Type": "Number", "Value": "three"})),
        (POINTER, json!({"Type": "Binary", "Value": "AQI="})),
    ] {
        let error = unwrapped(notification(message, json!({"ExtendedPayloadSize": size}))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RefusedPointer);
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[test]
fn a_lambda_record_is_a_message() {
    let attributes = json!({
        "ExtendedPayloadSize": {"stringValue": "3", "stringListValues": [], "binaryListValues": [], "dataType": "Number"},
        "bytes": {"binaryValue": "AQI=", "dataType": "Binary.two"},
        "text": {"stringValue": "t", "binaryValue": null, "dataType": "String"},
    });
    let record: LambdaRecord = serde_json::from_value(record(POINTER, attributes)).unwrap();
    assert_eq!(record.queue_arn, "arn:aws:sqs:us-east-2:123456789012:my-queue");
    assert_eq!(record.message.receipt_handle, "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a");
    assert_eq!(record.message.message_id, "059f36b4-87a3-44ab-83d2-661975830a7d");
    assert_eq!(record.message.attributes.approximate_receive_count(), Some(2));
    let parsed = ParsedMessage::from_message(&record.message).unwrap();
    assert_eq!(parsed.contents, offloaded(Some(3)));
    let bytes = MessageAttributeValue::binary(vec![1, 2]).with_label("two");
    let expected = [("text", "t".into()), ("bytes", bytes)].map(|(name, value)| (name.to_owned(), value));
    assert_eq!(parsed.message_attributes, BTreeMap::from(expected));
}

#[test]
fn lambda_records_of_the_node_library_and_of_sns_are_read() {
    let node = json!({"S3MessageBodyKey": {"stringValue": "(B)K", "dataType": "String"}});
    let size = json!({"ExtendedPayloadSize": {"Type": "Number", "Value": "3"}});
    let sns = notification(POINTER, size).to_string();
    for (record, expected) in [
        (record("K", node), offloaded(None)),
        (record(&sns, json!({})), offloaded(Some(3))),
        (record("hello", json!({})), inline("hello")),
    ] {
        let record: LambdaRecord = serde_json::from_str(&record.to_string()).unwrap();
        let parsed = ParsedMessage::from_message(&record.message)
            .unwrap()
            .unwrap_sns()
            .unwrap();
        assert_eq!(parsed.contents, expected);
    }
}

#[test]
fn a_malformed_record_is_refused() {
    let with = |change: fn(&mut Value)| {
        let mut record = record("body", json!({}));
        change(&mut record);
        record
    };
    for record in [
        Value::Null,
        json!({}),
        with(|r| r["body"] = json!(1)),
        with(|r| r["receiptHandle"] = json!(["h"])),
        with(|r| r["eventSourceARN"] = json!({})),
        with(|r| r["messageAttributes"] = json!({"a": 1})),
        with(|r| r["messageAttributes"] = json!({"a": {"dataType": "Binary", "binaryValue": "%"}})),
    ] {
        assert!(
            serde_json::from_value::<LambdaRecord>(record.clone()).is_err(),
            "{record}"
        );
    }
}

#[test]
fn debug_shows_no_body() {
    let parsed = ParsedMessage::new("secret", BTreeMap::new()).unwrap();
    let text = format!("{parsed:?}");
    assert!(text.contains("6 bytes") && !text.contains("secret"), "{text}");
}

proptest! {
    #[test]
    fn every_published_message_survives_a_round_trip(message in any::<String>(), value in any::<String>()) {
        let body = notification(&message, json!({"a": {"Type": "String", "Value": value}}));
        let parsed = unwrapped(body).unwrap();
        prop_assert_eq!(parsed.contents, PayloadLocation::Inline(message));
        prop_assert_eq!(&parsed.message_attributes["a"], &MessageAttributeValue::string(value));
    }

    #[test]
    fn the_parsers_never_panic_on_damaged_json(at in any::<prop::sample::Index>(), with in any::<char>()) {
        let size = json!({"ExtendedPayloadSize": {"Type": "Number", "Value": "3"}});
        let mut chars: Vec<char> = notification(POINTER, size).to_string().chars().collect();
        *at.get_mut(&mut chars) = with;
        let _ = unwrapped(chars.into_iter().collect::<String>());
        let mut chars: Vec<char> = record(POINTER, json!({})).to_string().chars().collect();
        *at.get_mut(&mut chars) = with;
        let _ = serde_json::from_str::<LambdaRecord>(&chars.into_iter().collect::<String>());
    }
}
