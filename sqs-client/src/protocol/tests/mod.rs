//! Tests of each action's wire formats against handwritten bodies with the names of the service model.

mod corpus;
mod lenient;
mod model;
mod recorded;
mod rejected;

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use serde::de::DeserializeOwned;

use crate::client::Request;
use crate::operation::{
    CancelMessageMoveTask, ChangeMessageVisibilityBatch, ListDeadLetterSourceQueues, ListMessageMoveTasks,
    ListQueueTags, ListQueues, Operation, ReceiveMessage, StartMessageMoveTask, TagQueue,
};
use crate::protocol::{Response, Wire};
use crate::types::{
    ChangeMessageVisibilityBatchEntry, DeleteMessageBatchEntry, MessageAttributeValue, MessageMoveTaskStatus,
    MessageSystemAttributeName, QueueAttributeName, RedrivePolicy, SendMessageBatchEntry,
};
use crate::{Client, Credentials, ErrorCode, OutgoingMessage, QueueAttributes};

const QUEUE: &str = "http://h/1/q";
const ARN: &str = "arn:aws:sqs:r:1:q";

fn client() -> Client {
    let client = Client::builder()
        .region("us-east-1")
        .credentials(Credentials::new("k", "s"));
    client.build().unwrap()
}

/// Checks that the request is valid, has this form in the Query protocol, and survives a round trip through JSON.
fn sends<Op: Operation + DeserializeOwned + PartialEq + Debug>(request: Request<Op>, form: &str) {
    let input = request.input();
    input.validate().unwrap();
    let encoded = Wire::Query.encode(input).unwrap();
    let expected = format!("Action={}&Version=2012-11-05{form}", Op::NAME);
    assert_eq!(std::str::from_utf8(&encoded).unwrap(), expected);
    let json = Wire::Json.encode(input).unwrap();
    assert_eq!(&serde_json::from_slice::<Op>(&json).unwrap(), input, "{json:?}");
}

/// Checks a request that has every member of the service model. See [`sends`].
fn sends_all<Op: Operation + DeserializeOwned + PartialEq + Debug>(request: Request<Op>, form: &str) {
    model::has_every_member(Op::NAME, &serde_json::to_value(request.input()).unwrap());
    sends(request, form);
}

fn message() -> OutgoingMessage {
    OutgoingMessage::new("a b")
        .delay(Duration::from_secs(5))
        .message_attribute("n", MessageAttributeValue::number(1))
        .trace_header("Root=1")
        .message_deduplication_id("d")
        .message_group_id("g")
}

fn attributes() -> QueueAttributes {
    QueueAttributes {
        visibility_timeout: Some(Duration::from_secs(60)),
        redrive_policy: Some(RedrivePolicy::new(ARN, 3)),
        ..QueueAttributes::default().high_throughput_fifo()
    }
}

const MESSAGE_FORM: [&str; 9] = [
    "MessageBody=a+b",
    "DelaySeconds=5",
    "MessageAttribute.1.Name=n",
    "MessageAttribute.1.Value.DataType=Number",
    "MessageAttribute.1.Value.StringValue=1",
    "MessageSystemAttribute.1.Name=AWSTraceHeader",
    "MessageSystemAttribute.1.Value.DataType=String",
    "MessageSystemAttribute.1.Value.StringValue=Root%3D1",
    "MessageDeduplicationId=d&MessageGroupId=g",
];

const ATTRIBUTES_FORM: &str = "&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=60\
    &Attribute.2.Name=RedrivePolicy\
    &Attribute.2.Value=%7B%22deadLetterTargetArn%22%3A%22arn%3Aaws%3Asqs%3Ar%3A1%3Aq%22%2C%22maxReceiveCount%22%3A3%7D\
    &Attribute.3.Name=DeduplicationScope&Attribute.3.Value=messageGroup\
    &Attribute.4.Name=FifoThroughputLimit&Attribute.4.Value=perMessageGroupId";

