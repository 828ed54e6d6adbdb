//! Tests each action for a message whose payload is missing. No other failure triggers it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{BackoffConfig, RetryConfig};
use sqs_client::Message;
use sqs_extended::receive::MissingPayload;
use sqs_extended::store::StoreConnector;
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedDelivery, ExtendedMessage, PayloadStore};
use sqs_local::{MessageState, MessageView};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::store::BUCKET;
use super::{Fixture, large, test};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, keep_leaves_the_message_in_flight),
        test(harness, return_makes_the_message_visible),
        test(harness, delete_removes_the_message),
        test(harness, move_to_keeps_body_and_attributes),
        test(harness, move_to_moves_once),
        test(harness, move_to_a_fifo_queue_keeps_the_group),
        test(harness, a_consumer_moves_the_message),
        test(harness, a_message_that_cannot_be_moved_stays),
        test(harness, other_store_failures_keep_the_message),
    ]
}

fn with(fixture: &Fixture, missing: MissingPayload) -> anyhow::Result<ExtendedClient> {
    Ok(fixture.extended()?.missing_payload(missing).build()?)
}

/// Sends `message` and deletes its payload.
async fn send_without_payload(fixture: &Fixture, extended: &ExtendedClient, message: ExtendedMessage) -> Outcome {
    let sent = extended.send(&fixture.queue, message).await?;
    let key = Path::from(sent.pointer.context("a pointer")?.key);
    fixture.store.objects.delete(&key).await?;
    Ok(())
}

async fn receive(extended: &ExtendedClient, queue: &str) -> anyhow::Result<ExtendedDelivery> {
    let received = extended.receive(queue).wait_time(Duration::from_secs(5)).await?;
    Ok(received.into_iter().next().context("a message")??)
}

/// Receives a message without a payload and requests the payload.
async fn request_missing_payload(fixture: &Fixture, missing: MissingPayload) -> Outcome {
    let extended = with(fixture, missing)?;
    let message = ExtendedMessage::new(large()).message_attribute("mine", "value");
    send_without_payload(fixture, &extended, message).await?;
    let delivery = receive(&extended, &fixture.queue).await?;
    ensure!(
        matches!(messages(fixture)[0].state, MessageState::InFlight(_)),
        "the action was taken before the payload was requested"
    );
    let error = delivery.text().await.unwrap_err();
    ensure!(error.is_missing_payload(), "{error:?}");
    Ok(())
}

fn messages(fixture: &Fixture) -> Vec<MessageView> {
    fixture.messages(&fixture.queue)
}

async fn keep_leaves_the_message_in_flight(fixture: Fixture) -> Outcome {
    request_missing_payload(&fixture, MissingPayload::Keep).await?;
    ensure!(matches!(messages(&fixture)[0].state, MessageState::InFlight(_)));
    Ok(())
}

async fn return_makes_the_message_visible(fixture: Fixture) -> Outcome {
    request_missing_payload(&fixture, MissingPayload::Return(Duration::ZERO)).await?;
    ensure!(messages(&fixture)[0].state == MessageState::Visible);
    Ok(())
}

async fn delete_removes_the_message(fixture: Fixture) -> Outcome {
    request_missing_payload(&fixture, MissingPayload::Delete).await?;
    ensure!(messages(&fixture).is_empty());
    Ok(())
}

/// The moved message contains all that is needed to send it back once the payload is restored.
async fn move_to_keeps_body_and_attributes(fixture: Fixture) -> Outcome {
    let target = fixture.queue("target").await?;
    request_missing_payload(&fixture, MissingPayload::MoveTo(target.clone())).await?;
    ensure!(messages(&fixture).is_empty());
    let message = raw(&fixture, &target).await?;
    ensure!(message.body.contains("PayloadS3Pointer"), "the pointer was not moved");
    let names: Vec<&String> = message.message_attributes.keys().collect();
    ensure!(
        names == ["SQSLargePayloadSize", "mine"] || names == ["ExtendedPayloadSize", "mine"],
        "{names:?}"
    );
    Ok(())
}

async fn raw(fixture: &Fixture, queue: &str) -> anyhow::Result<Message> {
    let received = fixture
        .client
        .receive_message(queue)
        .message_attribute_names(["All"])
        .await?;
    received.messages.into_iter().next().context("a message")
}

/// The payload is requested several times, and once by prefetching.
async fn move_to_moves_once(fixture: Fixture) -> Outcome {
    let target = fixture.queue("target").await?;
    let extended = with(&fixture, MissingPayload::MoveTo(target.clone()))?;
    send_without_payload(&fixture, &extended, large().into()).await?;
    let received = extended.receive(&fixture.queue).prefetch_payloads(1).await?;
    let delivery = received.into_iter().next().context("a message")??;
    for _ in 0..2 {
        ensure!(delivery.text().await.unwrap_err().is_missing_payload());
    }
    let sent = fixture.messages(&target).len();
    ensure!(sent == 1, "the message was moved {sent} times");
    Ok(())
}

