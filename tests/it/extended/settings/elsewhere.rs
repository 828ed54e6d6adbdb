//! Messages that came another way than by our receive, and receipt handles that go one.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use futures::{FutureExt as _, TryStreamExt as _};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Message, OutgoingMessage};
use sqs_extended::pointer::{
    EmbeddedReceiptHandle, Envelope, LambdaRecord, ParsedMessage, PayloadLocation, PointerKeys,
};
use sqs_extended::{ErrorKind, PayloadStore};

use super::super::store::BUCKET;
use super::{Setting, delivery, large, set};
use crate::bench::{Bench, Outcome};

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    vec![
        set("elsewhere::a_lambda_record", bench, |setting| lambda(setting).boxed()),
        set("elsewhere::a_notification_of_sns", bench, |setting| {
            sns(setting).boxed()
        }),
        set("elsewhere::an_embedded_receipt_handle", bench, |setting| {
            handle(setting).boxed()
        }),
    ]
}

async fn raw(setting: &Setting) -> anyhow::Result<Message> {
    let received = setting
        .client
        .receive_message(&setting.queue)
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

/// What AWS Lambda makes of a message.
fn record(setting: &Setting, message: &Message) -> Value {
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
        "eventSourceARN": setting.server.queue_arn("q"),
        "awsRegion": "us-east-1",
    })
}

/// The pointer is authenticated for the queue, which the record names by its ARN.
async fn lambda(setting: Setting) -> Outcome {
    let payloads = setting
        .payloads()
        .pointer_keys(PointerKeys::new("k", &[1; 32])?)
        .build()?;
    let extended = setting.with(setting.payloads().pointer_keys(PointerKeys::new("k", &[1; 32])?))?;
    let message = extended.build()?.send(&setting.queue, large());
    message.message_attribute("mine", "value").await?;

    let event = record(&setting, &raw(&setting).await?).to_string();
    let record: LambdaRecord = serde_json::from_str(&event)?;
    let incoming = ParsedMessage::from_message(&record.message)?;
    let names: Vec<&String> = incoming.message_attributes.keys().collect();
    ensure!(names == ["mine"], "{names:?}");
    let envelope = envelope(incoming)?;
    ensure!(read(&payloads, &envelope, &record.queue_arn).await? == large());

    let calls = setting.store.calls();
    let error = payloads
        .open(&envelope, "arn:aws:sqs:us-east-1:000000000000:other")
        .await
        .err();
    ensure!(error.context("of another queue")?.kind() == ErrorKind::RefusedPointer);
    ensure!(setting.store.calls() == calls, "the store was called");
    Ok(())
}

/// The publisher stored the payload; SNS wrapped the pointer and its attribute into the body.
async fn sns(setting: Setting) -> Outcome {
    let extended = setting.extended()?.build()?;
    extended
        .send(&setting.queue, large())
        .message_attribute("mine", "value")
        .await?;
    let published = raw(&setting).await?;
    setting
        .client
        .delete_message(&setting.queue, &*published.receipt_handle)
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
    setting
        .client
        .send_message(&setting.queue, OutgoingMessage::new(notification.to_string()))
        .await?;

    let incoming = ParsedMessage::from_message(&raw(&setting).await?)?;
    ensure!(
        matches!(incoming.contents, PayloadLocation::Inline(_)),
        "not before it is asked for"
    );
    let incoming = incoming.unwrap_sns()?;
    let names: Vec<&String> = incoming.message_attributes.keys().collect();
    ensure!(names == ["mine"], "{names:?}");
    let payloads = setting.payloads().build()?;
    ensure!(read(&payloads, &*envelope(incoming)?, &setting.queue).await? == large());
    Ok(())
}

async fn handle(setting: Setting) -> Outcome {
    let extended = setting.extended()?.build()?;
    extended.send(&setting.queue, "small").await?;
    let small = delivery(&extended, &setting.queue).await?;
    ensure!(small.embedded_receipt_handle().is_none());
    small.ack().await?;

    let sent = extended.send(&setting.queue, large()).await?;
    let delivery = delivery(&extended, &setting.queue).await?;
    let text = delivery.embedded_receipt_handle().context("a pointer")??.to_string();
    let handle: EmbeddedReceiptHandle = text.parse()?;
    let key = sent.pointer.context("a pointer")?.key;
    ensure!((handle.bucket(), handle.key()) == (BUCKET, key.as_str()));
    ensure!(handle.receipt_handle() == delivery.receipt_handle());
    setting
        .client
        .delete_message(&setting.queue, handle.receipt_handle())
        .await?;
    ensure!(setting.messages(&setting.queue).is_empty(), "it is still there");
    Ok(())
}