#[test]
fn every_action_has_its_query_form() {
    let c = client();
    let queue = "&QueueUrl=http%3A%2F%2Fh%2F1%2Fq";
    let arn = "arn%3Aaws%3Asqs%3Ar%3A1%3Aq";
    let of_queue = |rest: &str| format!("{queue}{rest}");
    let minute = Duration::from_secs(60);
    sends_all(
        c.add_permission(QUEUE, "l", ["111122223333", "2"], ["SendMessage", "*"]),
        &of_queue("&Label=l&AWSAccountId.1=111122223333&AWSAccountId.2=2&ActionName.1=SendMessage&ActionName.2=*"),
    );
    sends_all(c.cancel_message_move_task("h="), "&TaskHandle=h%3D");
    sends_all(
        c.change_message_visibility(QUEUE, "h", Duration::ZERO),
        &of_queue("&ReceiptHandle=h&VisibilityTimeout=0"),
    );
    let entries = [("a", minute), ("b", Duration::ZERO)];
    sends_all(
        c.change_message_visibility_batch(
            QUEUE,
            entries.map(|(id, timeout)| ChangeMessageVisibilityBatchEntry::new(id, "h", timeout)),
        ),
        &of_queue(
            "&ChangeMessageVisibilityBatchRequestEntry.1.Id=a\
             &ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle=h\
             &ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout=60\
             &ChangeMessageVisibilityBatchRequestEntry.2.Id=b\
             &ChangeMessageVisibilityBatchRequestEntry.2.ReceiptHandle=h\
             &ChangeMessageVisibilityBatchRequestEntry.2.VisibilityTimeout=0",
        ),
    );
    sends_all(
        c.create_queue("q").attributes(attributes()).tag("k", "v"),
        &format!("&QueueName=q{ATTRIBUTES_FORM}&Tag.1.Key=k&Tag.1.Value=v"),
    );
    sends_all(c.delete_message(QUEUE, "h"), &of_queue("&ReceiptHandle=h"));
    sends_all(
        c.delete_message_batch(QUEUE, [DeleteMessageBatchEntry::new("a", "h")]),
        &of_queue("&DeleteMessageBatchRequestEntry.1.Id=a&DeleteMessageBatchRequestEntry.1.ReceiptHandle=h"),
    );
    sends_all(c.delete_queue(QUEUE), queue);
    sends_all(
        c.get_queue_attributes(QUEUE, [QueueAttributeName::All, QueueAttributeName::QueueArn]),
        &of_queue("&AttributeName.1=All&AttributeName.2=QueueArn"),
    );
    sends_all(
        c.get_queue_url("q").queue_owner_aws_account_id("1"),
        "&QueueName=q&QueueOwnerAWSAccountId=1",
    );
    sends_all(
        c.list_dead_letter_source_queues(QUEUE).next_token("t").max_results(5),
        &of_queue("&NextToken=t&MaxResults=5"),
    );
    sends_all(
        c.list_message_move_tasks(ARN).max_results(10),
        &format!("&SourceArn={arn}&MaxResults=10"),
    );
    sends_all(c.list_queue_tags(QUEUE), queue);
    sends_all(
        c.list_queues()
            .queue_name_prefix("p")
            .next_token("t")
            .max_results(1_000),
        "&QueueNamePrefix=p&NextToken=t&MaxResults=1000",
    );
    sends_all(c.purge_queue(QUEUE), queue);
    sends_all(
        c.receive_message(QUEUE)
            .message_system_attribute_names([MessageSystemAttributeName::SenderId])
            .message_attribute_names(["a", "b.*"])
            .max_messages(10)
            .visibility_timeout(Duration::ZERO)
            .wait_time(Duration::from_secs(20))
            .receive_request_attempt_id("r"),
        &of_queue(
            "&AttributeName.1=SenderId&MessageAttributeName.1=a&MessageAttributeName.2=b.*\
             &MaxNumberOfMessages=10&VisibilityTimeout=0&WaitTimeSeconds=20&ReceiveRequestAttemptId=r",
        ),
    );
    sends_all(c.remove_permission(QUEUE, "l"), &of_queue("&Label=l"));
    sends_all(
        c.send_message(QUEUE, message()),
        &of_queue(&format!("&{}", MESSAGE_FORM.join("&"))),
    );
    let entry = "&SendMessageBatchRequestEntry.1.";
    let members = MESSAGE_FORM
        .join(entry)
        .replace("&MessageGroupId", &format!("{entry}MessageGroupId"));
    sends_all(
        c.send_message_batch(QUEUE, [SendMessageBatchEntry::new("a", message())]),
        &of_queue(&format!("{entry}Id=a{entry}{members}")),
    );
    sends_all(c.set_queue_attributes(QUEUE, attributes()), &of_queue(ATTRIBUTES_FORM));
    sends_all(
        c.start_message_move_task(ARN)
            .destination_arn(ARN)
            .max_number_of_messages_per_second(500),
        &format!("&SourceArn={arn}&DestinationArn={arn}&MaxNumberOfMessagesPerSecond=500"),
    );
    sends_all(
        c.tag_queue(QUEUE, [("k", "v"), ("l", "")]),
        &of_queue("&Tag.1.Key=k&Tag.1.Value=v&Tag.2.Key=l&Tag.2.Value="),
    );
    sends_all(c.untag_queue(QUEUE, ["k", "l"]), &of_queue("&TagKey.1=k&TagKey.2=l"));
}

