use std::time::Duration;

use sqs_client::{ErrorCode, QueueAttributeName, QueueAttributes};

use super::{cases, is_empty, receive_all};
use crate::bench::{Backend, Context, Outcome, unique};

cases! {
    created_found_and_deleted,
    created_twice_is_the_same_queue,
    attributes_are_kept,
    purge_empties,
}

async fn created_found_and_deleted(context: Context) -> Outcome {
    let name = unique("found");
    let client = &context.client;
    let created = client.create_queue(&name).tag("team", "a b&c").await?.queue_url;
    let found = client.get_queue_url(&name).await?.queue_url;
    assert_eq!(created, found);
    client.delete_queue(&created).await?;
    let gone = client.get_queue_url(&name).await.unwrap_err();
    assert_eq!(gone.code(), Some(&ErrorCode::QueueDoesNotExist));
    Ok(())
}

async fn created_twice_is_the_same_queue(context: Context) -> Outcome {
    let name = unique("twice");
    let first = context.client.create_queue(&name).await?.queue_url;
    let second = context.client.create_queue(&name).await?.queue_url;
    assert_eq!(first, second);
    Ok(())
}

async fn attributes_are_kept(context: Context) -> Outcome {
    let mut attributes = QueueAttributes::default();
    attributes.visibility_timeout = Some(Duration::from_secs(77));
    attributes.delay = Some(Duration::from_secs(1));
    attributes.receive_message_wait_time = Some(Duration::from_secs(2));
    let queue = context.queue_with("", attributes.clone()).await?;
    context.client.send_message(&queue, "x").await?;
    let read = context
        .client
        .get_queue_attributes(&queue, [QueueAttributeName::All])
        .await?
        .attributes;
    assert_eq!(read.visibility_timeout, attributes.visibility_timeout);
    assert_eq!(read.delay, attributes.delay);
    assert_eq!(read.receive_message_wait_time, attributes.receive_message_wait_time);
    assert!(
        read.queue_arn
            .is_some_and(|arn| queue.ends_with(arn.rsplit(':').next().unwrap_or("?")))
    );
    Ok(())
}

async fn purge_empties(context: Context) -> Outcome {
    let queue = context.queue().await?;
    for body in ["a", "b", "c"] {
        context.client.send_message(&queue, body).await?;
    }
    receive_all(&context, &queue, 3).await?;
    context.client.send_message(&queue, "d").await?;
    context.client.purge_queue(&queue).await?;
    assert!(is_empty(&context, &queue).await?);
    if context.backend != Backend::Embedded {
        return Ok(());
    }
    let again = context.client.purge_queue(&queue).await.unwrap_err();
    assert_eq!(again.code(), Some(&ErrorCode::PurgeQueueInProgress));
    Ok(())
}
