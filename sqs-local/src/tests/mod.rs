//! Tests of the server over a socket, with signed requests in both protocols.

mod acceptance;
mod behaviour;
mod choices;
mod client;
mod codes;
mod local;
mod model;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use self::client::Client;
use super::*;

async fn server() -> LocalSqs {
    LocalSqs::start().await.expect("a port")
}

/// Creates a queue and returns its URL.
async fn create(client: &mut Client, name: &str, attributes: Value) -> String {
    let input = json!({"QueueName": name, "Attributes": attributes});
    let response = client.ok("CreateQueue", input).await;
    response["QueueUrl"].as_str().expect("a URL").to_owned()
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    assert_eq!(url, server.queue_url("orders"));
    let sent = client
        .ok("SendMessage", json!({"QueueUrl": url, "MessageBody": "test"}))
        .await;
    assert_eq!(sent["MD5OfMessageBody"], "098f6bcd4621d373cade4e832627b4f6");
    let ask = json!({"QueueUrl": url, "MessageSystemAttributeNames": ["ApproximateReceiveCount"]});
    let received = client.ok("ReceiveMessage", ask.clone()).await;
    let message = &received["Messages"][0];
    assert_eq!(message["MessageId"], sent["MessageId"]);
    assert_eq!(message["Attributes"], json!({"ApproximateReceiveCount": "1"}));
    assert_eq!(client.ok("ReceiveMessage", ask).await, json!({}));
    let handle = &message["ReceiptHandle"];
    assert_eq!(
        client
            .ok("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": handle}))
            .await,
        Value::Null
    );
    assert!(server.queue("orders").expect("the queue").is_empty());
    assert_eq!(server.count(Action::ReceiveMessage), 2);
}

#[tokio::test]
async fn both_protocols_see_the_same_queues() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let path = url
        .strip_prefix(&server.endpoint())
        .expect("the server's URL")
        .to_owned();
    let (status, xml) = client
        .query(&path, "Action=SendMessage&Version=2012-11-05&MessageBody=a%26b")
        .await;
    assert_eq!(status, 200, "{xml}");
    assert!(xml.contains("<SendMessageResult><MD5OfMessageBody>"), "{xml}");
    let (_, xml) = client
        .query("/", &format!("Action=ReceiveMessage&Version=2012-11-05&QueueUrl={url}"))
        .await;
    assert!(xml.contains("<Body>a&amp;b</Body>"), "{xml}");
    let (status, xml) = client
        .query("/", "Action=GetQueueUrl&Version=2012-11-05&QueueName=none")
        .await;
    assert_eq!(status, 400);
    assert!(
        xml.contains("The specified queue does not exist for this wsdl version."),
        "{xml}"
    );
}

#[tokio::test]
async fn errors_have_the_codes_of_both_protocols() {
    let server = server().await;
    let mut client = Client::new(&server);
    let response = client.json("GetQueueUrl", json!({"QueueName": "none"})).await;
    assert_eq!(response.status, 400);
    assert_eq!(response.json()["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    assert_eq!(
        response.header("x-amzn-query-error"),
        "AWS.SimpleQueueService.NonExistentQueue;Sender"
    );
    assert_eq!(response.header("x-amzn-requestid").len(), 36);
}

#[tokio::test]
async fn a_strict_server_refuses_unauthenticated_requests() {
    let server = LocalSqs::builder().strict(true).start().await.expect("a port");
    let mut client = Client::new(&server);
    client.secret = "wrong".into();
    let response = client.json("ListQueues", json!({})).await;
    assert_eq!(
        (response.status, response.header("x-amzn-query-error")),
        (403, "SignatureDoesNotMatch;Sender")
    );
    server.keys().add(AccessKey::new("test", "wrong"));
    client.ok("ListQueues", json!({})).await;
    server.clock().set_skew_seconds(1200);
    let response = client.json("ListQueues", json!({})).await;
    assert!(
        response.json()["message"]
            .as_str()
            .is_some_and(|m| m.starts_with("Signature expired"))
    );
    server.keys().expire("test");
    let response = client.json("ListQueues", json!({})).await;
    assert_eq!(response.header("x-amzn-query-error"), "ExpiredToken;Sender");
}

#[tokio::test]
async fn a_long_poll_is_woken_by_an_arrival() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let mut other = Client::new(&server);
    let ask = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let begun = Instant::now();
    let poll = tokio::spawn(async move { other.ok("ReceiveMessage", ask).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    client
        .ok(
            "SendMessage",
            json!({"QueueUrl": url, "MessageBody": "m", "DelaySeconds": 1}),
        )
        .await;
    let received = poll.await.expect("no response");
    assert_eq!(received["Messages"][0]["Body"], "m");
    assert!((1..3).contains(&begun.elapsed().as_secs()));
}

#[tokio::test]
async fn a_poll_receives_nothing_after_its_client_disconnects() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let mut gone = Client::new(&server);
    let ask = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let poll = gone.json("ReceiveMessage", ask);
    assert!(tokio::time::timeout(Duration::from_millis(50), poll).await.is_err());
    drop(gone);
    tokio::time::sleep(Duration::from_millis(50)).await;
    client
        .ok("SendMessage", json!({"QueueUrl": url, "MessageBody": "m"}))
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.queue("orders").expect("the queue").counts().visible, 1);
}

