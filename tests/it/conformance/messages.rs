use std::time::Duration;

use sqs_client::types::MessageSystemAttributeName;
use sqs_client::{ErrorKind, OutgoingMessage, limits};
use tokio::time::{Instant, sleep};

use super::{cases, is_empty, receive_one};
use crate::harness::{Context, Outcome, Quirk};

cases! {
    a_message_is_sent_received_and_deleted,
    unicode_arrives_unchanged,
    json_arrives_unchanged,
    the_longest_message_passes,
    a_long_poll_ends_when_a_message_arrives,
    a_received_message_is_hidden_until_its_timeout,
    visibility_zero_returns_a_message,
    visibility_can_be_extended,
    a_delayed_message_is_hidden,
    system_attributes_are_returned,
}

async fn a_message_is_sent_received_and_deleted(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let sent = context.client.send_message(&queue, "hello").await?;
    let message = receive_one(&context, &queue).await?;
    assert_eq!(message.body, "hello");
    assert_eq!(message.message_id, sent.message_id);
    assert_eq!(message.md5_of_body.as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    context.client.delete_message(&queue, &message.receipt_handle).await?;
    if !context.backend.has(Quirk::DeletingTwiceFails) {
        context.client.delete_message(&queue, &message.receipt_handle).await?;
    }
    assert!(is_empty(&context, &queue).await?);
    Ok(())
}

async fn unicode_arrives_unchanged(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let bodies = [
        "grüße, 世界, 🦀, e\u{301}, \u{10ffff}",
        "<xml attr=\"a&b\">&lt;]]> '</xml>",
        "{\"json\": \"\\u0041 \\\\ \\\" /\"}",
        "tab\there, line\nfeed, carriage\rreturn, both\r\n, end ",
        " a=b&c=d+e%20f; 100%",
        "\u{fffd}\u{e000}\u{d7ff}",
    ];
    for body in bodies {
        context.client.send_message(&queue, body).await?;
        let message = receive_one(&context, &queue).await?;
        assert_eq!(message.body, body);
        context.client.delete_message(&queue, message.receipt_handle).await?;
    }
    Ok(())
}

async fn json_arrives_unchanged(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let value = ("grüße \"\n", [1, 2], None::<u8>);
    context
        .client
        .send_message(&queue, OutgoingMessage::json(&value)?)
        .await?;
    let message = receive_one(&context, &queue).await?;
    assert_eq!(
        message.json::<(String, [u8; 2], Option<u8>)>()?,
        (value.0.to_owned(), value.1, value.2)
    );
    assert_eq!(message.json::<bool>().unwrap_err().kind(), ErrorKind::Body);
    Ok(())
}

async fn the_longest_message_passes(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let body = "0123456789abcdef".repeat(limits::MAX_MESSAGE_BYTES / 16);
    context.client.send_message(&queue, body.clone()).await?;
    let message = receive_one(&context, &queue).await?;
    assert!(
        message.body == body,
        "{} bytes arrived, or the body changed",
        message.body.len()
    );
    Ok(())
}

async fn a_long_poll_ends_when_a_message_arrives(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let begin = Instant::now();
    let poll = context
        .client
        .receive_message(&queue)
        .wait_time(Duration::from_secs(20))
        .into_future();
    let send = async {
        sleep(Duration::from_millis(300)).await;
        context.client.send_message(&queue, "late").await
    };
    let (polled, sent) = tokio::join!(poll, send);
    sent?;
    let bodies: Vec<String> = polled?.messages.into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, ["late"]);
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    Ok(())
}

async fn a_received_message_is_hidden_until_its_timeout(context: Context) -> Outcome {
    let queue = context.queue().await?;
    context.client.send_message(&queue, "again").await?;
    let receive = || {
        context
            .client
            .receive_message(&queue)
            .visibility_timeout(Duration::from_secs(1))
            .wait_time(Duration::from_secs(5))
            .message_system_attribute_names([MessageSystemAttributeName::ApproximateReceiveCount])
    };
    let first = receive().await?.messages;
    assert_eq!(first.len(), 1);
    assert!(is_empty(&context, &queue).await?);
    sleep(Duration::from_millis(1_100)).await;
    let second = receive().await?.messages;
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].message_id, first[0].message_id);
    assert_ne!(second[0].receipt_handle, first[0].receipt_handle);
    assert_eq!(second[0].attributes.approximate_receive_count(), Some(2));
    Ok(())
}

async fn visibility_zero_returns_a_message(context: Context) -> Outcome {
    let queue = context.queue().await?;
    context.client.send_message(&queue, "back").await?;
    let message = receive_one(&context, &queue).await?;
    assert!(is_empty(&context, &queue).await?);
    let handle = &message.receipt_handle;
    context
        .client
        .change_message_visibility(&queue, handle, Duration::ZERO)
        .await?;
    assert_eq!(receive_one(&context, &queue).await?.body, "back");
    Ok(())
}

async fn visibility_can_be_extended(context: Context) -> Outcome {
    let queue = context.queue().await?;
    context.client.send_message(&queue, "extended").await?;
    let short = Duration::from_secs(1);
    let received = context
        .client
        .receive_message(&queue)
        .visibility_timeout(short)
        .await?
        .messages;
    let handle = &received[0].receipt_handle;
    context
        .client
        .change_message_visibility(&queue, handle, Duration::from_secs(60))
        .await?;
    sleep(Duration::from_millis(1_300)).await;
    assert!(is_empty(&context, &queue).await?);
    context.client.delete_message(&queue, handle).await?;
    Ok(())
}

async fn a_delayed_message_is_hidden(context: Context) -> Outcome {
    let queue = context.queue().await?;
    context
        .client
        .send_message(&queue, "later")
        .delay(Duration::from_secs(2))
        .await?;
    assert!(is_empty(&context, &queue).await?);
    assert_eq!(receive_one(&context, &queue).await?.body, "later");
    Ok(())
}

async fn system_attributes_are_returned(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let before = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    context
        .client
        .send_message(&queue, "x")
        .trace_header("Root=1-5759e988-bd862e3fe1be46a994272793")
        .await?;
    let received = context
        .client
        .receive_message(&queue)
        .message_system_attribute_names([MessageSystemAttributeName::All])
        .wait_time(Duration::from_secs(5))
        .await?;
    let attributes = &received.messages[0].attributes;
    assert!(attributes.sent_timestamp().is_some_and(|time| time > before));
    assert!(
        attributes
            .approximate_first_receive_timestamp()
            .is_some_and(|time| time > before)
    );
    assert_eq!(attributes.approximate_receive_count(), Some(1));
    assert_eq!(
        attributes.aws_trace_header(),
        Some("Root=1-5759e988-bd862e3fe1be46a994272793")
    );
    Ok(())
}
