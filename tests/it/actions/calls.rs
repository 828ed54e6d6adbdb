//! The least that shows an action at work. What others need to be called first fails the test; the action's own refusal
//! is an answer.

use std::time::Duration;

use anyhow::Context as _;
use sqs_client::types::{
    ChangeMessageVisibilityBatchEntry, DeleteMessageBatchEntry, QueueAttributeName, RedrivePolicy,
    SendMessageBatchEntry,
};
use sqs_client::{Client, Error, ErrorCode, ErrorKind, Message, QueueAttributes};

use super::Support;
use crate::harness::{Context, unique};

type Found = anyhow::Result<Support>;

const MINUTE: Duration = Duration::from_secs(60);

/// The action's answer, or that the server has no such action; any other error is the test's.
fn answer<T>(result: Result<T, Error>) -> anyhow::Result<Option<T>> {
    match result {
        Ok(output) => Ok(Some(output)),
        Err(error) if is_unknown(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// moto says of what it does not know that it failed itself.
fn is_unknown(error: &Error) -> bool {
    let refused = matches!(
        error.code(),
        Some(ErrorCode::InvalidAction | ErrorCode::UnsupportedOperation)
    );
    refused || (error.kind() == ErrorKind::Service && error.status() == Some(500))
}

/// What the answer and a look at its effect come to.
fn support<T>(answer: Option<T>, effect: bool) -> Support {
    match answer {
        None => Support::No,
        Some(_) if effect => Support::Yes,
        Some(_) => Support::Forgets,
    }
}

/// One message, which is then hidden.
async fn receive(client: &Client, queue: &str) -> anyhow::Result<Message> {
    let receive = client.receive_message(queue).visibility_timeout(MINUTE);
    let received = receive.wait_time(Duration::from_secs(5)).await?.messages;
    received.into_iter().next().context("a message")
}

/// A message that was sent and received.
async fn received(context: &Context) -> anyhow::Result<(String, Message)> {
    let queue = context.queue().await?;
    context.client.send_message(&queue, "hello").await?;
    let message = receive(&context.client, &queue).await?;
    Ok((queue, message))
}

async fn attributes(client: &Client, queue: &str) -> anyhow::Result<QueueAttributes> {
    let all = [QueueAttributeName::All];
    Ok(client.get_queue_attributes(queue, all).await?.attributes)
}

async fn arn(client: &Client, queue: &str) -> anyhow::Result<String> {
    attributes(client, queue).await?.queue_arn.context("an ARN")
}

/// How many messages are in the queue, hidden ones included.
async fn count(client: &Client, queue: &str) -> anyhow::Result<u64> {
    let attributes = attributes(client, queue).await?;
    let visible = attributes.approximate_number_of_messages.unwrap_or_default();
    let hidden = attributes
        .approximate_number_of_messages_not_visible
        .unwrap_or_default();
    Ok(visible + hidden)
}

pub async fn add_permission(context: Context) -> Found {
    let client = &context.client;
    let queue = context.queue().await?;
    let answer = answer(
        client
            .add_permission(&queue, "l", ["111122223333"], ["SendMessage"])
            .await,
    )?;
    let policy = attributes(client, &queue).await?.policy;
    Ok(support(
        answer,
        policy.is_some_and(|policy| policy.as_json().contains("111122223333")),
    ))
}

pub async fn remove_permission(context: Context) -> Found {
    let client = &context.client;
    let queue = context.queue().await?;
    client
        .add_permission(&queue, "l", ["111122223333"], ["SendMessage"])
        .await?;
    let before = attributes(client, &queue).await?.policy;
    let answer = answer(client.remove_permission(&queue, "l").await)?;
    Ok(support(answer, attributes(client, &queue).await?.policy != before))
}

/// A dead-letter queue of some messages, and where it belongs.
async fn dead_letters(context: &Context) -> anyhow::Result<(String, String)> {
    let client = &context.client;
    let dead = context.queue().await?;
    let mut attributes = QueueAttributes::default();
    attributes.redrive_policy = Some(RedrivePolicy::new(arn(client, &dead).await?, 1));
    let source = context.queue_with("", attributes).await?;
    for _ in 0..5 {
        client.send_message(&dead, "letter").await?;
    }
    Ok((arn(client, &dead).await?, arn(client, &source).await?))
}

pub async fn start_message_move_task(context: Context) -> Found {
    let (dead, source) = dead_letters(&context).await?;
    let start = context.client.start_message_move_task(dead).destination_arn(source);
    let answer = answer(start.await)?;
    let named = answer.as_ref().is_some_and(|started| !started.task_handle.is_empty());
    Ok(support(answer, named))
}

pub async fn list_message_move_tasks(context: Context) -> Found {
    let client = &context.client;
    let (dead, source) = dead_letters(&context).await?;
    let started = answer(client.start_message_move_task(&dead).destination_arn(&source).await)?;
    let answer = answer(client.list_message_move_tasks(&dead).await)?;
    let listed = answer.as_ref().is_some_and(|tasks| tasks.results.len() == 1);
    Ok(support(answer, started.is_some() && listed))
}

pub async fn cancel_message_move_task(context: Context) -> Found {
    let client = &context.client;
    let (dead, source) = dead_letters(&context).await?;
    let start = client.start_message_move_task(dead).destination_arn(source);
    let started = answer(start.max_number_of_messages_per_second(1).await)?;
    let handle = started.map_or_else(|| "none".to_owned(), |started| started.task_handle);
    let answer = answer(client.cancel_message_move_task(handle).await)?;
    let stopped = answer
        .as_ref()
        .is_some_and(|cancelled| cancelled.approximate_number_of_messages_moved < 5);
    Ok(support(answer, stopped))
}

pub async fn change_message_visibility(context: Context) -> Found {
    let client = &context.client;
    let (queue, message) = received(&context).await?;
    let change = client.change_message_visibility(&queue, &message.receipt_handle, Duration::ZERO);
    let answer = answer(change.await)?;
    Ok(support(answer, receive(client, &queue).await.is_ok()))
}

pub async fn change_message_visibility_batch(context: Context) -> Found {
    let client = &context.client;
    let (queue, message) = received(&context).await?;
    let entry = ChangeMessageVisibilityBatchEntry::new("a", &message.receipt_handle, Duration::ZERO);
    let answer = answer(client.change_message_visibility_batch(&queue, [entry]).await)?;
    Ok(support(answer, receive(client, &queue).await.is_ok()))
}

pub async fn create_queue(context: Context) -> Found {
    let name = unique("queue");
    let answer = answer(context.client.create_queue(&name).await)?;
    let found = context.client.get_queue_url(name).await?.queue_url;
    let same = answer.as_ref().is_some_and(|created| created.queue_url == found);
    Ok(support(answer, same))
}

pub async fn delete_message(context: Context) -> Found {
    let client = &context.client;
    let (queue, message) = received(&context).await?;
    let answer = answer(client.delete_message(&queue, message.receipt_handle).await)?;
    Ok(support(answer, count(client, &queue).await? == 0))
}

pub async fn delete_message_batch(context: Context) -> Found {
    let client = &context.client;
    let (queue, message) = received(&context).await?;
    let entry = DeleteMessageBatchEntry::new("a", message.receipt_handle);
    let answer = answer(client.delete_message_batch(&queue, [entry]).await)?;
    Ok(support(answer, count(client, &queue).await? == 0))
}

pub async fn delete_queue(context: Context) -> Found {
    let client = &context.client;
    let name = unique("queue");
    let queue = client.create_queue(&name).await?.queue_url;
    let answer = answer(client.delete_queue(queue).await)?;
    Ok(support(answer, client.get_queue_url(name).await.is_err()))
}

pub async fn get_queue_attributes(context: Context) -> Found {
    let queue = context.queue().await?;
    let names = [QueueAttributeName::QueueArn];
    let answer = answer(context.client.get_queue_attributes(queue, names).await)?;
    let told = answer
        .as_ref()
        .is_some_and(|answer| answer.attributes.queue_arn.is_some());
    Ok(support(answer, told))
}

pub async fn set_queue_attributes(context: Context) -> Found {
    let client = &context.client;
    let queue = context.queue().await?;
    let mut set = QueueAttributes::default();
    set.visibility_timeout = Some(MINUTE);
    let answer = answer(client.set_queue_attributes(&queue, set).await)?;
    let kept = attributes(client, &queue).await?.visibility_timeout;
    Ok(support(answer, kept == Some(MINUTE)))
}

pub async fn get_queue_url(context: Context) -> Found {
    let name = unique("queue");
    let created = context.client.create_queue(&name).await?.queue_url;
    let answer = answer(context.client.get_queue_url(name).await)?;
    let same = answer.as_ref().is_some_and(|found| found.queue_url == created);
    Ok(support(answer, same))
}

pub async fn list_dead_letter_source_queues(context: Context) -> Found {
    let client = &context.client;
    let dead = context.queue().await?;
    let mut attributes = QueueAttributes::default();
    attributes.redrive_policy = Some(RedrivePolicy::new(arn(client, &dead).await?, 1));
    let source = context.queue_with("", attributes).await?;
    let answer = answer(client.list_dead_letter_source_queues(dead).await)?;
    let listed = answer.as_ref().is_some_and(|list| list.queue_urls == [source]);
    Ok(support(answer, listed))
}

pub async fn list_queues(context: Context) -> Found {
    let name = unique("queue");
    let created = context.client.create_queue(&name).await?.queue_url;
    let answer = answer(context.client.list_queues().queue_name_prefix(name).await)?;
    let listed = answer.as_ref().is_some_and(|list| list.queue_urls.contains(&created));
    Ok(support(answer, listed))
}

pub async fn list_queue_tags(context: Context) -> Found {
    let queue = context.client.create_queue(unique("queue")).tag("k", "v").await?;
    let answer = answer(context.client.list_queue_tags(queue.queue_url).await)?;
    let listed = answer.as_ref().is_some_and(|list| list.tags["k"] == "v");
    Ok(support(answer, listed))
}

pub async fn tag_queue(context: Context) -> Found {
    let client = &context.client;
    let queue = context.queue().await?;
    let answer = answer(client.tag_queue(&queue, [("k", "v")]).await)?;
    Ok(support(answer, client.list_queue_tags(queue).await?.tags.len() == 1))
}

pub async fn untag_queue(context: Context) -> Found {
    let client = &context.client;
    let queue = client.create_queue(unique("queue")).tag("k", "v").await?.queue_url;
    let answer = answer(client.untag_queue(&queue, ["k"]).await)?;
    Ok(support(answer, client.list_queue_tags(queue).await?.tags.is_empty()))
}

pub async fn purge_queue(context: Context) -> Found {
    let client = &context.client;
    let queue = context.queue().await?;
    client.send_message(&queue, "hello").await?;
    let answer = answer(client.purge_queue(&queue).await)?;
    Ok(support(answer, count(client, &queue).await? == 0))
}

pub async fn receive_message(context: Context) -> Found {
    let queue = context.queue().await?;
    context.client.send_message(&queue, "hello").await?;
    let receive = context.client.receive_message(queue).wait_time(Duration::from_secs(5));
    let answer = answer(receive.await)?;
    let came = answer
        .as_ref()
        .is_some_and(|received| received.messages.iter().any(|message| message.body == "hello"));
    Ok(support(answer, came))
}

pub async fn send_message(context: Context) -> Found {
    let queue = context.queue().await?;
    let answer = answer(context.client.send_message(&queue, "hello").await)?;
    Ok(support(answer, count(&context.client, &queue).await? == 1))
}

pub async fn send_message_batch(context: Context) -> Found {
    let queue = context.queue().await?;
    let entries = ["a", "b"].map(|id| SendMessageBatchEntry::new(id, "hello"));
    let answer = answer(context.client.send_message_batch(&queue, entries).await)?;
    Ok(support(answer, count(&context.client, &queue).await? == 2))
}