#[tokio::test]
async fn fifo_queues_deduplicate_and_number_messages() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(
        &mut client,
        "o.fifo",
        json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"}),
    )
    .await;
    let send = |body: &str| json!({"QueueUrl": url, "MessageBody": body, "MessageGroupId": "g"});
    let first = client.ok("SendMessage", send("a")).await;
    let again = client.ok("SendMessage", send("a")).await;
    let second = client.ok("SendMessage", send("b")).await;
    assert_eq!(first["MessageId"], again["MessageId"]);
    assert!(first["SequenceNumber"].as_str() < second["SequenceNumber"].as_str());
    let ask = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "ReceiveRequestAttemptId": "try"});
    let received = client.ok("ReceiveMessage", ask.clone()).await;
    assert_eq!(received["Messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(client.ok("ReceiveMessage", ask).await, received);
    let refused = client
        .json("SendMessage", json!({"QueueUrl": url, "MessageBody": "c"}))
        .await;
    assert_eq!(
        refused.json()["message"],
        "The request must contain the parameter MessageGroupId."
    );
}

/// Recorded from AWS: an id counts for the scope that was in force when it was sent.
#[tokio::test]
async fn the_deduplication_scope_may_change() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "o.fifo", json!({"FifoQueue": "true"})).await;
    for (group, scope, kept) in [("a", "queue", 1), ("b", "queue", 1), ("b", "messageGroup", 1)] {
        let set = json!({"QueueUrl": url, "Attributes": {"DeduplicationScope": scope}});
        client.ok("SetQueueAttributes", set).await;
        let send = json!({"QueueUrl": url, "MessageBody": "m", "MessageGroupId": group, "MessageDeduplicationId": "1"});
        client.ok("SendMessage", send).await;
        assert_eq!(server.queue("o.fifo").expect("the queue").len(), kept);
    }
    for (group, kept) in [("a", 2), ("b", 3), ("a", 3)] {
        let send = json!({"QueueUrl": url, "MessageBody": "m", "MessageGroupId": group, "MessageDeduplicationId": "2"});
        client.ok("SendMessage", send).await;
        assert_eq!(server.queue("o.fifo").expect("the queue").len(), kept);
    }
}

#[tokio::test]
async fn dead_letters_are_moved_and_moved_back() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create(&mut client, "dead", json!({})).await;
    let policy = json!({"deadLetterTargetArn": server.queue_arn("dead"), "maxReceiveCount": 1}).to_string();
    let url = create(&mut client, "orders", json!({"RedrivePolicy": policy})).await;
    let sources = client.ok("ListDeadLetterSourceQueues", json!({"QueueUrl": dead})).await;
    assert_eq!(sources["queueUrls"], json!([url]));
    client
        .ok("SendMessage", json!({"QueueUrl": url, "MessageBody": "m"}))
        .await;
    client
        .ok("ReceiveMessage", json!({"QueueUrl": url, "VisibilityTimeout": 0}))
        .await;
    assert_eq!(client.ok("ReceiveMessage", json!({"QueueUrl": url})).await, json!({}));
    let ask = json!({"QueueUrl": dead, "VisibilityTimeout": 0, "AttributeNames": ["All"]});
    let received = client.ok("ReceiveMessage", ask).await;
    let attributes = &received["Messages"][0]["Attributes"];
    assert_eq!(attributes["ApproximateReceiveCount"], "2");
    assert_eq!(attributes["DeadLetterQueueSourceArn"], server.queue_arn("orders"));

    let source = server.queue_arn("dead");
    client.ok("StartMessageMoveTask", json!({"SourceArn": source})).await;
    while !server.queue("dead").expect("the queue").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let tasks = client.ok("ListMessageMoveTasks", json!({"SourceArn": source})).await;
    assert_eq!(tasks["Results"][0]["Status"], "COMPLETED");
    assert_eq!(tasks["Results"][0]["ApproximateNumberOfMessagesMoved"], 1);
    let back = server.queue("orders").expect("the queue").messages();
    assert_eq!((back.len(), back[0].receives), (1, 0));
}

