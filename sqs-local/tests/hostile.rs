//! Tests that no client, fault or order of requests makes the server keep memory, lose order, stall or panic.

#![cfg(feature = "client")]
// clippy exempts only the tests themselves, not their helpers.
#![allow(clippy::expect_used)]

use std::error::Error as StdError;
use std::time::Duration;

use sqs_client::client::RetryPolicy;
use sqs_client::types::{MessageMoveTask, MessageMoveTaskStatus, QueueAttributes};
use sqs_client::{Client, ErrorCode};
use sqs_local::{Builder, Fault, FaultKind, LocalSqs, Reply};
use tokio::time::Instant;

type TestResult = Result<(), Box<dyn StdError>>;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts a server without a socket, and builds a client that does not retry.
fn start(builder: Builder) -> (LocalSqs, Client) {
    let server = builder.in_process();
    let client = server.client_builder().retry(RetryPolicy::never()).build();
    (server, client.expect("a client"))
}

/// Creates a queue and its dead-letter queue, and returns their URLs.
fn with_dead_letters(server: &LocalSqs, suffix: &str) -> (String, String) {
    let name = |stem: &str| format!("{stem}{suffix}");
    let dead = server.create_queue(&name("dead")).expect("a queue");
    let arn = server.queue_arn(&name("dead"));
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":1}}"#);
    let source = server.create_queue_with(&name("source"), [("RedrivePolicy", policy.as_str())]);
    (source.expect("a queue"), dead)
}

async fn tasks(client: &Client, arn: &str) -> Result<Vec<MessageMoveTask>, sqs_client::Error> {
    Ok(client.list_message_move_tasks(arn).await?.results)
}

