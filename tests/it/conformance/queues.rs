use std::time::Duration;

use sqs_client::types::{QueueAttributeName, RedrivePolicy};
use sqs_client::{ErrorCode, ErrorKind, QueueAttributes};

use super::moves::arn;
use super::{cases, is_empty, receive_all};
use crate::harness::{Backend, Context, Outcome, Quirk, unique};

cases! {
    a_queue_is_created_found_and_deleted,
    creating_twice_returns_the_same_queue,
    attributes_are_stored,
    attributes_are_changed,
    a_redrive_policy_is_set_and_removed,
    attributes_out_of_range_are_not_sent,
    purge_empties_the_queue,
}

async fn a_queue_is_created_found_and_deleted(context: Context) -> Outcome {
    let name = unique("found");
    let client = &context.client;
    let created = client.create_queue(&name).tag("team", "a b+c").await?.queue_url;
    let found = client.get_queue_url(&name).await?.queue_url;
    assert_eq!(created, found);
    client.delete_queue(&created).await?;
    let gone = client.get_queue_url(&name).await.unwrap_err();
    assert_eq!(gone.code(), Some(&ErrorCode::QueueDoesNotExist));
    Ok(())
}

async fn creating_twice_returns_the_same_queue(context: Context) -> Outcome {
    let name = unique("twice");
    let first = context.client.create_queue(&name).await?.queue_url;
    let second = context.client.create_queue(&name).await?.queue_url;
    assert_eq!(first, second);
    Ok(())
}

async fn attributes_are_stored(context: Context) -> Outcome {
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

async fn attributes_are_changed(context: Context) -> Outcome {
    let mut attributes = QueueAttributes::default();
    attributes.visibility_timeout = Some(Duration::from_secs(77));
    attributes.delay = Some(Duration::from_secs(1));
    let queue = context.queue_with("", attributes).await?;
    let client = &context.client;
    let mut change = QueueAttributes::default();
    change.visibility_timeout = Some(Duration::ZERO);
    change.message_retention_period = Some(Duration::from_secs(3_600));
    client.set_queue_attributes(&queue, change).await?;
    let read = client
        .get_queue_attributes(&queue, [QueueAttributeName::All])
        .await?
        .attributes;
    assert_eq!(read.visibility_timeout, Some(Duration::ZERO));
    if !context.backend.has(Quirk::ForgetsAttributes) {
        assert_eq!(read.message_retention_period, Some(Duration::from_secs(3_600)));
    }
    assert_eq!(read.delay, Some(Duration::from_secs(1)));
    if context.backend.has(Quirk::AcceptsAnyAttribute) {
        return Ok(());
    }
    let mut unknown = QueueAttributes::default();
    unknown.other.insert("Novel".to_owned(), "x".to_owned());
    let error = client.set_queue_attributes(&queue, unknown).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::InvalidAttributeName), "{error:?}");
    Ok(())
}

async fn a_redrive_policy_is_set_and_removed(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let dead = context.queue().await?;
    let client = &context.client;
    let policy = || async {
        let names = [QueueAttributeName::RedrivePolicy];
        let read = client.get_queue_attributes(&queue, names).await?;
        anyhow::Ok(read.attributes.redrive_policy)
    };
    assert_eq!(policy().await?, None);
    let mut attributes = QueueAttributes::default();
    attributes.redrive_policy = Some(RedrivePolicy::new(arn(&context, &dead).await?, 7));
    client.set_queue_attributes(&queue, attributes.clone()).await?;
    assert_eq!(policy().await?, attributes.redrive_policy);
    if context.backend.has(Quirk::KeepsRedrivePolicies) {
        return Ok(());
    }
    let attributes = attributes.clear(QueueAttributeName::RedrivePolicy);
    client.set_queue_attributes(&queue, attributes).await?;
    assert_eq!(policy().await?, None);
    Ok(())
}

async fn attributes_out_of_range_are_not_sent(context: Context) -> Outcome {
    let no_queue = "http://127.0.0.1:1/000000000000/none";
    let client = &context.client;
    let mut small = QueueAttributes::default();
    small.maximum_message_size = Some(1_023);
    for error in [
        client.set_queue_attributes(no_queue, small.clone()).await.unwrap_err(),
        client.create_queue("q").attributes(small).await.unwrap_err(),
        client
            .set_queue_attributes(no_queue, QueueAttributes::default())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    Ok(())
}

async fn purge_empties_the_queue(context: Context) -> Outcome {
    let queue = context.queue().await?;
    for body in ["a", "b", "c"] {
        context.client.send_message(&queue, body).await?;
    }
    receive_all(&context, &queue, 3).await?;
    context.client.send_message(&queue, "d").await?;
    context.client.purge_queue(&queue).await?;
    assert!(is_empty(&context, &queue).await?);
    if context.backend != Backend::Local {
        return Ok(());
    }
    let again = context.client.purge_queue(&queue).await.unwrap_err();
    assert_eq!(again.code(), Some(&ErrorCode::PurgeQueueInProgress));
    Ok(())
}
