use sqs_client::{
    DeleteMessageBatchEntry, ErrorCode, ErrorKind, MessageAttributeValue, OutgoingMessage, SendMessageBatchEntry,
    limits,
};

use super::{cases, is_empty, receive_all};
use crate::bench::{Context, Outcome};

cases! {
    ten_are_sent_and_deleted,
    one_entry_can_fail_alone,
    a_batch_is_checked_before_it_is_sent,
    a_full_batch_of_bytes_passes,
}

async fn ten_are_sent_and_deleted(context: Context) -> Outcome {
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

async fn a_full_batch_of_bytes_passes(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let body = "y".repeat(limits::MAX_MESSAGE_BYTES / 10);
    let entries = (0..10).map(|i| SendMessageBatchEntry::new(i.to_string(), body.clone()));
    let sent = context.client.send_message_batch(&queue, entries).await?;
    assert_eq!((sent.successful.len(), sent.failed.len()), (10, 0));
    let messages = receive_all(&context, &queue, 10).await?;
    assert!(messages.iter().all(|message| message.body == body));
    Ok(())
}
