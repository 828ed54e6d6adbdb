//! Tests of the server's own choices: accounts, addresses, health and limits.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::{create, server};
use crate::{Action, Builder, LocalSqs, MAX_HEAD};

const QUERY_ERROR: &str = "x-amzn-query-error";

async fn start(builder: Builder) -> LocalSqs {
    builder.start().await.expect("a port")
}

#[tokio::test]
async fn any_key_is_accepted_and_a_key_of_12_digits_is_an_account() {
    let server = server().await;
    let mut first = Client::new(&server);
    first.key_id = "AKIAANY".into();
    first.secret = "anything".into();
    let url = create(&mut first, "orders", json!({})).await;
    assert_eq!(url, server.queue_url("orders"));
    let mut second = Client::new(&server);
    second.key_id = "111122223333".into();
    let other = create(&mut second, "orders", json!({"DelaySeconds": "1"})).await;
    assert_eq!(other, format!("{}/111122223333/orders", server.endpoint()));
    // A URL names its own account, whoever sends.
    first
        .ok("SendMessage", json!({"QueueUrl": other, "MessageBody": "m"}))
        .await;
    assert!(server.queue("orders").expect("the queue").is_empty());
    let ask = json!({"QueueUrl": other, "AttributeNames": ["QueueArn", "ApproximateNumberOfMessagesDelayed"]});
    let shown = first.ok("GetQueueAttributes", ask).await;
    assert_eq!(
        shown["Attributes"],
        json!({"QueueArn": "arn:aws:sqs:us-east-1:111122223333:orders", "ApproximateNumberOfMessagesDelayed": "1"})
    );
    let ask = json!({"QueueName": "orders", "QueueOwnerAWSAccountId": "111122223333"});
    assert_eq!(first.ok("GetQueueUrl", ask).await["QueueUrl"], other);
    first.ok("DeleteQueue", json!({"QueueUrl": other})).await;
    assert_eq!(second.ok("ListQueues", json!({})).await, json!({}));
    assert_eq!(first.ok("ListQueues", json!({})).await["QueueUrls"], json!([url]));
}

#[tokio::test]
async fn each_region_has_its_own_queues() {
    let server = start(LocalSqs::builder().region("eu-west-1")).await;
    let mut client = Client::new(&server);
    client.region = "ap-southeast-2".into();
    let url = create(&mut client, "orders", json!({})).await;
    client
        .ok("SendMessage", json!({"QueueUrl": url, "MessageBody": "m"}))
        .await;
    assert!(server.queue("orders").is_none());
    let ask = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let shown = client.ok("GetQueueAttributes", ask).await;
    let arn = "arn:aws:sqs:ap-southeast-2:000000000000:orders";
    assert_eq!(shown["Attributes"]["QueueArn"], arn);
    // An unsigned request is for the server's region.
    let (status, xml) = {
        let response = client.get("/000000000000/orders?Action=ReceiveMessage", &[]).await;
        (response.status, String::from_utf8(response.body).expect("text"))
    };
    assert_eq!(status, 400);
    assert!(xml.contains("AWS.SimpleQueueService.NonExistentQueue"), "{xml}");
    server.create_queue("orders").expect("a queue");
    let response = client
        .get("/000000000000/orders?Action=SendMessage&MessageBody=m", &[])
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(server.queue("orders").expect("the queue").len(), 1);
}

#[tokio::test]
async fn a_strict_server_has_one_region_and_known_keys() {
    let server = start(LocalSqs::builder().strict(true)).await;
    for (key_id, region, code) in [
        ("other", "us-east-1", "InvalidClientTokenId;Sender"),
        ("test", "eu-west-1", "SignatureDoesNotMatch;Sender"),
    ] {
        let mut client = Client::new(&server);
        client.key_id = key_id.into();
        client.region = region.into();
        let response = client.json("ListQueues", json!({})).await;
        assert_eq!((response.status, response.header(QUERY_ERROR)), (403, code));
    }
}

