use std::collections::BTreeMap;

use sqs_client::{ErrorCode, ErrorKind};

use super::cases;
use crate::harness::{Context, Outcome, unique};

cases! {
    tags_are_added_replaced_and_removed,
    a_queue_is_created_with_tags,
    tags_of_a_missing_queue_are_an_error,
    tags_are_checked_before_they_are_sent,
}

fn map<const N: usize>(tags: [(&str, &str); N]) -> BTreeMap<String, String> {
    tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

async fn tags_are_added_replaced_and_removed(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let client = &context.client;
    assert_eq!(client.list_queue_tags(&queue).await?.tags, BTreeMap::new());
    let first = [("team", "shop + ü @ 1"), ("stage", "a=b"), ("Stage", "")];
    client.tag_queue(&queue, first).await?;
    assert_eq!(client.list_queue_tags(&queue).await?.tags, map(first));
    client.tag_queue(&queue, [("stage", "live")]).await?;
    client.untag_queue(&queue, ["Stage", "missing"]).await?;
    let remaining = map([("team", "shop + ü @ 1"), ("stage", "live")]);
    assert_eq!(client.list_queue_tags(&queue).await?.tags, remaining);
    client.untag_queue(&queue, ["team", "stage"]).await?;
    assert_eq!(client.list_queue_tags(&queue).await?.tags, BTreeMap::new());
    Ok(())
}

async fn a_queue_is_created_with_tags(context: Context) -> Outcome {
    let name = unique("tagged");
    let created = context.client.create_queue(name).tag("a", "1").tag("b", "2").await?;
    let tags = context.client.list_queue_tags(created.queue_url).await?.tags;
    assert_eq!(tags, map([("a", "1"), ("b", "2")]));
    Ok(())
}

async fn tags_of_a_missing_queue_are_an_error(context: Context) -> Outcome {
    let missing = format!("{}-missing", context.queue().await?);
    let client = &context.client;
    for error in [
        client.list_queue_tags(&missing).await.unwrap_err(),
        client.tag_queue(&missing, [("k", "v")]).await.unwrap_err(),
        client.untag_queue(&missing, ["k"]).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist), "{error:?}");
    }
    Ok(())
}

async fn tags_are_checked_before_they_are_sent(context: Context) -> Outcome {
    let no_queue = "http://127.0.0.1:1/000000000000/none";
    let client = &context.client;
    let many = (0..51).map(|i| (i.to_string(), "v"));
    let no_keys: [&str; 0] = [];
    for error in [
        client.tag_queue(no_queue, many).await.unwrap_err(),
        client.tag_queue(no_queue, [("", "v")]).await.unwrap_err(),
        client.tag_queue(no_queue, [("k", "v".repeat(257))]).await.unwrap_err(),
        client
            .tag_queue(no_queue, no_keys.map(|key| (key, key)))
            .await
            .unwrap_err(),
        client.untag_queue(no_queue, no_keys).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    Ok(())
}
