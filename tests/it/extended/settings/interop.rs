//! Tests messages that arrive through AWS Lambda or SNS, and embedded receipt handles.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use futures::TryStreamExt as _;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Message, OutgoingMessage};
use sqs_extended::pointer::{
    EmbeddedReceiptHandle, Envelope, LambdaRecord, ParsedMessage, PayloadLocation, PointerKeys,
};
use sqs_extended::{ErrorKind, PayloadStore};

use super::super::store::BUCKET;
use super::{Fixture, delivery, large, test};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, a_lambda_record_is_parsed),
        test(harness, an_sns_notification_is_unwrapped),
        test(harness, an_embedded_receipt_handle_round_trips),
    ]
}

async fn raw(fixture: &Fixture) -> anyhow::Result<Message> {
    let received = fixture
        .client
        .receive_message(&fixture.queue)
        .message_attribute_names(["All"])
        .await?;
    received.messages.into_iter().next().context("a message")
}

fn envelope(incoming: ParsedMessage) -> anyhow::Result<Box<Envelope>> {
    match incoming.contents {
        PayloadLocation::Offloaded(envelope) => Ok(envelope),
        other => bail!("no pointer: {other:?}"),
    }
}

async fn read(payloads: &PayloadStore, envelope: &Envelope, queue: &str) -> anyhow::Result<String> {
    let chunks: Vec<_> = payloads.open(envelope, queue).await?.try_collect().await?;
    Ok(String::from_utf8(chunks.concat())?)
}

/// Returns the record that AWS Lambda makes of a message.
fn record(fixture: &Fixture, message: &Message) -> Value {
    let attribute = |value: &MessageAttributeValue| json!({"dataType": value.data_type(), "stringValue": value.as_str(), "stringListValues": [], "binaryListValues": []});
    let attributes = message.message_attributes.iter();
    let attributes: serde_json::Map<_, _> = attributes
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": attributes,
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": fixture.server.queue_arn("q"),
        "awsRegion": "us-east-1",
    })
}

/// The pointer is authenticated for the queue, which the record identifies by its ARN.
async fn a_lambda_record_is_parsed(fixture: Fixture) -> Outcome {
    let payloads = fixture
        .payloads()
        .pointer_keys(PointerKeys::new("k", &[1; 32])?)
        .build()?;
    let extended = fixture.with(fixture.payloads().pointer_keys(PointerKeys::new("k", &[1; 32])?))?;
    let message = extended.build()?.send(&fixture.queue, large());
    message.message_attribute("mine", "value").await?;

    let event = record(&fixture, &raw(&fixture).await?).to_string();
    let record: LambdaRecord = serde_json::from_str(&event)?;
    let incoming = ParsedMessage::from_message(&record.message)?;
    let names: Vec<&String> = incoming.message_attributes.keys().collect();
    ensure!(names == ["mine"], "{names:?}");
    let envelope = envelope(incoming)?;
    ensure!(read(&payloads, &envelope, &record.queue_arn).await? == large());

    let calls = fixture.store.calls();
    let error = payloads
        .open(&envelope, "arn:aws:sqs:us-east-1:000000000000:other")
        .await
        .err();
    ensure!(error.context("another queue was accepted")?.kind() == ErrorKind::RefusedPointer);
    ensure!(fixture.store.calls() == calls, "the store was called");
    Ok(())
}

/// The publisher stored the payload. SNS wrapped the pointer and its attribute in the body.
async fn an_sns_notification_is_unwrapped(fixture: Fixture) -> Outcome {
    let extended = fixture.extended()?.build()?;
    extended
        .send(&fixture.queue, large())
        .message_attribute("mine", "value")
        .await?;
    let published = raw(&fixture).await?;
    fixture
        .client
        .delete_message(&fixture.queue, &*published.receipt_handle)
        .await?;
    let attribute = |value: &MessageAttributeValue| json!({"Type": value.data_type(), "Value": value.as_str()});
    let attributes = published.message_attributes.iter();
    let attributes: serde_json::Map<_, _> = attributes
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect();
    let notification = json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:topic",
        "Message": published.body,
        "Timestamp": "2026-11-24T12:00:00.000Z",
        "MessageAttributes": attributes,
    });
    fixture
        .client
        .send_message(&fixture.queue, OutgoingMessage::new(notification.to_string()))
        .await?;

    let incoming = ParsedMessage::from_message(&raw(&fixture).await?)?;
    ensure!(
        matches!(incoming.contents, PayloadLocation::Inline(_)),
        "the notification was unwrapped without a request"
    );
    let incoming = incoming.unwrap_sns()?;
    let names: Vec<&String> = incoming.message_attributes.keys().collect();
    ensure!(names == ["mine"], "{names:?}");
    let payloads = fixture.payloads().build()?;
    ensure!(read(&payloads, &*envelope(incoming)?, &fixture.queue).await? == large());
    Ok(())
}

async fn an_embedded_receipt_handle_round_trips(fixture: Fixture) -> Outcome {
    let extended = fixture.extended()?.build()?;
    extended.send(&fixture.queue, "small").await?;
    let small = delivery(&extended, &fixture.queue).await?;
    ensure!(small.embedded_receipt_handle().is_none());
    small.ack().await?;

    let sent = extended.send(&fixture.queue, large()).await?;
    let delivery = delivery(&extended, &fixture.queue).await?;
    let text = delivery.embedded_receipt_handle().context("a pointer")??.to_string();
    let handle: EmbeddedReceiptHandle = text.parse()?;
    let key = sent.pointer.context("a pointer")?.key;
    ensure!((handle.bucket(), handle.key()) == (BUCKET, key.as_str()));
    ensure!(handle.receipt_handle() == delivery.receipt_handle());
    fixture
        .client
        .delete_message(&fixture.queue, handle.receipt_handle())
        .await?;
    ensure!(
        fixture.messages(&fixture.queue).is_empty(),
        "the message was not deleted"
    );
    Ok(())
}