#[tokio::test(start_paused = true)]
async fn a_deleted_queue_returns_its_memory_in_spite_of_a_move_task() -> TestResult {
    let (server, client) = start(LocalSqs::builder().max_memory(64 * 1024));
    let (source, dead) = with_dead_letters(&server, "");
    let body = "x".repeat(50_000);
    client.send_message(&dead, body.as_str()).await?;
    client.start_message_move_task(server.queue_arn("dead")).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failed = tasks(&client, &server.queue_arn("dead")).await?;
    assert_eq!(failed[0].status, MessageMoveTaskStatus::Failed);
    let full = client
        .send_message(&source, body.as_str())
        .await
        .expect_err("no memory");
    assert_eq!(full.code(), Some(&ErrorCode::OverLimit));
    client.delete_queue(&dead).await?;
    client.send_message(&source, body.as_str()).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failed_move_task_keeps_the_order_of_a_group() -> TestResult {
    let (server, client) = start(LocalSqs::builder());
    let (_, dead) = with_dead_letters(&server, ".fifo");
    for body in ["1", "2", "3"] {
        let send = client.send_message(&dead, body).message_group_id("g");
        send.message_deduplication_id(body).await?;
    }
    client.start_message_move_task(server.queue_arn("dead.fifo")).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failed = tasks(&client, &server.queue_arn("dead.fifo")).await?;
    assert_eq!(failed[0].status, MessageMoveTaskStatus::Failed);
    let received = client.receive_message(&dead).max_messages(10).await?.messages;
    let bodies: Vec<&str> = received.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(bodies, ["1", "2", "3"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_purge_ends_a_move_task_that_waits_for_a_delayed_message() -> TestResult {
    let (server, client) = start(LocalSqs::builder());
    let (_, dead) = with_dead_letters(&server, "");
    client.send_message(&dead, "x").delay(Duration::from_secs(900)).await?;
    let arn = server.queue_arn("dead");
    client
        .start_message_move_task(&arn)
        .destination_arn(server.queue_arn("source"))
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks(&client, &arn).await?[0].status, MessageMoveTaskStatus::Running);
    client.purge_queue(&dead).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks(&client, &arn).await?[0].status, MessageMoveTaskStatus::Completed);
    Ok(())
}

#[test]
fn a_move_task_ends_with_the_runtime_that_started_it() -> TestResult {
    let (server, client) = start(LocalSqs::builder());
    let (_, dead) = with_dead_letters(&server, "");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime()?.block_on(async {
        client.send_message(&dead, "x").delay(Duration::from_secs(900)).await?;
        let start = client.start_message_move_task(server.queue_arn("dead"));
        start.destination_arn(server.queue_arn("source")).await
    })?;
    let listed = runtime()?.block_on(tasks(&client, &server.queue_arn("dead")))?;
    assert_eq!(listed[0].status, MessageMoveTaskStatus::Cancelled);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_shorter_retention_wakes_a_long_poll() -> TestResult {
    let (server, client) = start(LocalSqs::builder());
    let queue = server.create_queue_with(
        "q.fifo",
        [("VisibilityTimeout", "43200"), ("ContentBasedDeduplication", "true")],
    )?;
    client.send_message(&queue, "1").message_group_id("g").await?;
    assert_eq!(client.receive_message(&queue).await?.messages.len(), 1);
    tokio::time::sleep(Duration::from_secs(50)).await;
    client.send_message(&queue, "2").message_group_id("g").await?;

    let begin = Instant::now();
    let poll = client.receive_message(&queue).wait_time(Duration::from_secs(20));
    let shorten = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut attributes = QueueAttributes::default();
        attributes.message_retention_period = Some(Duration::from_secs(60));
        client.set_queue_attributes(&queue, attributes).await
    };
    let (received, shortened) = tokio::join!(poll.into_future(), shorten);
    shortened?;
    assert_eq!(received?.messages[0].body, "2");
    assert_eq!(
        begin.elapsed(),
        Duration::from_secs(10),
        "the first message expired then"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_queue_with_duplicates_can_be_drained() -> TestResult {
    let (server, client) = start(LocalSqs::builder());
    let queue = server.create_queue("orders")?;
    server.faults().add(Fault::any(FaultKind::Duplicate));
    client.send_message(&queue, "x").await?;
    let mut received = 0;
    loop {
        let messages = client.receive_message(&queue).await?.messages;
        let Some(message) = messages.first() else { break };
        client.delete_message(&queue, &message.receipt_handle).await?;
        received += 1;
        assert!(received < 10, "the copies never end");
    }
    // The send was duplicated, and each of the two on its delivery.
    assert_eq!(received, 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn receive_attempts_count_as_memory_and_never_prevent_a_receive() -> TestResult {
    let (server, client) = start(LocalSqs::builder().max_memory(16 * 1024));
    let queue = server.create_queue_with(
        "q.fifo",
        [("VisibilityTimeout", "0"), ("ContentBasedDeduplication", "true")],
    )?;
    client.send_message(&queue, "x").message_group_id("g").await?;
    for attempt in 0..100 {
        let receive = client
            .receive_message(&queue)
            .receive_request_attempt_id(attempt.to_string());
        assert_eq!(receive.await?.messages.len(), 1, "{attempt}");
    }
    let full = client.send_message(&queue, "y").message_group_id("g").await;
    assert_eq!(full.expect_err("no memory").code(), Some(&ErrorCode::OverLimit));
    tokio::time::sleep(Duration::from_secs(300)).await;
    client.send_message(&queue, "y").message_group_id("g").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn extreme_settings_do_not_panic() -> TestResult {
    let builder = LocalSqs::builder()
        .purge_interval(Duration::MAX)
        .recreate_delay(Duration::MAX);
    let (server, client) = start(builder);
    for name in ["a", "b"] {
        let queue = server.create_queue(name)?;
        client.purge_queue(&queue).await?;
        assert!(client.purge_queue(&queue).await.is_err());
        client.delete_queue(&queue).await?;
        tokio::time::advance(DAY).await;
        assert!(client.create_queue(name).await.is_err());
    }
    for _ in 0..2 {
        server.faults().add(Fault::any(FaultKind::FailEntries(usize::MAX)));
    }
    client.list_queues().await?;
    for _ in 0..2 {
        server.faults().add(Fault::any(FaultKind::Delay(Duration::MAX)));
    }
    let error = client.list_queues().await.expect_err("a timeout");
    assert_eq!(error.kind(), sqs_client::ErrorKind::Timeout);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stopped_server_without_a_socket_refuses_requests() -> TestResult {
    let (server, client) = start(LocalSqs::builder());
    server.stop().await;
    let error = client.create_queue("orders").await.expect_err("stopped");
    assert!(!error.may_have_been_sent(), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stop_closes_all_connections() -> TestResult {
    let server = LocalSqs::start().await?;
    let address = server.address().expect("a socket");
    let mut connections = Vec::new();
    for _ in 0..200 {
        connections.push(tokio::net::TcpStream::connect(address).await?);
    }
    // Accepted after all others.
    server.client()?.list_queues().await?;
    server.stop().await;
    for connection in &connections {
        let mut byte = [0];
        let ended = connection.try_read(&mut byte);
        let waits = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        if ended.is_err_and(|error| waits(&error)) {
            // The end has been sent, but this side's driver may not have seen it.
            let end = tokio::time::timeout(Duration::from_secs(5), connection.readable());
            end.await??;
        }
    }
    Ok(())
}

#[tokio::test]
async fn debug_shows_no_message_and_no_secret() -> TestResult {
    let server = LocalSqs::builder().in_process();
    let credentials = sqs_client::Credentials::new("k", "s").with_session_token("a-token");
    let client = server.client_builder().credentials(credentials).build()?;
    let queue = server.create_queue("orders")?;
    client.send_message(&queue, "a-body").await?;
    let shown = format!(
        "{client:?} {server:?} {:?} {:?}",
        server.queue("orders"),
        server.requests()
    );
    assert!(shown.contains("SendMessage"), "{shown}");
    assert!(!shown.contains("a-body") && !shown.contains("a-token"), "{shown}");
    assert!(!shown.contains("AWS4-HMAC-SHA256"), "{shown}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_content_has_no_body() -> TestResult {
    let (server, client) = start(LocalSqs::builder());
    let reply = Reply::new(204).body(r#"{"QueueUrls":["http://a/1/b"]}"#);
    server.faults().add(Fault::any(FaultKind::Reply(reply)).times(1));
    // As over a socket.
    assert!(
        client
            .list_queues()
            .await
            .map_or(true, |listed| listed.queue_urls.is_empty())
    );
    Ok(())
}
