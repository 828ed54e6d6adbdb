use std::time::Duration;

use sqs_client::types::MessageAttributeValue;
use sqs_client::{ErrorCode, ErrorKind, limits};

use super::{cases, receive_one};
use crate::harness::{Context, Outcome, Quirk, unique};

cases! {
    a_missing_queue_is_reported,
    a_bad_receipt_handle_is_reported,
    invalid_characters_are_refused,
    a_visible_message_cannot_be_hidden_longer,
    input_is_checked_before_it_is_sent,
    an_attribute_of_an_unknown_type_is_refused,
}

async fn a_missing_queue_is_reported(context: Context) -> Outcome {
    let client = &context.client;
    let error = client.get_queue_url(unique("missing")).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist), "{error:?}");
    assert_eq!(error.operation(), Some("GetQueueUrl"));
    assert!(error.status().is_some_and(|status| (400..500).contains(&status)));
    assert!(error.is_sender_fault() && !error.is_retryable() && !error.may_have_been_sent());

    let queue = context.queue().await?;
    let missing = format!("{queue}-missing");
    let error = client.send_message(&missing, "x").await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist), "{error:?}");
    let error = client.receive_message(&missing).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist), "{error:?}");
    Ok(())
}

async fn a_bad_receipt_handle_is_reported(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let error = context.client.delete_message(&queue, "garbage").await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::ReceiptHandleIsInvalid), "{error:?}");
    let change = context
        .client
        .change_message_visibility(&queue, "garbage", Duration::from_secs(1));
    let error = change.await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::ReceiptHandleIsInvalid), "{error:?}");
    Ok(())
}

async fn invalid_characters_are_refused(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let error = context.client.send_message(&queue, "a\u{1}b").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("U+0001 at byte 1"), "{error}");
    assert!(!error.to_string().contains('\u{1}'));
    Ok(())
}

async fn a_visible_message_cannot_be_hidden_longer(context: Context) -> Outcome {
    let queue = context.queue().await?;
    context.client.send_message(&queue, "x").await?;
    let handle = receive_one(&context, &queue).await?.receipt_handle;
    context
        .client
        .change_message_visibility(&queue, &handle, Duration::ZERO)
        .await?;
    let change = context
        .client
        .change_message_visibility(&queue, &handle, Duration::from_secs(30));
    if !context.backend.has(Quirk::HidesVisibleMessages) {
        let error = change.await.unwrap_err();
        assert_eq!(error.code(), Some(&ErrorCode::MessageNotInflight), "{error:?}");
    }
    Ok(())
}

async fn input_is_checked_before_it_is_sent(context: Context) -> Outcome {
    let no_queue = "http://127.0.0.1:1/000000000000/none";
    let client = &context.client;
    let long = "x".repeat(limits::MAX_MESSAGE_BYTES + 1);
    let eleven = (0..11).fold(client.send_message(no_queue, "x"), |request, i| {
        request.message_attribute(format!("a{i}"), "v")
    });
    let errors = [
        client.send_message(no_queue, "").await.unwrap_err(),
        client.send_message(no_queue, long).await.unwrap_err(),
        client
            .send_message(no_queue, "x")
            .delay(Duration::from_secs(901))
            .await
            .unwrap_err(),
        eleven.await.unwrap_err(),
        client.receive_message(no_queue).max_messages(0).await.unwrap_err(),
        client.receive_message(no_queue).max_messages(11).await.unwrap_err(),
        client
            .receive_message(no_queue)
            .wait_time(Duration::from_secs(21))
            .await
            .unwrap_err(),
        client
            .change_message_visibility(no_queue, "h", Duration::from_secs(43_201))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    Ok(())
}

async fn an_attribute_of_an_unknown_type_is_refused(context: Context) -> Outcome {
    let queue = context.queue().await?;
    // This value has no constructor, but serde can create it.
    let odd: MessageAttributeValue =
        serde_json::from_value(serde_json::json!({"DataType": "Date", "StringValue": "today"}))?;
    let result = context
        .client
        .send_message(&queue, "x")
        .message_attribute("when", odd)
        .await;
    let error = result.unwrap_err();
    if !context.backend.has(Quirk::OtherErrorCodes) {
        assert!(error.is_sender_fault() && !error.may_have_been_sent(), "{error:?}");
    }
    Ok(())
}
