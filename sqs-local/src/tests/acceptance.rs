//! Requests that AWS accepts, in all the forms that programs send them.

use serde_json::{Value, json};

use super::client::{Client, Response};
use super::{create, server};
use crate::{AccessKey, Action, LocalSqs};

const QUERY_ERROR: &str = "x-amzn-query-error";

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

/// A URL presigned by botocore's `SigV4QueryAuth`, at 2015-08-30 12:36 for 60 seconds.
const PRESIGNED: &str = "/000000000000/orders?Action=SendMessage&MessageBody=a%20b%2Bc%2F%C3%A9&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fsqs%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=a6639bfd23b841540410a2734e4af1efeaff016e91fb424974f73567b0a29bf5";
const PRESIGNED_AT: i64 = 1_440_938_160;

#[tokio::test]
async fn a_presigned_url_is_accepted_until_it_expires() {
    let key = AccessKey::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let server = LocalSqs::builder().strict(true).access_key(key).start().await;
    let server = server.expect("a port");
    server.create_queue("orders").expect("a queue");
    let mut client = Client::new(&server);
    client.host = "localhost:9324".into();
    let now = i64::try_from(server.clock().now().wall_ms / 1000).expect("a time");
    server.clock().set_skew_seconds(PRESIGNED_AT - now + 30);
    let response = client.get(PRESIGNED, &[]).await;
    assert_eq!(response.status, 200, "{}", text(&response));
    let messages = server.queue("orders").expect("the queue").messages();
    assert_eq!(messages[0].body, "a b+c/é");
    server.clock().set_skew_seconds(PRESIGNED_AT - now + 90);
    let response = client.get(PRESIGNED, &[]).await;
    assert_eq!(response.status, 403);
    assert!(text(&response).contains("Signature expired"), "{}", text(&response));
}

#[tokio::test]
async fn a_query_request_needs_no_version() {
    let server = server().await;
    let mut client = Client::new(&server);
    let (status, xml) = client.query("/", "Action=CreateQueue&QueueName=orders").await;
    assert_eq!(status, 200, "{xml}");
    let (status, xml) = client.query("/", "Action=ListQueues&Version=2000-01-01").await;
    assert_eq!(status, 400);
    assert!(xml.contains("<Code>NoSuchVersion</Code>"), "{xml}");
}

#[tokio::test]
async fn a_queue_may_be_named_without_its_url() {
    let server = server().await;
    let mut client = Client::new(&server);
    create(&mut client, "orders", json!({})).await;
    let send = |url: &str| json!({"QueueUrl": url, "MessageBody": "m"});
    client.ok("SendMessage", send("orders")).await;
    let base = server.endpoint();
    for url in [
        base.clone(),
        format!("{base}/"),
        format!("{base}/orders"),
        "none".into(),
    ] {
        let response = client.json("SendMessage", send(&url)).await;
        assert_eq!(response.status, 400, "{url}");
        assert_eq!(
            response.header(QUERY_ERROR),
            "AWS.SimpleQueueService.NonExistentQueue;Sender"
        );
    }
}

#[tokio::test]
async fn booleans_may_be_capitalized() {
    let server = server().await;
    let mut client = Client::new(&server);
    let given = json!({"FifoQueue": "True", "ContentBasedDeduplication": "True"});
    let url = create(&mut client, "o.fifo", given.clone()).await;
    assert_eq!(create(&mut client, "o.fifo", given).await, url);
    let set = json!({"QueueUrl": url, "Attributes": {"ContentBasedDeduplication": "False"}});
    client.ok("SetQueueAttributes", set).await;
    let ask = json!({"QueueUrl": url, "AttributeNames": ["FifoQueue", "ContentBasedDeduplication"]});
    let shown = client.ok("GetQueueAttributes", ask).await;
    assert_eq!(
        shown["Attributes"],
        json!({"FifoQueue": "true", "ContentBasedDeduplication": "false"})
    );
}

#[tokio::test]
async fn an_empty_list_of_entries_is_an_empty_batch() {
    let server = server().await;
    let mut client = Client::new(&server);
    create(&mut client, "orders", json!({})).await;
    for list in ["Entries=", "SendMessageBatchRequestEntry=", "Colour=red"] {
        let form = format!("Action=SendMessageBatch&{list}");
        let (status, xml) = client.query("/000000000000/orders", &form).await;
        assert_eq!(status, 400);
        assert!(
            xml.contains("AWS.SimpleQueueService.EmptyBatchRequest"),
            "{list}: {xml}"
        );
    }
}

#[tokio::test]
async fn message_attribute_names_may_have_latin_letters() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let attributes = |name: &str| json!({name: {"DataType": "String", "StringValue": "x"}});
    let send = |name| json!({"QueueUrl": url, "MessageBody": "m", "MessageAttributes": attributes(name)});
    client.ok("SendMessage", send("Größe")).await;
    let ask = json!({"QueueUrl": url, "MessageAttributeNames": ["All"]});
    let received = client.ok("ReceiveMessage", ask).await;
    assert_eq!(received["Messages"][0]["MessageAttributes"], attributes("Größe"));
    let response = client.json("SendMessage", send("名前")).await;
    assert_eq!(response.header(QUERY_ERROR), "InvalidParameterValue;Sender");
}

