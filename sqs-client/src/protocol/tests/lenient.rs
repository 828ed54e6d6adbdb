//! Responses of servers that deviate from the service model.

use std::fmt::Debug;
use std::time::Duration;

use http::HeaderMap;

use crate::operation::{
    CancelMessageMoveTask, ChangeMessageVisibilityBatch, DeleteMessage, GetQueueAttributes, ListDeadLetterSourceQueues,
    ListMessageMoveTasks, ListQueueTags, ListQueues, Operation, ReceiveMessage, SendMessage, SendMessageBatch,
};
use crate::protocol::{Response, Wire};
use crate::types::MessageSystemAttributeName;
use crate::{ErrorCode, QueueAttributes};

fn decode<Op: Operation>(protocol: Wire, status: u16, body: &str) -> Result<Op::Output, crate::Error> {
    let response = Response {
        status,
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    };
    protocol.decode::<Op>(&response)
}

/// Returns the output of these responses, which must be the same for all.
fn same<Op: Operation>(bodies: &[&str]) -> Op::Output
where
    Op::Output: PartialEq + Debug,
{
    let read = |body: &&str| decode::<Op>(Wire::Json, 200, body).unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let outputs: Vec<_> = bodies.iter().map(read).collect();
    for (body, output) in bodies.iter().zip(&outputs) {
        assert_eq!(output, &outputs[0], "{body}");
    }
    outputs.into_iter().next().unwrap()
}