#[tokio::test]
async fn a_slow_move_task_can_be_canceled() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create(&mut client, "dead", json!({})).await;
    let policy = json!({"deadLetterTargetArn": server.queue_arn("dead"), "maxReceiveCount": 1}).to_string();
    create(&mut client, "orders", json!({"RedrivePolicy": policy})).await;
    let entries: Vec<Value> = (0..10)
        .map(|i| json!({"Id": i.to_string(), "MessageBody": "m"}))
        .collect();
    client
        .ok("SendMessageBatch", json!({"QueueUrl": dead, "Entries": entries}))
        .await;
    let start = json!({"SourceArn": server.queue_arn("dead"), "DestinationArn": server.queue_arn("orders"),
        "MaxNumberOfMessagesPerSecond": 1});
    let task = client.ok("StartMessageMoveTask", start.clone()).await;
    let second = client.json("StartMessageMoveTask", start).await;
    assert_eq!(second.header("x-amzn-query-error"), "InvalidParameterValue;Sender");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let cancelled = client.ok("CancelMessageMoveTask", task).await;
    assert_eq!(cancelled["ApproximateNumberOfMessagesMoved"], 1);
    assert_eq!(server.queue("dead").expect("the queue").len(), 9);
}

#[tokio::test]
async fn faults_affect_only_their_requests() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let send = json!({"QueueUrl": url, "MessageBody": "m"});
    let count = || server.queue("orders").expect("the queue").len();
    let once = |kind| server.faults().add(Fault::on(Action::SendMessage, kind).times(1));

    once(FaultKind::Throttle);
    assert_eq!(client.json("SendMessage", send.clone()).await.status, 403);
    once(FaultKind::Reply(
        Reply::new(503).header("retry-after", "2").body("busy"),
    ));
    let response = client.json("SendMessage", send.clone()).await;
    assert_eq!(
        (
            response.status,
            response.header("retry-after"),
            response.body.as_slice()
        ),
        (503, "2", b"busy".as_slice())
    );
    once(FaultKind::DropBefore);
    assert!(client.try_json("SendMessage", send.clone()).await.is_err());
    assert_eq!(count(), 0);
    for (kind, kept) in [(FaultKind::DropAfter, 1), (FaultKind::TruncatedResponse, 2)] {
        once(kind);
        let mut client = Client::new(&server);
        assert!(client.try_json("SendMessage", send.clone()).await.is_err());
        assert_eq!(count(), kept);
    }
    once(FaultKind::Duplicate);
    let mut client = Client::new(&server);
    client.ok("SendMessage", send.clone()).await;
    assert_eq!(count(), 4);
    once(FaultKind::WrongMd5);
    let sent = client.ok("SendMessage", send.clone()).await;
    assert_ne!(sent["MD5OfMessageBody"], "6f8f57715090da2632453988d9a1501b");
    let sent = client.ok("SendMessage", send).await;
    assert_eq!(sent["MD5OfMessageBody"], "6f8f57715090da2632453988d9a1501b");
}

#[tokio::test]
async fn a_delayed_request_delays_no_other() {
    let server = server().await;
    server
        .faults()
        .add(Fault::any(FaultKind::Delay(Duration::from_secs(60))).times(1));
    let mut slow = Client::new(&server);
    let slow = tokio::spawn(async move { slow.json("ListQueues", json!({})).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut client = Client::new(&server);
    client.ok("ListQueues", json!({})).await;
    assert!(!slow.is_finished());
}

#[tokio::test]
async fn stopping_closes_the_port_and_all_connections() {
    let server = server().await;
    let address = server.address().expect("a socket");
    let mut client = Client::new(&server);
    client.ok("ListQueues", json!({})).await;
    server.stop().await;
    assert!(client.try_json("ListQueues", json!({})).await.is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn batch_size_and_messages_in_flight_are_limited() {
    let server = LocalSqs::builder()
        .in_flight_limits(1, 1)
        .start()
        .await
        .expect("a port");
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let send = |length: usize| json!({"QueueUrl": url, "MessageBody": "\u{1F600}".repeat(length / 4)});
    client.ok("SendMessage", send(1_048_576)).await;
    let refused = client.json("SendMessage", send(1_048_580)).await;
    let message = "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.";
    assert_eq!(refused.json()["message"], message);
    client.ok("ReceiveMessage", json!({"QueueUrl": url})).await;
    let refused = client.json("ReceiveMessage", json!({"QueueUrl": url})).await;
    assert_eq!(
        (refused.status, refused.header("x-amzn-query-error")),
        (403, "OverLimit;Sender")
    );
}