/// The message keeps its group. A message without a group gets its id as the group.
async fn move_to_a_fifo_queue_keeps_the_group(mut fixture: Fixture) -> Outcome {
    let target = fixture.queue("target.fifo").await?;
    let extended = with(&fixture, MissingPayload::MoveTo(target.clone()))?;
    fixture.queue = fixture.queue("source.fifo").await?;
    let message = ExtendedMessage::new(large()).message_group_id("group");
    send_without_payload(&fixture, &extended, message).await?;
    let delivery = receive(&extended, &fixture.queue).await?;
    ensure!(delivery.text().await.unwrap_err().is_missing_payload());
    let sent = fixture.messages(&target);
    ensure!(sent.len() == 1 && messages(&fixture).is_empty());
    ensure!(sent[0].group.as_deref() == Some("group"), "{:?}", sent[0]);
    ensure!(sent[0].deduplication_id.as_deref() == Some(delivery.message_id()));

    fixture.queue = fixture.queue("standard").await?;
    send_without_payload(&fixture, &extended, large().into()).await?;
    let delivery = receive(&extended, &fixture.queue).await?;
    ensure!(delivery.text().await.unwrap_err().is_missing_payload());
    let sent = fixture.messages(&target);
    ensure!(sent.len() == 2 && sent[1].group.as_deref() == Some(delivery.message_id()));
    Ok(())
}

async fn a_consumer_moves_the_message(fixture: Fixture) -> Outcome {
    let target = fixture.queue("target").await?;
    let extended = with(&fixture, MissingPayload::MoveTo(target.clone()))?;
    let message = ExtendedMessage::new(large()).message_attribute("mine", "value");
    send_without_payload(&fixture, &extended, message).await?;
    let (failures, mut failed) = tokio::sync::mpsc::unbounded_channel();
    let consumer = extended
        .consumer(&fixture.queue)
        .configure(|consumer| consumer.wait_time(Duration::from_secs(1)));
    let run = consumer.run(async move { failed.recv().await }, move |delivery| {
        let failures = failures.clone();
        async move {
            let error = delivery.text().await.unwrap_err();
            failures.send(())?;
            Err::<(), _>(anyhow::Error::from(error))
        }
    });
    tokio::time::timeout(Duration::from_secs(20), run).await??;
    ensure!(messages(&fixture).is_empty(), "the message was not moved");
    let message = raw(&fixture, &target).await?;
    ensure!(message.message_attributes.contains_key("mine"));
    ensure!(fixture.messages(&target).len() == 1);
    Ok(())
}

async fn a_message_that_cannot_be_moved_stays(fixture: Fixture) -> Outcome {
    let target = fixture.server.queue_url("no-such-queue");
    request_missing_payload(&fixture, MissingPayload::MoveTo(target)).await?;
    ensure!(messages(&fixture).len() == 1, "the message was lost");
    Ok(())
}

/// A store that throttles, refuses or is misconfigured loses no message.
async fn other_store_failures_keep_the_message(fixture: Fixture) -> Outcome {
    let target = fixture.queue("target").await?;
    let extended = fixture.extended()?.build()?;
    extended.send(&fixture.queue, large()).await?;
    let failures = [
        (503, "SlowDown"),
        (500, "InternalError"),
        (403, "AccessDenied"),
        (404, "NoSuchBucket"),
    ];
    for (status, code) in failures {
        for missing in [
            MissingPayload::Delete,
            MissingPayload::Return(Duration::ZERO),
            MissingPayload::MoveTo(target.clone()),
        ] {
            let payloads = responding(status, code).await?;
            let builder = ExtendedClient::builder(fixture.client.clone()).payload_store(payloads);
            let misled = builder.missing_payload(missing).build()?;
            let delivery = receive(&misled, &fixture.queue).await?;
            let error = delivery.text().await.unwrap_err();
            ensure!(error.kind() == ErrorKind::Store, "{code}: {error:?}");
            ensure!(
                matches!(messages(&fixture)[0].state, MessageState::InFlight(_)),
                "the message is no longer in flight after {code}"
            );
            ensure!(
                fixture.messages(&target).is_empty(),
                "the message was moved after {code}"
            );
            delivery.nack(Duration::ZERO).await?;
        }
    }
    Ok(())
}

/// Returns a payload store in an S3 that responds to every request with this error.
async fn responding(status: u16, code: &str) -> anyhow::Result<PayloadStore> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    let response = format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 8 * 1024];
            if connection.read(&mut request).await.is_ok_and(|read| read > 0) {
                // The client may have gone.
                let _ = connection.write_all(response.as_bytes()).await;
            }
        }
    });
    let store = AmazonS3Builder::new()
        .with_http_connector(StoreConnector::new())
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 0,
            retry_timeout: Duration::from_secs(5),
        })
        .with_bucket_name(BUCKET)
        .build()?;
    Ok(PayloadStore::builder(store, BUCKET).prefix("p/").build()?)
}