#[test]
fn null_means_absent_in_every_response() {
    same::<ReceiveMessage>(&["{}", r#"{"Messages":null}"#, "null", " ", r#"{"Messages":[]}"#]);
    same::<ReceiveMessage>(&[
        r#"{"Messages":[{"ReceiptHandle":"r","Body":""}]}"#,
        r#"{"Messages":[null,{"ReceiptHandle":"r"}]}"#,
        r#"{"Messages":[{"MessageId":null,"ReceiptHandle":"r","Body":null,"MD5OfBody":null,"MD5OfMessageAttributes":null,
            "Attributes":null,"MessageAttributes":null}]}"#,
        r#"{"Messages":[{"ReceiptHandle":"r","Attributes":{"MessageGroupId":null},"MessageAttributes":{"a":null}}]}"#,
    ]);
    same::<ReceiveMessage>(&[
        r#"{"Messages":[{"ReceiptHandle":"r","MessageAttributes":{"a":{"DataType":"String","StringValue":"x"}}}]}"#,
        r#"{"Messages":[{"ReceiptHandle":"r","MessageAttributes":{"a":{"DataType":"String","StringValue":"x",
            "BinaryValue":null,"StringListValues":null,"BinaryListValues":null},"b":null}}]}"#,
    ]);
    let sent = same::<SendMessageBatch>(&[
        r#"{"Successful":[{"Id":"a","MessageId":"m"}],"Failed":[]}"#,
        r#"{"Successful":[{"Id":"a","MessageId":"m","SequenceNumber":null,"MD5OfMessageBody":null}],"Failed":null}"#,
    ]);
    assert_eq!(sent.successful.len(), 1);
    same::<SendMessageBatch>(&["{}", r#"{"Successful":null,"Failed":null}"#]);
    let failed = same::<ChangeMessageVisibilityBatch>(&[
        r#"{"Failed":[{"Id":"a","Code":"InternalError"}]}"#,
        r#"{"Successful":null,"Failed":[{"Id":"a","Code":"InternalError","SenderFault":null,"Message":null}]}"#,
    ]);
    assert!(!failed.failed[0].sender_fault);
    same::<SendMessage>(&[r#"{"MessageId":"m"}"#, r#"{"MessageId":"m","SequenceNumber":null}"#]);
    same::<DeleteMessage>(&["{}", "null", ""]);
    same::<ListQueues>(&[
        "{}",
        r#"{"QueueUrls":null,"NextToken":null}"#,
        r#"{"QueueUrls":[null]}"#,
    ]);
    same::<ListDeadLetterSourceQueues>(&["{}", r#"{"queueUrls":null,"NextToken":null}"#]);
    same::<ListQueueTags>(&["{}", r#"{"Tags":null}"#, r#"{"Tags":{"a":null}}"#]);
    same::<GetQueueAttributes>(&[
        "{}",
        r#"{"Attributes":null}"#,
        r#"{"Attributes":{"VisibilityTimeout":null,"x":null}}"#,
    ]);
    same::<CancelMessageMoveTask>(&["{}", r#"{"ApproximateNumberOfMessagesMoved":null}"#]);
    same::<ListMessageMoveTasks>(&["{}", r#"{"Results":null}"#]);
    same::<ListMessageMoveTasks>(&[
        r#"{"Results":[{"Status":"RUNNING"}]}"#,
        r#"{"Results":[{"Status":"RUNNING","SourceArn":null,"ApproximateNumberOfMessagesMoved":null,"TaskHandle":null,
            "StartedTimestamp":null,"MaxNumberOfMessagesPerSecond":null}]}"#,
    ]);
    let policy =
        r#"{"Attributes":{"RedriveAllowPolicy":"{\"redrivePermission\":\"allowAll\",\"sourceQueueArns\":null}"}}"#;
    let attributes = decode::<GetQueueAttributes>(Wire::Json, 200, policy)
        .unwrap()
        .attributes;
    assert!(attributes.redrive_allow_policy.unwrap().source_queue_arns.is_empty());
}

#[test]
fn a_text_attribute_may_be_a_number_or_a_boolean() {
    same::<ReceiveMessage>(&[
        r#"{"Messages":[{"ReceiptHandle":"r","Attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"-1"},
            "MessageAttributes":{"n":{"DataType":"Number","StringValue":"18446744073709551615"},
            "b":{"DataType":"String","StringValue":"true"}}}]}"#,
        r#"{"Messages":[{"ReceiptHandle":"r","Attributes":{"ApproximateReceiveCount":3,"SentTimestamp":-1},
            "MessageAttributes":{"n":{"DataType":"Number","StringValue":18446744073709551615},
            "b":{"DataType":"String","StringValue":true}}}]}"#,
    ]);
    let output = same::<GetQueueAttributes>(&[
        r#"{"Attributes":{"VisibilityTimeout":"30","FifoQueue":"true","x":"1.5"}}"#,
        r#"{"Attributes":{"VisibilityTimeout":30,"FifoQueue":true,"x":1.5}}"#,
        r#"{"Attributes":{"VisibilityTimeout":" 30\n","FifoQueue":"true ","x":"1.5"}}"#,
    ]);
    assert_eq!(output.attributes.visibility_timeout, Some(Duration::from_secs(30)));
    same::<ListQueueTags>(&[r#"{"Tags":{"a":"1","b":"false"}}"#, r#"{"Tags":{"a":1,"b":false}}"#]);
    // The number does not tell its original text.
    let fraction =
        r#"{"Messages":[{"ReceiptHandle":"r","MessageAttributes":{"n":{"DataType":"Number","StringValue":1.0}}}]}"#;
    let received = decode::<ReceiveMessage>(Wire::Json, 200, fraction).unwrap();
    assert_eq!((received.messages.len(), received.rejected.len()), (0, 1));
}

#[test]
fn white_space_around_ids_and_digests_of_xml_is_ignored() {
    let body = "<ReceiveMessageResponse><ReceiveMessageResult><Message>\
         <MessageId>\n  id\n</MessageId><ReceiptHandle> r </ReceiptHandle><Body> b\n</Body>\
         <MD5OfBody>\n 5d41402abc4b2a76b9719d911017c592 \n</MD5OfBody>\
         <Attribute><Name> MessageGroupId </Name><Value> g </Value></Attribute>\
         <MessageAttribute><Name> a </Name><Value><DataType> Binary </DataType><BinaryValue>\n AQI=\n</BinaryValue>\
         </Value></MessageAttribute>\
         <MessageAttribute><Name>s</Name><Value><DataType>String</DataType><StringValue> x </StringValue></Value>\
         </MessageAttribute></Message></ReceiveMessageResult></ReceiveMessageResponse>";
    let received = decode::<ReceiveMessage>(Wire::Query, 200, body).unwrap();
    let message = &received.messages[0];
    assert_eq!(
        (&*message.message_id, &*message.receipt_handle, &*message.body),
        ("id", "r", " b\n")
    );
    assert_eq!(message.md5_of_body.as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(
        message.attributes.get(&MessageSystemAttributeName::MessageGroupId),
        Some(" g ")
    );
    assert_eq!(message.message_attributes["a"].as_bytes().unwrap()[..], [1, 2]);
    assert_eq!(message.message_attributes["s"].as_str(), Some(" x "));

    let body = "<SendMessageBatchResponse><SendMessageBatchResult><SendMessageBatchResultEntry><Id>\na </Id>\
         <MessageId> m</MessageId></SendMessageBatchResultEntry><BatchResultErrorEntry><Id> b</Id>\
         <Code> InternalError\n</Code></BatchResultErrorEntry></SendMessageBatchResult></SendMessageBatchResponse>";
    let sent = decode::<SendMessageBatch>(Wire::Query, 200, body).unwrap();
    assert_eq!((&*sent.successful[0].id, &*sent.failed[0].id), ("a", "b"));
    assert_eq!(sent.failed[0].code, ErrorCode::InternalError);

    let attributes: QueueAttributes = serde_json::from_str(r#"{"VisibilityTimeout":" 5 "}"#).unwrap();
    assert_eq!(attributes.visibility_timeout, Some(Duration::from_secs(5)));
}

#[test]
fn an_error_is_found_in_the_form_of_any_server() {
    for (body, message) in [
        // The message begins with the code, and nothing else has it.
        (
            r#"{"__type":"Sender","message":"AWS.SimpleQueueService.NonExistentQueue; see the SQS docs."}"#,
            "AWS.SimpleQueueService.NonExistentQueue; see the SQS docs.",
        ),
        (
            r#"{"__type":"Sender","message":"QueueDoesNotExist: gone"}"#,
            "QueueDoesNotExist: gone",
        ),
        (
            r#"{"Error":{"Type":"Sender","Code":"AWS.SimpleQueueService.NonExistentQueue","Message":"gone"},"RequestId":"i"}"#,
            "gone",
        ),
        // GoAws.
        (
            r#"{"Result":{"Type":"Not Found","Code":"AWS.SimpleQueueService.NonExistentQueue","Message":"gone"},
                "RequestId":"i"}"#,
            "gone",
        ),
        (
            r#"{"ErrorResponse":{"Error":{"Code":"QueueDoesNotExist","Message":"gone"},"RequestId":"i"}}"#,
            "gone",
        ),
        (r#"{"error":{"code":"QueueDoesNotExist","message":"gone"}}"#, "gone"),
    ] {
        let error = decode::<SendMessage>(Wire::Json, 400, body).unwrap_err();
        assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist), "{body}");
        assert_eq!(error.message(), message, "{body}");
        assert!(error.is_sender_fault(), "{body}");
    }
    let error = decode::<SendMessage>(Wire::Json, 500, r#"{"__type":"Receiver","message":"oops"}"#).unwrap_err();
    assert_eq!(error.code().unwrap().as_str(), "Receiver");
    assert!(!error.is_sender_fault());
}

#[test]
fn a_long_explanation_is_cut_off() {
    let long = "é".repeat(1024 * 1024);
    let error = |body: String| decode::<SendMessage>(Wire::Json, 400, &body).unwrap_err();
    for error in [
        error(format!(r#"{{"__type":"QueueDoesNotExist","message":"{long}"}}"#)),
        error(format!(r#"{{"__type":"{long}","message":"why"}}"#)),
        error(format!("<Error><Code>{long}</Code><Message>{long}</Message></Error>")),
        error(format!(
            "<ErrorResponse><Error><Code>a</Code></Error><RequestId>{long}</RequestId></ErrorResponse>"
        )),
        error(long.clone()),
    ] {
        let (shown, debug) = (error.to_string(), format!("{error:?}"));
        assert!(
            shown.len() <= 8 * 1024 && debug.len() <= 8 * 1024,
            "{} {}",
            shown.len(),
            debug.len()
        );
    }
    let entry = format!(r#"{{"Failed":[{{"Id":"a","Code":"{long}","Message":"{long}"}}]}}"#);
    let output = decode::<SendMessageBatch>(Wire::Json, 200, &entry).unwrap();
    let failed = &output.failed[0];
    assert!(failed.message.as_deref().unwrap().len() <= 4 * 1024 + 3);
    assert!(
        crate::Error::entry(failed.code.clone(), failed.message.as_deref(), failed.sender_fault)
            .to_string()
            .len()
            <= 8 * 1024
    );
}

#[test]
fn an_unreadable_queue_attribute_is_named_and_not_quoted() {
    let body = r#"{"Attributes":{"RedrivePolicy":{"deadLetterTargetArn":"arn","maxReceiveCount":"5"}}}"#;
    let policy = decode::<GetQueueAttributes>(Wire::Json, 200, body)
        .unwrap()
        .attributes
        .redrive_policy;
    assert_eq!(policy.map(|policy| policy.max_receive_count), Some(5));
    for (name, value) in [
        ("VisibilityTimeout", r#""secret""#),
        ("QueueArn", r#"{"secret":1}"#),
        ("Policy", r#"["secret"]"#),
        ("RedrivePolicy", r#"{"secret":1}"#),
    ] {
        let body = format!(r#"{{"Attributes":{{"DelaySeconds":"0","{name}":{value},"Novel":{{}}}}}}"#);
        let error = decode::<GetQueueAttributes>(Wire::Json, 200, &body).unwrap_err();
        let said = format!("{error:?}");
        assert!(
            said.contains(&format!("the queue attribute {name} could not")),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
    }
}
