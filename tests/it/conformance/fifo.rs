use std::time::Duration;

use anyhow::Context as _;
use sqs_client::types::{
    DeduplicationScope, FifoThroughputLimit, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchEntry,
};
use sqs_client::{Message, OutgoingMessage, QueueAttributes};

use super::{cases, is_empty, receive_all};
use crate::harness::{Context, Outcome, Quirk};

cases! {
    a_group_keeps_its_order,
    a_repeated_id_is_dropped,
    a_repeated_body_is_dropped_by_content_based_deduplication,
    a_group_waits_for_its_message_in_flight,
    a_returned_head_comes_before_the_message_in_flight_behind_it,
    a_returned_message_waits_for_the_one_in_flight_before_it,
    messages_that_time_out_come_before_an_extended_one,
    high_throughput_deduplicates_by_group,
}

async fn fifo(context: &Context, content_based: bool) -> anyhow::Result<String> {
    let mut attributes = QueueAttributes::default();
    attributes.content_based_deduplication = Some(content_based);
    context.queue_with(".fifo", attributes).await
}

async fn a_group_keeps_its_order(context: Context) -> Outcome {
    let queue = fifo(&context, true).await?;
    let mut sequence = Vec::new();
    for i in 0..5 {
        let sent = context
            .client
            .send_message(&queue, format!("{i}"))
            .message_group_id("g")
            .await?;
        sequence.push(sent.sequence_number.unwrap_or_default());
    }
    let entries = (5..10).map(|i| {
        let message = OutgoingMessage::new(format!("{i}")).message_group_id("g");
        SendMessageBatchEntry::new(i.to_string(), message)
    });
    context.client.send_message_batch(&queue, entries).await?;
    if !context.backend.has(Quirk::NoSequenceNumbers) {
        assert!(
            sequence.is_sorted() && sequence.iter().all(|number| !number.is_empty()),
            "{sequence:?}"
        );
    }
    let received = context
        .client
        .receive_message(&queue)
        .max_messages(10)
        .message_system_attribute_names([MessageSystemAttributeName::MessageGroupId])
        .await?
        .messages;
    let bodies: Vec<&str> = received.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(bodies, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert!(
        received
            .iter()
            .all(|message| message.attributes.message_group_id() == Some("g"))
    );
    Ok(())
}

async fn a_repeated_id_is_dropped(context: Context) -> Outcome {
    let queue = fifo(&context, false).await?;
    let send = |body: &'static str, id: &'static str| {
        context
            .client
            .send_message(&queue, body)
            .message_group_id("g")
            .message_deduplication_id(id)
            .into_future()
    };
    let first = send("one", "a").await?;
    let repeated = send("another body", "a").await;
    send("two", "b").await?;
    // Servers respond differently, but all of them drop the message.
    match repeated {
        Ok(repeated) if !context.backend.has(Quirk::NewIdForDuplicates) => {
            assert_eq!(repeated.message_id, first.message_id);
        }
        _ => {}
    }
    let bodies: Vec<String> = receive_all(&context, &queue, 2)
        .await?
        .into_iter()
        .map(|m| m.body)
        .collect();
    assert_eq!(bodies, ["one", "two"]);
    Ok(())
}

async fn a_repeated_body_is_dropped_by_content_based_deduplication(context: Context) -> Outcome {
    let queue = fifo(&context, true).await?;
    for body in ["same", "same", "other"] {
        context.client.send_message(&queue, body).message_group_id("g").await?;
    }
    let bodies: Vec<String> = receive_all(&context, &queue, 2)
        .await?
        .into_iter()
        .map(|m| m.body)
        .collect();
    assert_eq!(bodies, ["same", "other"]);
    Ok(())
}

async fn a_group_waits_for_its_message_in_flight(context: Context) -> Outcome {
    let queue = fifo(&context, true).await?;
    for (body, group) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
        context
            .client
            .send_message(&queue, body)
            .message_group_id(group)
            .await?;
    }
    let receive = || {
        context
            .client
            .receive_message(&queue)
            .visibility_timeout(Duration::from_secs(60))
            .into_future()
    };
    let first = receive().await?.messages.remove(0);
    assert_eq!(first.body, "a1");
    // Group a waits for its head. Group b does not.
    assert_eq!(receive().await?.messages.remove(0).body, "b1");
    assert!(is_empty(&context, &queue).await?);
    context.client.delete_message(&queue, first.receipt_handle).await?;
    assert_eq!(receive().await?.messages.remove(0).body, "a2");
    Ok(())
}

