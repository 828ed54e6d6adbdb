//! The shortest sequences of calls that show the effect of an action. A failed preparation fails the test. A refusal of
//! the action itself is a result.

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

/// Returns the action's response, or `None` if the server has no such action. Any other error fails the test.
fn response<T>(result: Result<T, Error>) -> anyhow::Result<Option<T>> {
    match result {
        Ok(output) => Ok(Some(output)),
        Err(error) if is_unknown(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// moto reports an unknown action as an internal error.
fn is_unknown(error: &Error) -> bool {
    let refused = matches!(
        error.code(),
        Some(ErrorCode::InvalidAction | ErrorCode::UnsupportedOperation)
    );
    refused || (error.kind() == ErrorKind::Service && error.status() == Some(500))
}

/// Derives the support from the response and the observed effect.
fn support<T>(response: Option<T>, effect: bool) -> Support {
    match response {
        None => Support::No,
        Some(_) if effect => Support::Yes,
        Some(_) => Support::Forgets,
    }
}

/// Receives one message and hides it.
async fn receive(client: &Client, queue: &str) -> anyhow::Result<Message> {
    let receive = client.receive_message(queue).visibility_timeout(MINUTE);
    let received = receive.wait_time(Duration::from_secs(5)).await?.messages;
    received.into_iter().next().context("a message")
}

/// Sends a message to a new queue and receives it.
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

/// Returns the number of messages in the queue, including hidden ones.
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
    let response = response(
        client
            .add_permission(&queue, "l", ["111122223333"], ["SendMessage"])
            .await,
    )?;
    let policy = attributes(client, &queue).await?.policy;
    Ok(support(
        response,
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
    let response = response(client.remove_permission(&queue, "l").await)?;
    Ok(support(response, attributes(client, &queue).await?.policy != before))
}

/// Creates a dead-letter queue with five messages, and its source queue. Returns both ARNs.
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
    let response = response(start.await)?;
    let named = response.as_ref().is_some_and(|started| !started.task_handle.is_empty());
    Ok(support(response, named))
}

pub async fn list_message_move_tasks(context: Context) -> Found {
    let client = &context.client;
    let (dead, source) = dead_letters(&context).await?;
    let started = response(client.start_message_move_task(&dead).destination_arn(&source).await)?;
    let response = response(client.list_message_move_tasks(&dead).await)?;
    let listed = response.as_ref().is_some_and(|tasks| tasks.results.len() == 1);
    Ok(support(response, started.is_some() && listed))
}

pub async fn cancel_message_move_task(context: Context) -> Found {
    let client = &context.client;
    let (dead, source) = dead_letters(&context).await?;
    let start = client.start_message_move_task(dead).destination_arn(source);
    let started = response(start.max_number_of_messages_per_second(1).await)?;
    let handle = started.map_or_else(|| "none".to_owned(), |started| started.task_handle);
    let response = response(client.cancel_message_move_task(handle).await)?;
    let stopped = response
        .as_ref()
        .is_some_and(|cancelled| cancelled.approximate_number_of_messages_moved < 5);
    Ok(support(response, stopped))
}

pub async fn change_message_visibility(context: Context) -> Found {
    let client = &context.client;
    let (queue, message) = received(&context).await?;
    let change = client.change_message_visibility(&queue, &message.receipt_handle, Duration::ZERO);
    let response = response(change.await)?;
    Ok(support(response, receive(client, &queue).await.is_ok()))
}

pub async fn change_message_visibility_batch(context: Context) -> Found {
    let client = &context.client;
    let (queue, message) = received(&context).await?;
    let entry = ChangeMessageVisibilityBatchEntry::new("a", &message.receipt_handle, Duration::ZERO);
    let response = response(client.change_message_visibility_batch(&queue, [entry]).await)?;
    Ok(support(response, receive(client, &queue).await.is_ok()))
}

pub async fn create_queue(context: Context) -> Found {
    let name = unique("queue");
    let response = response(context.client.create_queue(&name).await)?;
    let found = context.client.get_queue_url(name).await?.queue_url;
    let same = response.as_ref().is_some_and(|created| created.queue_url == found);
    Ok(support(response, same))
}

pub async fn delete_message(context: Context) -> Found {
    let client = &context.client;
    let (queue, message) = received(&context).await?;
    let response = response(client.delete_message(&queue, message.receipt_handle).await)?;
    Ok(support(response, count(client, &queue).await? == 0))
}

pub async fn delete_message_batch(context: Context) -> Found {
    let client = &context.client;
    let (queue, message) = received(&context).await?;
    let entry = DeleteMessageBatchEntry::new("a", message.receipt_handle);
    let response = response(client.delete_message_batch(&queue, [entry]).await)?;
    Ok(support(response, count(client, &queue).await? == 0))
}

pub async fn delete_queue(context: Context) -> Found {
    let client = &context.client;
    let name = unique("queue");
    let queue = client.create_queue(&name).await?.queue_url;
    let response = response(client.delete_queue(queue).await)?;
    Ok(support(response, client.get_queue_url(name).await.is_err()))
}

pub async fn get_queue_attributes(context: Context) -> Found {
    let queue = context.queue().await?;
    let names = [QueueAttributeName::QueueArn];
    let response = response(context.client.get_queue_attributes(queue, names).await)?;
    let returned = response
        .as_ref()
        .is_some_and(|output| output.attributes.queue_arn.is_some());
    Ok(support(response, returned))
}

pub async fn set_queue_attributes(context: Context) -> Found {
    let client = &context.client;
    let queue = context.queue().await?;
    let mut changed = QueueAttributes::default();
    changed.visibility_timeout = Some(MINUTE);
    let response = response(client.set_queue_attributes(&queue, changed).await)?;
    let read = attributes(client, &queue).await?.visibility_timeout;
    Ok(support(response, read == Some(MINUTE)))
}

pub async fn get_queue_url(context: Context) -> Found {
    let name = unique("queue");
    let created = context.client.create_queue(&name).await?.queue_url;
    let response = response(context.client.get_queue_url(name).await)?;
    let same = response.as_ref().is_some_and(|found| found.queue_url == created);
    Ok(support(response, same))
}

pub async fn list_dead_letter_source_queues(context: Context) -> Found {
    let client = &context.client;
    let dead = context.queue().await?;
    let mut attributes = QueueAttributes::default();
    attributes.redrive_policy = Some(RedrivePolicy::new(arn(client, &dead).await?, 1));
    let source = context.queue_with("", attributes).await?;
    let response = response(client.list_dead_letter_source_queues(dead).await)?;
    let listed = response.as_ref().is_some_and(|list| list.queue_urls == [source]);
    Ok(support(response, listed))
}

pub async fn list_queues(context: Context) -> Found {
    let name = unique("queue");
    let created = context.client.create_queue(&name).await?.queue_url;
    let response = response(context.client.list_queues().queue_name_prefix(name).await)?;
    let listed = response.as_ref().is_some_and(|list| list.queue_urls.contains(&created));
    Ok(support(response, listed))
}

pub async fn list_queue_tags(context: Context) -> Found {
    let queue = context.client.create_queue(unique("queue")).tag("k", "v").await?;
    let response = response(context.client.list_queue_tags(queue.queue_url).await)?;
    let listed = response.as_ref().is_some_and(|list| list.tags["k"] == "v");
    Ok(support(response, listed))
}

pub async fn tag_queue(context: Context) -> Found {
    let client = &context.client;
    let queue = context.queue().await?;
    let response = response(client.tag_queue(&queue, [("k", "v")]).await)?;
    Ok(support(response, client.list_queue_tags(queue).await?.tags.len() == 1))
}

pub async fn untag_queue(context: Context) -> Found {
    let client = &context.client;
    let queue = client.create_queue(unique("queue")).tag("k", "v").await?.queue_url;
    let response = response(client.untag_queue(&queue, ["k"]).await)?;
    Ok(support(response, client.list_queue_tags(queue).await?.tags.is_empty()))
}

pub async fn purge_queue(context: Context) -> Found {
    let client = &context.client;
    let queue = context.queue().await?;
    client.send_message(&queue, "hello").await?;
    let response = response(client.purge_queue(&queue).await)?;
    Ok(support(response, count(client, &queue).await? == 0))
}

pub async fn receive_message(context: Context) -> Found {
    let queue = context.queue().await?;
    context.client.send_message(&queue, "hello").await?;
    let receive = context.client.receive_message(queue).wait_time(Duration::from_secs(5));
    let response = response(receive.await)?;
    let arrived = response
        .as_ref()
        .is_some_and(|received| received.messages.iter().any(|message| message.body == "hello"));
    Ok(support(response, arrived))
}

pub async fn send_message(context: Context) -> Found {
    let queue = context.queue().await?;
    let response = response(context.client.send_message(&queue, "hello").await)?;
    Ok(support(response, count(&context.client, &queue).await? == 1))
}

pub async fn send_message_batch(context: Context) -> Found {
    let queue = context.queue().await?;
    let entries = ["a", "b"].map(|id| SendMessageBatchEntry::new(id, "hello"));
    let response = response(context.client.send_message_batch(&queue, entries).await)?;
    Ok(support(response, count(&context.client, &queue).await? == 2))
}