#[tokio::test]
async fn only_a_strict_server_makes_programs_wait() {
    for (strict, status) in [(false, 200), (true, 403)] {
        let server = start(LocalSqs::builder().strict(strict)).await;
        let mut client = Client::new(&server);
        let url = create(&mut client, "orders", json!({})).await;
        client.ok("PurgeQueue", json!({"QueueUrl": url})).await;
        let again = client.json("PurgeQueue", json!({"QueueUrl": url})).await;
        assert_eq!(again.status, status);
        client.ok("DeleteQueue", json!({"QueueUrl": url})).await;
        let again = client.json("CreateQueue", json!({"QueueName": "orders"})).await;
        assert_eq!(again.status == 200, !strict);
    }
    // A setting of its own takes precedence.
    let minute = Duration::from_secs(60);
    for builder in [
        LocalSqs::builder().purge_interval(Duration::ZERO).strict(true),
        LocalSqs::builder().strict(true).purge_interval(Duration::ZERO),
        LocalSqs::builder().recreate_delay(minute),
    ] {
        let server = start(builder).await;
        let mut client = Client::new(&server);
        let url = create(&mut client, "orders", json!({})).await;
        client.ok("PurgeQueue", json!({"QueueUrl": url})).await;
        client.ok("PurgeQueue", json!({"QueueUrl": url})).await;
        client.ok("DeleteQueue", json!({"QueueUrl": url})).await;
        let again = client.json("CreateQueue", json!({"QueueName": "orders"})).await;
        assert_eq!(
            again.header(QUERY_ERROR),
            "AWS.SimpleQueueService.QueueDeletedRecently;Sender"
        );
    }
}

#[tokio::test]
async fn queue_urls_start_with_the_requests_host() {
    let server = server().await;
    let mut client = Client::new(&server);
    client.host = "sqs.test:9324".into();
    let url = create(&mut client, "orders", json!({})).await;
    assert_eq!(url, "http://sqs.test:9324/000000000000/orders");
    assert_eq!(
        client.ok("ListQueues", json!({})).await["QueueUrls"],
        json!(["http://sqs.test:9324/000000000000/orders"])
    );
    client
        .ok("SendMessage", json!({"QueueUrl": url, "MessageBody": "m"}))
        .await;
    for hostile in ["a/b", "user@host", &"a".repeat(300)] {
        client.host = hostile.into();
        let found = client.ok("GetQueueUrl", json!({"QueueName": "orders"})).await;
        assert_eq!(found["QueueUrl"], server.queue_url("orders"), "{hostile}");
    }
    let server = start(LocalSqs::builder().queue_url_base("http://fixed:1")).await;
    let mut client = Client::new(&server);
    client.host = "sqs.test:9324".into();
    let url = create(&mut client, "orders", json!({})).await;
    assert_eq!(url, "http://fixed:1/000000000000/orders");
}

#[tokio::test]
async fn a_health_check_needs_no_signature_and_is_not_counted() {
    let server = start(LocalSqs::builder().strict(true)).await;
    let mut client = Client::new(&server);
    let response = client.get("/health", &[]).await;
    assert_eq!((response.status, response.json()), (200, json!({"status": "ok"})));
    assert!(server.requests().is_empty() && server.counts().is_empty());
}

#[tokio::test]
async fn messages_may_expire_after_a_second() {
    let server = start(LocalSqs::builder().min_retention(Duration::from_secs(1))).await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({"MessageRetentionPeriod": "1"})).await;
    client
        .ok("SendMessage", json!({"QueueUrl": url, "MessageBody": "m"}))
        .await;
    let queue = server.queue("orders").expect("the queue");
    assert_eq!(queue.len(), 1);
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert!(queue.is_empty());
    let set = json!({"QueueUrl": url, "Attributes": {"MessageRetentionPeriod": "0"}});
    assert_eq!(client.json("SetQueueAttributes", set).await.status, 400);
    let server = super::server().await;
    let refused = server.create_queue_with("orders", [("MessageRetentionPeriod", "59")]);
    assert!(refused.is_err());
}

/// A message of 2,976 bytes, which occupies 4,000.
fn send(url: &str) -> Value {
    json!({"QueueUrl": url, "MessageBody": "x".repeat(2976)})
}

