//! Tests what an interrupted send leaves behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use libtest_mimic::Trial;
use sqs_client::Client;
use sqs_client::client::RetryPolicy;
use sqs_extended::Payload;
use sqs_local::{Action, Fault, FaultKind, LocalSqs};

use super::store::{Counting, extended, keys};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_refused_message_deletes_its_payload),
        harness.test(a_message_that_may_have_been_sent_keeps_its_payload),
        harness.test(a_retry_uploads_nothing_again),
        harness.test(a_broken_source_leaves_nothing),
    ]
}

/// Starts a server for faults, and returns it with its client and a queue.
async fn faulty(retry: RetryPolicy) -> anyhow::Result<(LocalSqs, Client, String)> {
    let server = sqs_tests::strict().start().await?;
    let client = server.client_builder().retry(retry).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    Ok((server, client, queue))
}

async fn a_refused_message_deletes_its_payload() -> Outcome {
    let (server, client, _queue) = faulty(RetryPolicy::never()).await?;
    let store = Counting::default();
    let extended = extended(client, store.clone(), "p/");
    let error = extended
        .send(server.queue_url("missing"), "x".repeat(300_000))
        .await
        .unwrap_err();
    assert!(!error.may_have_been_sent(), "{error:?}");
    assert!(keys(&store, "p").await?.is_empty());
    assert!(store.calls() >= 2, "the payload was not uploaded and deleted");
    Ok(())
}

async fn a_message_that_may_have_been_sent_keeps_its_payload() -> Outcome {
    let (server, client, queue) = faulty(RetryPolicy::never()).await?;
    let store = Counting::default();
    let extended = extended(client, store.clone(), "p/");
    server
        .faults()
        .add(Fault::on(Action::SendMessage, FaultKind::DropAfter).times(1));
    let error = extended.send(&queue, "x".repeat(300_000)).await.unwrap_err();
    assert!(error.may_have_been_sent(), "{error:?}");
    // The message was sent and has its payload.
    let delivery = extended.receive(&queue).await?.remove(0)?;
    assert_eq!(delivery.text().await?.len(), 300_000);

    server
        .faults()
        .add(Fault::on(Action::SendMessage, FaultKind::DropBefore).times(1));
    let error = extended.send(&queue, "y".repeat(300_000)).await.unwrap_err();
    assert!(error.may_have_been_sent(), "{error:?}");
    assert_eq!(
        keys(&store, "p").await?.len(),
        2,
        "a payload was deleted although its message may have been sent"
    );
    Ok(())
}

async fn a_retry_uploads_nothing_again() -> Outcome {
    let (server, client, queue) = faulty(RetryPolicy::standard().base_delay(Duration::from_millis(1))).await?;
    let store = Counting::default();
    let extended = extended(client, store.clone(), "p/");
    server
        .faults()
        .add(Fault::on(Action::SendMessage, FaultKind::DropBefore).times(2));
    extended.send(&queue, "x".repeat(300_000)).await?;
    assert_eq!(store.calls(), 1, "a retry uploaded the payload again");
    Ok(())
}

async fn a_broken_source_leaves_nothing() -> Outcome {
    let (_server, client, queue) = faulty(RetryPolicy::never()).await?;
    let store = Counting::default();
    let extended = extended(client.clone(), store.clone(), "p/");
    let chunk = || Ok(Bytes::from(vec![1; 1024 * 1024]));
    let broken = || {
        stream::iter(
            (0..20)
                .map(move |_| chunk())
                .chain([Err(std::io::Error::other("the disk broke"))]),
        )
    };
    let short = || stream::iter((0..20).map(move |_| chunk()));
    for payload in [
        Payload::from_stream(broken(), None),
        Payload::from_stream(broken(), Some(21 * 1024 * 1024)),
        Payload::from_stream(short(), Some(21 * 1024 * 1024)),
        Payload::from_stream(short(), Some(19 * 1024 * 1024)),
    ] {
        let error = extended.send(&queue, payload).await.unwrap_err();
        assert!(!error.may_have_been_sent(), "{error:?}");
    }
    assert!(keys(&store, "p").await?.is_empty());
    assert!(
        client
            .receive_message(&queue)
            .wait_time(Duration::ZERO)
            .await?
            .messages
            .is_empty()
    );
    Ok(())
}
