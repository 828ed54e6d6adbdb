//! What is left behind when a send breaks off.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use libtest_mimic::Trial;
use sqs_client::Client;
use sqs_client::client::RetryPolicy;
use sqs_extended::{ExtendedClient, Payload};
use sqs_tests::embedded::{Action, EmbeddedServer, Fault, FaultKind};
use tokio::sync::oneshot;

use super::store::{Counting, bucket_of, extended, keys};
use crate::bench::{Bench, Outcome, client_of_embedded, trial, unique};

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    vec![
        trial(
            "extended::faults::a_dropped_upload_leaves_no_message_and_no_object",
            bench,
            |bench| {
                let client = client_of_embedded(bench.embedded()).build().expect("a client");
                let store = bucket_of(bench.servers.minio().map_err(Clone::clone)?).expect("a bucket");
                let prefix = format!("{}/", unique("dropped"));
                let listed = store.clone();
                let extended = extended(client.clone(), store, &prefix);
                Ok(Box::pin(async move {
                    dropped_upload(&client, &extended).await?;
                    anyhow::ensure!(keys(&listed, &prefix).await?.is_empty(), "an object is left");
                    Ok(())
                }))
            },
        ),
        trial(
            "extended::faults::a_refused_message_takes_its_payload_back",
            bench,
            |_| Ok(Box::pin(refused())),
        ),
        trial(
            "extended::faults::a_message_that_may_be_sent_keeps_its_payload",
            bench,
            |_| Ok(Box::pin(ambiguous())),
        ),
        trial("extended::faults::a_retry_uploads_nothing_again", bench, |_| {
            Ok(Box::pin(retried()))
        }),
        trial("extended::faults::a_broken_source_leaves_nothing", bench, |_| {
            Ok(Box::pin(broken_source()))
        }),
    ]
}

/// A server with faults of its own, a client of it, and a queue.
async fn faulty(retry: RetryPolicy) -> anyhow::Result<(EmbeddedServer, Client, String)> {
    let server = EmbeddedServer::start().await?;
    let client = client_of_embedded(&server).retry(retry).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    Ok((server, client, queue))
}

async fn dropped_upload(client: &Client, extended: &ExtendedClient) -> Outcome {
    let queue = client.create_queue(unique("dropped")).await?.queue_url;
    let (reached, halfway) = oneshot::channel();
    let mut reached = Some(reached);
    let chunk = Bytes::from(vec![7; 1024 * 1024]);
    // 40 of 64 MiB, and then nothing more.
    let source = stream::iter(0..64).then(move |i| {
        let reached = if i == 40 { reached.take() } else { None };
        let chunk = chunk.clone();
        async move {
            if let Some(reached) = reached {
                let _ = reached.send(());
                std::future::pending::<()>().await;
            }
            Ok(chunk)
        }
    });
    let payload = Payload::from_stream(source, Some(64 * 1024 * 1024));
    tokio::select! {
        sent = extended.send(&queue, payload) => panic!("sent although the source is stuck: {sent:?}"),
        _ = halfway => {}
    }
    extended.flush().await;
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

async fn refused() -> Outcome {
    let (server, client, _queue) = faulty(RetryPolicy::never()).await?;
    let store = Counting::default();
    let extended = extended(client, store.clone(), "p/");
    let error = extended
        .send(server.queue_url("missing"), "x".repeat(300_000))
        .await
        .unwrap_err();
    assert!(!error.may_have_been_sent(), "{error:?}");
    assert!(keys(&store, "p").await?.is_empty());
    assert!(store.calls() >= 2, "uploaded and deleted");
    Ok(())
}

async fn ambiguous() -> Outcome {
    let (server, client, queue) = faulty(RetryPolicy::never()).await?;
    let store = Counting::default();
    let extended = extended(client, store.clone(), "p/");
    server
        .faults()
        .add(Fault::on(Action::SendMessage, FaultKind::DropAfter).times(1));
    let error = extended.send(&queue, "x".repeat(300_000)).await.unwrap_err();
    assert!(error.may_have_been_sent(), "{error:?}");
    // It was: and its payload is there.
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
        "an orphan at the worst, never a pointer without its payload"
    );
    Ok(())
}

async fn retried() -> Outcome {
    let (server, client, queue) = faulty(RetryPolicy::standard().base_delay(Duration::from_millis(1))).await?;
    let store = Counting::default();
    let extended = extended(client, store.clone(), "p/");
    server
        .faults()
        .add(Fault::on(Action::SendMessage, FaultKind::DropBefore).times(2));
    extended.send(&queue, "x".repeat(300_000)).await?;
    assert_eq!(store.calls(), 1, "one put, however often the message was tried");
    Ok(())
}

async fn broken_source() -> Outcome {
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