#[tokio::test]
async fn memory_is_bounded_and_returned() {
    let server = start(
        LocalSqs::builder()
            .max_memory(10_000)
            .min_retention(Duration::from_secs(1)),
    )
    .await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    client.ok("SendMessage", send(&url)).await;
    client.ok("SendMessage", send(&url)).await;
    let refused = client.json("SendMessage", send(&url)).await;
    assert_eq!((refused.status, refused.header(QUERY_ERROR)), (403, "OverLimit;Sender"));
    let message = "The server's messages occupy 8000 of 10000 bytes, which leaves no room for this message; delete \
                   messages or raise max_memory.";
    assert_eq!(refused.json()["message"], message);
    // Only the entries without room fail.
    let small = json!({"Id": "a", "MessageBody": "x"});
    let large = json!({"Id": "b", "MessageBody": "x".repeat(2976)});
    let batch = json!({"QueueUrl": url, "Entries": [small, large]});
    let sent = client.ok("SendMessageBatch", batch).await;
    assert_eq!(sent["Successful"][0]["Id"], "a");
    assert_eq!(sent["Failed"][0]["Code"], "OverLimit");
    // Delivery needs no memory, and a deletion returns it.
    let received = client.ok("ReceiveMessage", json!({"QueueUrl": url})).await;
    let handle = &received["Messages"][0]["ReceiptHandle"];
    client
        .ok("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": handle}))
        .await;
    client.ok("SendMessage", send(&url)).await;
    assert_eq!(client.json("SendMessage", send(&url)).await.status, 403);
    // So does a purge, and the deletion of a queue.
    client.ok("PurgeQueue", json!({"QueueUrl": url})).await;
    client.ok("SendMessage", send(&url)).await;
    client.ok("SendMessage", send(&url)).await;
    client.ok("DeleteQueue", json!({"QueueUrl": url})).await;
    // And an expired message, though nobody has looked at its queue since.
    let brief = create(&mut client, "brief", json!({"MessageRetentionPeriod": "1"})).await;
    client.ok("SendMessage", send(&brief)).await;
    client.ok("SendMessage", send(&brief)).await;
    let other = create(&mut client, "other", json!({})).await;
    assert_eq!(client.json("SendMessage", send(&other)).await.status, 403);
    tokio::time::sleep(Duration::from_millis(1050)).await;
    client.ok("SendMessage", send(&other)).await;
}

#[tokio::test]
async fn deduplication_ids_count_as_memory() {
    let server = start(LocalSqs::builder().max_memory(10_000)).await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "o.fifo", json!({"FifoQueue": "true"})).await;
    let mut accepted = 0;
    for id in 0..20 {
        let input = json!({"QueueUrl": url, "MessageBody": "m", "MessageGroupId": "g", "MessageDeduplicationId": id.to_string()});
        if client.json("SendMessage", input).await.status != 200 {
            break;
        }
        accepted += 1;
        let received = client.ok("ReceiveMessage", json!({"QueueUrl": url})).await;
        let handle = &received["Messages"][0]["ReceiptHandle"];
        client
            .ok("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": handle}))
            .await;
    }
    // Each id occupies 1,024 bytes, and a new message another 1,024 while it is sent.
    assert_eq!(accepted, 8);
}

#[tokio::test]
async fn the_size_of_headers_is_limited() {
    let server = server().await;
    let mut client = Client::new(&server);
    let long = "x".repeat(2 * MAX_HEAD);
    // The client may still be writing when the server has closed the connection.
    if let Ok(response) = client.try_get("/health", &[("x-long", &long)]).await {
        assert_eq!(response.status, 431);
    }
    assert_eq!(Client::new(&server).get("/health", &[]).await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let gateway = LocalSqs::builder().gateway("http://h");
    let (_stop, stopped) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(crate::http::serve(listener, gateway, 1, stopped));
    let mut first = Client::at(address);
    assert_eq!(first.get("/health", &[]).await.status, 200);
    let mut second = Client::at(address);
    {
        let waiting = second.get("/health", &[]);
        tokio::pin!(waiting);
        assert!(
            tokio::time::timeout(Duration::from_millis(100), &mut waiting)
                .await
                .is_err()
        );
        drop(first);
        assert_eq!(waiting.await.status, 200);
    }
    task.abort();
}

#[tokio::test]
async fn counts_include_every_account_and_region() {
    let server = server().await;
    for (key_id, region) in [("test", "us-east-1"), ("111122223333", "eu-west-1")] {
        let mut client = Client::new(&server);
        client.key_id = key_id.into();
        client.region = region.into();
        create(&mut client, "orders", json!({})).await;
    }
    assert_eq!(server.count(Action::CreateQueue), 2);
}
