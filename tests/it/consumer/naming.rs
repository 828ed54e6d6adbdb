//! Tests consumers of queues that are given by their names or ARNs.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::{Delivery, ErrorCode, ErrorKind};
use sqs_local::Action;
use tokio::time::Instant;

use super::{Seen, fast_consumer, grouped, local, numbered, send, until, view};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_name_is_looked_up_once),
        harness.test(a_fifo_queue_is_recognized_by_its_name),
        harness.test(a_consumer_waits_until_its_queue_is_created),
        harness.test(a_missing_name_ends_the_consumer_after_the_refusal_timeout),
        harness.test(an_arn_is_refused_without_any_request),
    ]
}

async fn a_name_is_looked_up_once() -> Outcome {
    const MESSAGES: usize = 100;
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(MESSAGES)).await?;
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            seen.note(delivery.queue_url(), &delivery.message().body);
            async { Ok::<_, ()>(()) }
        }
    };
    let queue_view = view(&server, "q");
    let done = async { until(|| queue_view.is_empty()).await.expect("all are handled") };
    fast_consumer(&client, "q").pollers(5).run(done, handler).await?;
    let handled = seen.all();
    ensure!(handled[&queue].len() >= MESSAGES && handled.len() == 1, "{handled:?}");
    assert_eq!(server.count(Action::GetQueueUrl), 1);
    Ok(())
}

async fn a_fifo_queue_is_recognized_by_its_name() -> Outcome {
    let (server, client, _) = local().await?;
    let queue = client.create_queue("q.fifo").await?.queue_url;
    send(&client, &queue, grouped(3, 10)).await?;
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            let message = delivery.message();
            let group = message.attributes.message_group_id().unwrap_or_default();
            seen.note(group, &message.body);
            async { Ok::<_, ()>(()) }
        }
    };
    let queue_view = view(&server, "q.fifo");
    let done = async { until(|| queue_view.is_empty()).await.expect("all are handled") };
    fast_consumer(&client, "q.fifo").run(done, handler).await?;
    let in_order: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let handled = seen.all();
    ensure!(
        handled.len() == 3 && handled.values().all(|bodies| *bodies == in_order),
        "{handled:?}"
    );
    Ok(())
}

async fn a_consumer_waits_until_its_queue_is_created() -> Outcome {
    let (server, client, _) = local().await?;
    let seen = Seen::default();
    let handler = seen.handler();
    let created = async {
        until(|| server.count(Action::GetQueueUrl) >= 3)
            .await
            .expect("it tries again");
        assert_eq!(server.count(Action::ReceiveMessage), 0);
        let queue = client.create_queue("later").await.expect("a new queue").queue_url;
        send(&client, &queue, numbered(1)).await.expect("the queue accepts it");
        until(|| seen.counts().0 == 1).await.expect("the message is handled");
    };
    fast_consumer(&client, "later").run(created, handler).await?;
    ensure!(seen.counts() == (1, 1), "the consumer ended early");
    Ok(())
}

async fn a_missing_name_ends_the_consumer_after_the_refusal_timeout() -> Outcome {
    let (server, client, _) = local().await?;
    let timeout = Duration::from_secs(2);
    let begin = Instant::now();
    let run = fast_consumer(&client, "missing")
        .refusal_timeout(timeout)
        .run(pending::<()>(), |_| pending::<Result<(), ()>>());
    let error = run.await.err().context("it ended without an error")?;
    assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist));
    let text = error.to_string();
    ensure!(text.contains("looking up the queue \"missing\" failed"), "{text}");
    let (took, lookups) = (begin.elapsed(), server.count(Action::GetQueueUrl));
    ensure!(took >= timeout && took < timeout * 4, "{took:?}");
    ensure!((3..20).contains(&lookups), "{lookups} lookups");
    assert_eq!(server.count(Action::ReceiveMessage), 0);
    Ok(())
}

async fn an_arn_is_refused_without_any_request() -> Outcome {
    let (server, client, _) = local().await?;
    let (arn, before) = (view(&server, "q").arn().to_owned(), server.requests().len());
    let run = fast_consumer(&client, &arn).run(pending::<()>(), |_| pending::<Result<(), ()>>());
    let error = run.await.err().context("the ARN was accepted")?;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.message(),
        format!("{arn:?} is an ARN; pass the queue's name (\"q\") or its URL")
    );
    let single = client
        .receive_message(&arn)
        .await
        .err()
        .context("the ARN was accepted")?;
    assert_eq!(single.message(), error.message());
    assert_eq!(server.requests().len(), before);
    Ok(())
}
