use std::collections::BTreeSet;

use futures::TryStreamExt as _;
use sqs_client::types::RedrivePolicy;
use sqs_client::{ErrorCode, ErrorKind, QueueAttributes};

use super::cases;
use super::moves::arn;
use crate::harness::{Context, Outcome, Quirk, unique};

cases! {
    queues_are_listed_by_prefix,
    queues_are_listed_in_pages,
    dead_letter_source_queues_are_listed,
    the_page_size_is_checked_before_the_request,
}

/// Creates queues whose names begin with `prefix` and returns their URLs.
async fn queues(context: &Context, prefix: &str, count: usize) -> anyhow::Result<BTreeSet<String>> {
    let mut urls = BTreeSet::new();
    for i in 0..count {
        urls.insert(context.client.create_queue(format!("{prefix}-{i}")).await?.queue_url);
    }
    Ok(urls)
}

async fn queues_are_listed_by_prefix(context: Context) -> Outcome {
    let prefix = unique("listed");
    let created = queues(&context, &prefix, 3).await?;
    let client = &context.client;
    let listed = client.list_queues().queue_name_prefix(&prefix).await?;
    assert_eq!(BTreeSet::from_iter(listed.queue_urls), created);
    assert_eq!(listed.next_token, None);
    let none = client.list_queues().queue_name_prefix(format!("{prefix}-none")).await?;
    assert!(none.queue_urls.is_empty());
    let all: BTreeSet<String> = client.list_queues().into_stream().try_collect().await?;
    assert!(all.is_superset(&created));
    Ok(())
}

async fn queues_are_listed_in_pages(context: Context) -> Outcome {
    let prefix = unique("paged");
    let created = queues(&context, &prefix, 5).await?;
    let request = || context.client.list_queues().queue_name_prefix(&prefix).max_results(2);
    let urls: Vec<String> = request().into_stream().try_collect().await?;
    assert_eq!(urls.len(), 5);
    assert_eq!(BTreeSet::from_iter(urls), created);
    let first = request().await?;
    if context.backend.has(Quirk::NoPages) {
        return Ok(());
    }
    assert_eq!(first.queue_urls.len(), 2);
    let token = first.next_token.unwrap_or_default();
    let rest: Vec<String> = request().next_token(token).into_stream().try_collect().await?;
    assert_eq!(rest.len(), 3);
    assert!(!rest.contains(&first.queue_urls[0]));
    let error = request().next_token("a foreign token").await.unwrap_err();
    assert!(error.is_sender_fault(), "{error:?}");
    Ok(())
}

async fn dead_letter_source_queues_are_listed(context: Context) -> Outcome {
    let dead = context.queue().await?;
    let client = &context.client;
    assert!(
        client
            .list_dead_letter_source_queues(&dead)
            .await?
            .queue_urls
            .is_empty()
    );
    let mut attributes = QueueAttributes::default();
    attributes.redrive_policy = Some(RedrivePolicy::new(arn(&context, &dead).await?, 3));
    let mut sources = BTreeSet::new();
    for _ in 0..3 {
        sources.insert(context.queue_with("", attributes.clone()).await?);
    }
    context.queue().await?;
    let listed = client
        .list_dead_letter_source_queues(&dead)
        .max_results(2)
        .into_stream();
    let listed: Vec<String> = listed.try_collect().await?;
    assert_eq!(listed.len(), 3);
    assert_eq!(BTreeSet::from_iter(listed), sources);
    if !context.backend.has(Quirk::OtherErrorCodes) {
        let missing = client.list_dead_letter_source_queues(format!("{dead}-missing"));
        let error = missing.await.unwrap_err();
        assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist), "{error:?}");
    }
    Ok(())
}

async fn the_page_size_is_checked_before_the_request(context: Context) -> Outcome {
    let client = &context.client;
    for error in [
        client.list_queues().max_results(0).await.unwrap_err(),
        client
            .list_queues()
            .max_results(1_001)
            .into_stream()
            .try_next()
            .await
            .unwrap_err(),
        client
            .list_dead_letter_source_queues("q")
            .max_results(0)
            .await
            .unwrap_err(),
        client.list_message_move_tasks("arn").max_results(11).await.unwrap_err(),
        client
            .start_message_move_task("arn")
            .max_number_of_messages_per_second(501)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.operation().is_some());
    }
    Ok(())
}