#[tokio::test]
async fn only_a_strict_server_refuses_unknown_members_and_media_type_parameters() {
    for strict in [false, true] {
        let server = LocalSqs::builder().strict(strict).start().await.expect("a port");
        let mut client = Client::new(&server);
        let status = if strict { 400 } else { 200 };
        let response = client.json("ListQueues", json!({"Colour": "red"})).await;
        assert_eq!(response.status, status);
        let (xml_status, _) = client.query("/", "Action=ListQueues&Colour=red").await;
        assert_eq!(xml_status, status);
        let headers = [
            ("content-type", "Application/x-amz-json-1.0; charset=utf-8"),
            ("x-amz-target", "AmazonSQS.ListQueues"),
        ];
        let response = client.post("/", &headers, b"{}").await.expect("a response");
        assert_eq!(response.status, status);
        client.ok("ListQueues", json!({})).await;
    }
}

/// The form of the responses is that of AWS's own, as API Gateway passes them on.
#[tokio::test]
async fn a_query_request_may_ask_for_json() {
    let server = server().await;
    let mut client = Client::new(&server);
    server.create_queue("orders").expect("a queue");
    // Axios sends more than one type.
    let json = [("accept", "application/json, text/plain, */*")];
    let sent = client
        .get("/000000000000/orders?Action=SendMessage&MessageBody=test", &json)
        .await;
    assert_eq!((sent.status, sent.header("content-type")), (200, "application/json"));
    let result = &sent.json()["SendMessageResponse"]["SendMessageResult"];
    assert_eq!(result["MD5OfMessageBody"], "098f6bcd4621d373cade4e832627b4f6");
    assert!(result.as_object().expect("a result")["SequenceNumber"].is_null());
    let path = "/000000000000/orders?Action=GetQueueAttributes&AttributeName.1=QueueArn";
    let shown = client.get(path, &json).await.json();
    assert_eq!(
        shown["GetQueueAttributesResponse"]["GetQueueAttributesResult"]["Attributes"],
        json!([{"Name": "QueueArn", "Value": server.queue_arn("orders")}])
    );
    let refused = client.get("/000000000000/orders?Action=ListQueues", &json).await;
    assert_eq!(refused.status, 400);
    let error = json!({"Code": "InvalidAction", "Message": "The action ListQueues is not valid for this endpoint.", "Type": "Sender"});
    assert_eq!(refused.json()["Error"], error);
}

#[tokio::test]
async fn a_queue_url_without_an_action_is_an_unknown_operation() {
    let server = server().await;
    let mut client = Client::new(&server);
    server.create_queue("orders").expect("a queue");
    for headers in [&[][..], &[("accept", "application/json")]] {
        let response = client.get("/000000000000/orders", headers).await;
        assert_eq!(response.status, 404);
        assert_eq!(text(&response), "<UnknownOperationException/>");
    }
}

#[tokio::test]
async fn queues_are_not_created_or_listed_at_a_queue_url() {
    let server = server().await;
    let mut client = Client::new(&server);
    server.create_queue("orders").expect("a queue");
    for form in ["Action=CreateQueue&QueueName=other", "Action=ListQueues"] {
        let (status, xml) = client.query("/000000000000/orders", form).await;
        assert_eq!(status, 400);
        assert!(xml.contains("<Code>InvalidAction</Code>"), "{xml}");
        let (status, xml) = client.query("/", form).await;
        assert_eq!(status, 200, "{xml}");
    }
    let (status, _) = client
        .query("/000000000000/orders", "Action=GetQueueUrl&QueueName=other")
        .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_trace_header_of_a_request_is_that_of_its_messages() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let own = json!({"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=2"}});
    let one = json!({"QueueUrl": url, "MessageBody": "0"});
    let batch = json!({"QueueUrl": url, "Entries": [
        {"Id": "1", "MessageBody": "1"},
        {"Id": "2", "MessageBody": "2", "MessageSystemAttributes": own},
    ]});
    for (target, input) in [("AmazonSQS.SendMessage", one), ("AmazonSQS.SendMessageBatch", batch)] {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", target),
            ("x-amzn-trace-id", "Root=1"),
        ];
        let body = input.to_string();
        let sent = client.post("/", &headers, body.as_bytes()).await.expect("a response");
        assert_eq!(sent.status, 200, "{}", text(&sent));
        // The client did not send the attribute, and so cannot check its digest.
        assert!(sent.json()["MD5OfMessageSystemAttributes"].is_null());
    }
    client
        .ok("SendMessage", json!({"QueueUrl": url, "MessageBody": "3"}))
        .await;
    let ask = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["AWSTraceHeader"]});
    let received = client.ok("ReceiveMessage", ask).await;
    let messages = received["Messages"].as_array().expect("messages");
    let traces: Vec<&Value> = messages.iter().map(|m| &m["Attributes"]["AWSTraceHeader"]).collect();
    assert_eq!(
        traces,
        [&json!("Root=1"), &json!("Root=1"), &json!("Root=2"), &Value::Null]
    );
    assert_eq!(server.count(Action::SendMessage), 2);
}