/// Sends messages with these bodies in one group to a new queue.
async fn group_of(context: &Context, bodies: &[&str]) -> anyhow::Result<String> {
    let queue = fifo(context, true).await?;
    for body in bodies {
        context.client.send_message(&queue, *body).message_group_id("g").await?;
    }
    Ok(queue)
}

/// Receives up to 10 messages, which are then in flight, and returns their bodies.
async fn bodies_now(context: &Context, queue: &str) -> anyhow::Result<Vec<String>> {
    let receive = context.client.receive_message(queue).max_messages(10);
    let received = receive.visibility_timeout(Duration::from_secs(60)).await?;
    Ok(received.messages.into_iter().map(|message| message.body).collect())
}

async fn return_to_queue(context: &Context, queue: &str, message: &Message) -> anyhow::Result<()> {
    let handle = &message.receipt_handle;
    let returned = context.client.change_message_visibility(queue, handle, Duration::ZERO);
    returned.await?;
    Ok(())
}

async fn a_returned_head_comes_before_the_message_in_flight_behind_it(context: Context) -> Outcome {
    let queue = group_of(&context, &["1", "2"]).await?;
    let received = receive_all(&context, &queue, 2).await?;
    context.client.send_message(&queue, "3").message_group_id("g").await?;
    return_to_queue(&context, &queue, &received[0]).await?;
    let expected: &[&str] = if context.backend.has(Quirk::LocksGroups) {
        &[]
    } else {
        &["1"]
    };
    assert_eq!(bodies_now(&context, &queue).await?, expected);
    Ok(())
}

async fn a_returned_message_waits_for_the_one_in_flight_before_it(context: Context) -> Outcome {
    let queue = group_of(&context, &["1", "2"]).await?;
    let received = receive_all(&context, &queue, 2).await?;
    context.client.send_message(&queue, "3").message_group_id("g").await?;
    return_to_queue(&context, &queue, &received[1]).await?;
    assert_eq!(bodies_now(&context, &queue).await?, [""; 0]);
    context
        .client
        .delete_message(&queue, &received[0].receipt_handle)
        .await?;
    assert_eq!(bodies_now(&context, &queue).await?, ["2", "3"]);
    Ok(())
}

async fn messages_that_time_out_come_before_an_extended_one(context: Context) -> Outcome {
    let queue = group_of(&context, &["1", "2", "3"]).await?;
    let timeout = Duration::from_secs(4);
    let receive = context.client.receive_message(&queue).max_messages(10);
    let received = receive.visibility_timeout(timeout).await?.messages;
    let (extended, others) = received.split_last().context("three messages")?;
    assert_eq!((extended.body.as_str(), others.len()), ("3", 2));
    let handle = &extended.receipt_handle;
    let extension = Duration::from_secs(60);
    context
        .client
        .change_message_visibility(&queue, handle, extension)
        .await?;
    tokio::time::sleep(timeout + Duration::from_secs(1)).await;
    let expected: &[&str] = if context.backend.has(Quirk::LocksGroups) {
        &[]
    } else {
        &["1", "2"]
    };
    assert_eq!(bodies_now(&context, &queue).await?, expected);
    Ok(())
}

async fn high_throughput_deduplicates_by_group(context: Context) -> Outcome {
    let attributes = QueueAttributes::default().high_throughput_fifo();
    let queue = context.queue_with(".fifo", attributes).await?;
    let names = [QueueAttributeName::All];
    let read = context.client.get_queue_attributes(&queue, names).await?.attributes;
    if !context.backend.has(Quirk::ForgetsAttributes) {
        assert_eq!(read.deduplication_scope, Some(DeduplicationScope::MessageGroup));
        assert_eq!(read.fifo_throughput_limit, Some(FifoThroughputLimit::PerMessageGroupId));
    }
    for group in ["a", "b", "a"] {
        let message = context.client.send_message(&queue, group).message_group_id(group);
        message.message_deduplication_id("same").await?;
    }
    if !context.backend.has(Quirk::NoDeduplicationScope) {
        receive_all(&context, &queue, 2).await?;
    }
    Ok(())
}