/// Servers from before 2024 know only the older member.
#[test]
fn a_receive_requests_system_attributes_by_both_names() {
    let request = client()
        .receive_message(QUEUE)
        .message_system_attribute_names([MessageSystemAttributeName::MessageGroupId]);
    let json: serde_json::Value = serde_json::from_slice(&Wire::Json.encode(request.input()).unwrap()).unwrap();
    for name in ["MessageSystemAttributeNames", "AttributeNames"] {
        assert_eq!(json[name], serde_json::json!(["MessageGroupId"]), "{name}");
    }
    sends(
        request,
        "&QueueUrl=http%3A%2F%2Fh%2F1%2Fq&AttributeName.1=MessageGroupId",
    );
}

#[test]
fn unset_members_are_not_sent() {
    let c = client();
    sends(c.list_queues(), "");
    sends(c.start_message_move_task("a"), "&SourceArn=a");
    sends(c.list_message_move_tasks("a"), "&SourceArn=a");
    sends(c.list_dead_letter_source_queues("q"), "&QueueUrl=q");
    let empty = Wire::Json.encode(c.list_queues().input()).unwrap();
    assert_eq!(&empty[..], b"{}");
}

fn read<Op: Operation>(protocol: Wire, body: String) -> Op::Output {
    let response = Response {
        status: 200,
        headers: HeaderMap::new(),
        body: Bytes::from(body),
    };
    protocol.decode::<Op>(&response).unwrap()
}

/// Returns the output of these responses in JSON and XML, which must be the same.
fn reads_alike<Op: Operation>(json: &str, xml: &str) -> Op::Output
where
    Op::Output: PartialEq + Debug,
{
    let name = Op::NAME;
    let output = read::<Op>(Wire::Json, json.to_owned());
    let document = format!(
        "<?xml version=\"1.0\"?><{name}Response xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">\
         <{name}Result>{xml}</{name}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{name}Response>"
    );
    assert_eq!(read::<Op>(Wire::Query, document), output, "{name}");
    output
}

#[test]
fn responses_are_read_alike_in_both_protocols() {
    let output = reads_alike::<ListQueues>(
        r#"{"QueueUrls":["http://h/1/a","http://h/1/b"],"NextToken":"t"}"#,
        "<QueueUrl>http://h/1/a</QueueUrl><QueueUrl>http://h/1/b</QueueUrl><NextToken>t</NextToken>",
    );
    assert_eq!((output.queue_urls.len(), output.next_token.as_deref()), (2, Some("t")));
    let output = reads_alike::<ListDeadLetterSourceQueues>(
        r#"{"queueUrls":["http://h/1/a"],"NextToken":"t"}"#,
        "<QueueUrl>http://h/1/a</QueueUrl><NextToken>t</NextToken>",
    );
    assert_eq!((output.queue_urls.len(), output.next_token.as_deref()), (1, Some("t")));
    let output = reads_alike::<ListQueueTags>(
        r#"{"Tags":{"k":"v & w","l":""}}"#,
        "<Tag><Key>k</Key><Value>v &amp; w</Value></Tag><Tag><Key>l</Key><Value/></Tag>",
    );
    assert_eq!(output.tags["k"], "v & w");
    let output = reads_alike::<StartMessageMoveTask>(r#"{"TaskHandle":"h"}"#, "<TaskHandle>h</TaskHandle>");
    assert_eq!(output.task_handle, "h");
    let output = reads_alike::<CancelMessageMoveTask>(
        r#"{"ApproximateNumberOfMessagesMoved":7}"#,
        "<ApproximateNumberOfMessagesMoved>7</ApproximateNumberOfMessagesMoved>",
    );
    assert_eq!(output.approximate_number_of_messages_moved, 7);
    let output = reads_alike::<ChangeMessageVisibilityBatch>(
        r#"{"Successful":[{"Id":"a"}],
            "Failed":[{"Id":"b","SenderFault":true,"Code":"ReceiptHandleIsInvalid","Message":"no"}]}"#,
        "<ChangeMessageVisibilityBatchResultEntry><Id>a</Id></ChangeMessageVisibilityBatchResultEntry>\
         <BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault><Code>ReceiptHandleIsInvalid</Code>\
         <Message>no</Message></BatchResultErrorEntry>",
    );
    assert_eq!(output.successful[0].id, "a");
    assert_eq!(output.failed[0].code, ErrorCode::ReceiptHandleIsInvalid);
    reads_alike::<TagQueue>("{}", "");
}

