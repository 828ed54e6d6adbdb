//! Tests dead letters and the tasks that move them back.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sqs_client::types::{
    MessageMoveTask, MessageMoveTaskStatus, MessageSystemAttributeName, QueueAttributeName, RedrivePolicy,
};
use sqs_client::{ErrorCode, QueueAttributes};

use super::{cases, is_empty, receive_all};
use crate::harness::{Context, Outcome, Quirk};

cases! {
    a_dead_letter_names_its_source,
    messages_move_back,
    messages_move_to_another_queue,
    a_task_can_be_cancelled,
    a_missing_task_or_queue_is_reported,
}

/// Returns the queue's ARN.
pub(super) async fn arn(context: &Context, queue: &str) -> anyhow::Result<String> {
    let names = [QueueAttributeName::QueueArn];
    let attributes = context.client.get_queue_attributes(queue, names).await?.attributes;
    attributes.queue_arn.context("an ARN")
}

/// A queue and its dead-letter queue.
struct Letters {
    source: String,
    source_arn: String,
    dead: String,
    dead_arn: String,
}

/// Sends messages and receives them until all are dead letters.
async fn dead_letters(context: &Context, count: usize) -> anyhow::Result<Letters> {
    let dead = context.queue().await?;
    let dead_arn = arn(context, &dead).await?;
    let mut attributes = QueueAttributes::default();
    attributes.redrive_policy = Some(RedrivePolicy::new(&dead_arn, 1));
    attributes.visibility_timeout = Some(Duration::ZERO);
    let source = context.queue_with("", attributes).await?;
    for i in 0..count {
        context.client.send_message(&source, format!("letter {i}")).await?;
    }
    let names = [QueueAttributeName::ApproximateNumberOfMessages];
    for _ in 0..50 {
        context.client.receive_message(&source).max_messages(10).await?;
        let attributes = context
            .client
            .get_queue_attributes(&dead, names.clone())
            .await?
            .attributes;
        if attributes.approximate_number_of_messages == Some(count as u64) {
            let source_arn = arn(context, &source).await?;
            return Ok(Letters {
                source,
                source_arn,
                dead,
                dead_arn,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the messages do not reach the dead-letter queue")
}

/// Waits for the latest task to end and returns it.
async fn finished(context: &Context, source_arn: &str) -> anyhow::Result<MessageMoveTask> {
    for _ in 0..100 {
        let task = latest(context, source_arn).await?;
        if !matches!(
            task.status,
            MessageMoveTaskStatus::Running | MessageMoveTaskStatus::Cancelling
        ) {
            return Ok(task);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the task does not end")
}

async fn latest(context: &Context, source_arn: &str) -> anyhow::Result<MessageMoveTask> {
    let tasks = context.client.list_message_move_tasks(source_arn).await?.results;
    anyhow::ensure!(tasks.len() == 1, "{tasks:?}");
    tasks.into_iter().next().context("a task")
}

async fn a_dead_letter_names_its_source(context: Context) -> Outcome {
    let letters = dead_letters(&context, 1).await?;
    let receive = context.client.receive_message(&letters.dead);
    let message = receive
        .message_system_attribute_names([MessageSystemAttributeName::All])
        .await?
        .messages
        .remove(0);
    if !context.backend.has(Quirk::NoDeadLetterSource) {
        assert_eq!(
            message.attributes.dead_letter_queue_source_arn(),
            Some(&*letters.source_arn)
        );
    }
    assert!(message.attributes.sender_id().is_some_and(|id| !id.is_empty()));
    Ok(())
}

async fn messages_move_back(context: Context) -> Outcome {
    if context.backend.has(Quirk::NoMoveTasks) {
        return Ok(());
    }
    let letters = dead_letters(&context, 3).await?;
    let client = &context.client;
    let before = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let started = client.start_message_move_task(&letters.dead_arn).await?;
    assert!(!started.task_handle.is_empty());
    let task = finished(&context, &letters.dead_arn).await?;
    assert_eq!(task.status, MessageMoveTaskStatus::Completed, "{task:?}");
    assert_eq!(task.source_arn, letters.dead_arn);
    assert_eq!(task.approximate_number_of_messages_moved, 3);
    assert!(task.started_timestamp.is_some_and(|at| at > before), "{task:?}");
    receive_all(&context, &letters.source, 3).await?;
    assert!(is_empty(&context, &letters.dead).await?);
    Ok(())
}

async fn messages_move_to_another_queue(context: Context) -> Outcome {
    if context.backend.has(Quirk::NoMoveTasks) {
        return Ok(());
    }
    let letters = dead_letters(&context, 2).await?;
    let other = context.queue().await?;
    let other_arn = arn(&context, &other).await?;
    let start = context.client.start_message_move_task(&letters.dead_arn);
    start.destination_arn(&other_arn).await?;
    let task = finished(&context, &letters.dead_arn).await?;
    assert_eq!(task.destination_arn.as_deref(), Some(&*other_arn));
    receive_all(&context, &other, 2).await?;
    Ok(())
}

async fn a_task_can_be_cancelled(context: Context) -> Outcome {
    if context.backend.has(Quirk::NoMoveTasks) {
        return Ok(());
    }
    let letters = dead_letters(&context, 5).await?;
    let client = &context.client;
    let start = || {
        client
            .start_message_move_task(&letters.dead_arn)
            .max_number_of_messages_per_second(1)
    };
    let started = start().await?;
    let running = latest(&context, &letters.dead_arn).await?;
    assert_eq!(running.status, MessageMoveTaskStatus::Running);
    assert_eq!(running.task_handle.as_deref(), Some(&*started.task_handle));
    assert_eq!(running.max_number_of_messages_per_second, Some(1));
    let error = start().await.unwrap_err();
    let expected = match context.backend.has(Quirk::OtherErrorCodes) {
        true => ErrorCode::UnsupportedOperation,
        false => ErrorCode::InvalidParameterValue,
    };
    assert_eq!(error.code(), Some(&expected), "{error:?}");
    let cancelled = client.cancel_message_move_task(&started.task_handle).await?;
    assert!(cancelled.approximate_number_of_messages_moved < 5);
    if !context.backend.has(Quirk::ForgetsCancelledTasks) {
        let task = finished(&context, &letters.dead_arn).await?;
        assert_eq!(task.status, MessageMoveTaskStatus::Cancelled);
    }
    assert!(!is_empty(&context, &letters.dead).await?);
    Ok(())
}

async fn a_missing_task_or_queue_is_reported(context: Context) -> Outcome {
    if context.backend.has(Quirk::NoMoveTasks) {
        return Ok(());
    }
    let client = &context.client;
    let missing = format!("{}-missing", arn(&context, &context.queue().await?).await?);
    let task = serde_json::json!({"taskId": "none", "sourceArn": missing});
    let task = BASE64_STANDARD.encode(task.to_string());
    for error in [
        client.cancel_message_move_task(task).await.unwrap_err(),
        client.start_message_move_task(&missing).await.unwrap_err(),
        client.list_message_move_tasks(&missing).await.unwrap_err(),
    ] {
        assert!(error.is_sender_fault(), "{error:?}");
        if !context.backend.has(Quirk::OtherErrorCodes) {
            assert_eq!(error.code(), Some(&ErrorCode::ResourceNotFoundException), "{error:?}");
        }
    }
    Ok(())
}
