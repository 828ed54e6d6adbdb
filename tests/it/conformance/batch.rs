use std::time::Duration;

use sqs_client::types::{
    ChangeMessageVisibilityBatchEntry, DeleteMessageBatchEntry, MessageAttributeValue, SendMessageBatchEntry,
};
use sqs_client::{ErrorCode, ErrorKind, OutgoingMessage, limits};

use super::{cases, is_empty, receive_all};
use crate::harness::{Context, Outcome};

cases! {
    ten_messages_are_sent_and_deleted,
    one_entry_can_fail_alone,
    a_batch_is_checked_before_it_is_sent,
    a_batch_of_the_maximum_size_passes,
    visibility_changes_entry_by_entry,
}

async fn ten_messages_are_sent_and_deleted(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let entries = (0..10).map(|i| {
        let message = OutgoingMessage::new(format!("body {i} & <ü>"));
        SendMessageBatchEntry::new(
            i.to_string(),
            message.message_attribute("i", MessageAttributeValue::number(i)),
        )
    });
    let sent = context.client.send_message_batch(&queue, entries).await?;
    assert_eq!((sent.successful.len(), sent.failed.len()), (10, 0));
    let messages = receive_all(&context, &queue, 10).await?;
    let mut bodies: Vec<&str> = messages.iter().map(|message| message.body.as_str()).collect();
    bodies.sort_unstable();
    let expected: Vec<String> = (0..10).map(|i| format!("body {i} & <ü>")).collect();
    assert_eq!(bodies, expected);
    let entries = messages
        .iter()
        .enumerate()
        .map(|(i, message)| DeleteMessageBatchEntry::new(format!("d-{i}"), &message.receipt_handle));
    let deleted = context.client.delete_message_batch(&queue, entries).await?;
    assert_eq!((deleted.successful.len(), deleted.failed.len()), (10, 0));
    assert!(is_empty(&context, &queue).await?);
    Ok(())
}

async fn one_entry_can_fail_alone(context: Context) -> Outcome {
    let queue = context.queue().await?;
    context.client.send_message(&queue, "x").await?;
    let message = receive_all(&context, &queue, 1).await?.remove(0);
    let entries = [
        DeleteMessageBatchEntry::new("bad", "no-such-handle"),
        DeleteMessageBatchEntry::new("good", message.receipt_handle),
    ];
    let deleted = context.client.delete_message_batch(&queue, entries).await?;
    assert_eq!(
        deleted
            .successful
            .iter()
            .map(|entry| entry.id.as_str())
            .collect::<Vec<_>>(),
        ["good"]
    );
    assert_eq!(deleted.failed.len(), 1);
    assert_eq!(deleted.failed[0].id, "bad");
    assert_eq!(deleted.failed[0].code, ErrorCode::ReceiptHandleIsInvalid);
    assert!(deleted.failed[0].sender_fault);
    Ok(())
}

async fn a_batch_is_checked_before_it_is_sent(context: Context) -> Outcome {
    let no_queue = "http://127.0.0.1:1/000000000000/none";
    let refused = |entries: Vec<SendMessageBatchEntry>| {
        let context = context.clone();
        async move {
            let error = context.client.send_message_batch(no_queue, entries).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!error.may_have_been_sent());
        }
    };
    refused(vec![]).await;
    refused(vec![
        SendMessageBatchEntry::new("a", "x"),
        SendMessageBatchEntry::new("a", "y"),
    ])
    .await;
    refused(
        (0..11)
            .map(|i| SendMessageBatchEntry::new(i.to_string(), "x"))
            .collect(),
    )
    .await;
    let half = "x".repeat(limits::MAX_MESSAGE_BYTES / 2 + 1);
    refused(["a", "b"].map(|id| SendMessageBatchEntry::new(id, half.clone())).into()).await;
    Ok(())
}

async fn a_batch_of_the_maximum_size_passes(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let body = "y".repeat(limits::MAX_MESSAGE_BYTES / 10);
    let entries = (0..10).map(|i| SendMessageBatchEntry::new(i.to_string(), body.clone()));
    let sent = context.client.send_message_batch(&queue, entries).await?;
    assert_eq!((sent.successful.len(), sent.failed.len()), (10, 0));
    let messages = receive_all(&context, &queue, 10).await?;
    assert!(messages.iter().all(|message| message.body == body));
    Ok(())
}

async fn visibility_changes_entry_by_entry(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let entries = ["a", "b", "c"].map(|body| SendMessageBatchEntry::new(body, body));
    context.client.send_message_batch(&queue, entries).await?;
    let messages = receive_all(&context, &queue, 3).await?;
    let timeout = |body: &str| Duration::from_secs(if body == "b" { 0 } else { 60 });
    let mut entries: Vec<_> = messages
        .iter()
        .map(|m| ChangeMessageVisibilityBatchEntry::new(&m.body, &m.receipt_handle, timeout(&m.body)))
        .collect();
    entries.push(ChangeMessageVisibilityBatchEntry::new(
        "bad",
        "no-such-handle",
        Duration::ZERO,
    ));
    let changed = context.client.change_message_visibility_batch(&queue, entries).await?;
    let mut ids: Vec<&str> = changed.successful.iter().map(|entry| entry.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!((changed.failed.len(), changed.failed[0].id.as_str()), (1, "bad"));
    assert!(changed.failed[0].sender_fault);
    assert_eq!(changed.failed[0].code, ErrorCode::ReceiptHandleIsInvalid);
    // Only the returned message is received again.
    let again = receive_all(&context, &queue, 1).await?;
    assert_eq!(again[0].body, "b");
    assert!(is_empty(&context, &queue).await?);
    let long = ChangeMessageVisibilityBatchEntry::new("a", "h", Duration::from_secs(43_201));
    let error = context
        .client
        .change_message_visibility_batch(&queue, [long])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    Ok(())
}