#[test]
fn a_move_task_is_read_in_both_protocols() {
    let output = reads_alike::<ListMessageMoveTasks>(
        r#"{"Results":[
            {"Status":"RUNNING","TaskHandle":"h","SourceArn":"s","DestinationArn":"d",
             "MaxNumberOfMessagesPerSecond":5,"ApproximateNumberOfMessagesMoved":1,
             "ApproximateNumberOfMessagesToMove":3,"StartedTimestamp":1442428276921},
            {"Status":"PAUSED","SourceArn":"s","ApproximateNumberOfMessagesMoved":0,"FailureReason":"why",
             "StartedTimestamp":1}]}"#,
        "<ListMessageMoveTasksResultEntry><Status>RUNNING</Status><TaskHandle>h</TaskHandle><SourceArn>s</SourceArn>\
         <DestinationArn>d</DestinationArn><MaxNumberOfMessagesPerSecond>5</MaxNumberOfMessagesPerSecond>\
         <ApproximateNumberOfMessagesMoved>1</ApproximateNumberOfMessagesMoved>\
         <ApproximateNumberOfMessagesToMove>3</ApproximateNumberOfMessagesToMove>\
         <StartedTimestamp>1442428276921</StartedTimestamp></ListMessageMoveTasksResultEntry>\
         <ListMessageMoveTasksResultEntry><Status>PAUSED</Status><SourceArn>s</SourceArn>\
         <ApproximateNumberOfMessagesMoved>0</ApproximateNumberOfMessagesMoved><FailureReason>why</FailureReason>\
         <StartedTimestamp>1</StartedTimestamp></ListMessageMoveTasksResultEntry>",
    );
    let [running, unknown] = &output.results[..] else {
        panic!("{output:?}");
    };
    let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_442_428_276_921);
    assert_eq!(running.started_timestamp, Some(started));
    assert_eq!(running.approximate_number_of_messages_to_move, Some(3));
    assert_eq!(unknown.status, MessageMoveTaskStatus::Other("PAUSED".to_owned()));
    assert_eq!((&unknown.task_handle, &unknown.destination_arn), (&None, &None));
    // The output survives a round trip.
    let json = serde_json::to_string(&output).unwrap();
    assert_eq!(read::<ListMessageMoveTasks>(Wire::Json, json), output);
}

#[test]
fn an_output_without_members_is_empty() {
    assert!(reads_alike::<ListQueues>("{}", "").queue_urls.is_empty());
    assert!(
        reads_alike::<ListDeadLetterSourceQueues>("{}", "")
            .queue_urls
            .is_empty()
    );
    assert!(reads_alike::<ListQueueTags>("{}", "").tags.is_empty());
    assert!(reads_alike::<ListMessageMoveTasks>("{}", "").results.is_empty());
    assert!(
        reads_alike::<ChangeMessageVisibilityBatch>("{}", "")
            .successful
            .is_empty()
    );
    assert_eq!(
        reads_alike::<CancelMessageMoveTask>("", "").approximate_number_of_messages_moved,
        0
    );
}

#[test]
fn an_unreadable_response_is_not_quoted() {
    for (protocol, body) in [
        (Wire::Json, r#"{"Messages":"hidden"}"#),
        (Wire::Json, r#"{"Messages":[{"Body":"hidden"},]}"#),
        (Wire::Json, r#"{"Messages":[{"Body":5}]}hidden"#),
        (Wire::Json, "hidden"),
        (Wire::Query, "<ReceiveMessageResponse>hidden"),
        (Wire::Query, "<ReceiveMessageResponse><hidden></ReceiveMessageResponse>"),
        (Wire::Query, "<ReceiveMessageResponse>&hidden;</ReceiveMessageResponse>"),
        (
            Wire::Query,
            "<ReceiveMessageResponse><ReceiveMessageResult>&hidden;</ReceiveMessageResult></ReceiveMessageResponse>",
        ),
    ] {
        let response = Response {
            status: 200,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let error = protocol.decode::<ReceiveMessage>(&response).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Response);
        assert!(error.may_have_been_sent());
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    }
}
