//! Tests servers that limit a batch to fewer bytes than AWS. The client halves the batch and remembers the limit.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use futures::future;
use libtest_mimic::Trial;
use sqs_client::{Client, ErrorCode, OutgoingMessage, Protocol, QueueAttributes};
use sqs_extended::ExtendedMessage;
use sqs_local::{Action, Fault, FaultKind, LocalSqs, Reply};

use crate::conformance::PROTOCOLS;
use crate::extended::store::{Counting, extended};
use crate::harness::{Harness, Outcome, client_of, name_of, unique};

/// The limit of AWS until August 2025 and of ElasticMQ until 1.7.
const LOWER_LIMIT: usize = 262_144;

/// The linger of batchers whose batches are counted: long enough for ten messages of 100 KB, which a debug build on a busy
/// machine checks slowly. A full batch does not wait.
const LINGER: Duration = Duration::from_secs(1);

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = vec![
        harness.test(a_refused_batch_is_halved_and_its_limit_remembered),
        harness.test(halving_keeps_the_order_of_a_fifo_queue),
        harness.test(a_message_that_is_too_long_fails_alone),
        harness.test(the_limit_can_be_configured),
        harness.test(a_proxys_limit_also_halves_the_batch),
    ];
    let name = name_of(&elasticmq_accepts_a_megabyte);
    for (protocol_name, protocol) in PROTOCOLS {
        trials.push(harness.trial(format!("{name}::1_6_{protocol_name}"), move |harness| {
            let server = harness.servers.elasticmq_small_batches().map_err(Clone::clone)?;
            let client = client_of(server).protocol(protocol).build().expect("a client");
            Ok(Box::pin(elasticmq_accepts_a_megabyte(client)))
        }));
    }
    trials.push(harness.trial(format!("{name}::1_3_query"), |harness| {
        let server = harness.servers.elasticmq_query_only().map_err(Clone::clone)?;
        let client = client_of(server).protocol(Protocol::Query).build().expect("a client");
        Ok(Box::pin(elasticmq_accepts_a_megabyte(client)))
    }));
    trials
}

async fn server() -> anyhow::Result<(LocalSqs, Client, String)> {
    let server = sqs_tests::strict().max_batch_bytes(LOWER_LIMIT).start().await?;
    let client = server.client()?;
    let queue = client.create_queue("q").await?.queue_url;
    Ok((server, client, queue))
}

/// Returns the lengths of the batches since the last call.
fn batches(server: &LocalSqs) -> Vec<usize> {
    let requests = server.requests().into_iter();
    let batches = requests.filter(|request| request.action == Some(Action::SendMessageBatch));
    let lengths = batches.map(|request| request.entries).collect();
    server.forget_requests();
    lengths
}

fn heavy(count: usize) -> impl Iterator<Item = String> + Send + 'static {
    (0..count).map(|i| format!("{i}{}", "x".repeat(99_999)))
}

async fn a_refused_batch_is_halved_and_its_limit_remembered() -> Outcome {
    let (server, client, queue) = server().await?;
    let results = client.send_messages(&queue, heavy(10)).await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    // Half of the batch is refused as well. From then on the limit is known.
    assert_eq!(batches(&server), [10, 5, 2, 2, 2, 2, 2]);

    let results = client.send_messages(&queue, heavy(10)).await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(batches(&server), [2; 5]);

    let batcher = client.clone().batcher(&queue).linger(LINGER).build();
    future::try_join_all(heavy(10).map(|body| batcher.send(body))).await?;
    assert_eq!(batches(&server), [2; 5]);

    let extended = extended(client.clone(), Counting::default(), "p/");
    let sent = extended
        .send_messages(&queue, heavy(10).map(ExtendedMessage::new))
        .await;
    ensure!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(batches(&server), [2; 5]);
    assert_eq!(server.queue("q").map(|queue| queue.len()), Some(40));

    // Another queue may have another limit.
    let other = client.create_queue("other").await?.queue_url;
    let batcher = client.batcher(&other).linger(LINGER).build();
    future::try_join_all(heavy(10).map(|body| batcher.send(body))).await?;
    assert_eq!(batches(&server)[0], 10);
    assert_eq!(server.queue("other").map(|queue| queue.len()), Some(10));
    Ok(())
}

async fn halving_keeps_the_order_of_a_fifo_queue() -> Outcome {
    let (server, client, _) = server().await?;
    let mut attributes = QueueAttributes::default();
    attributes.content_based_deduplication = Some(true);
    let queue = client.create_queue("q.fifo").attributes(attributes).await?.queue_url;
    let messages = |from| {
        let bodies = (from..from + 10).map(|i| format!("{i:02}{}", " ".repeat(99_998)));
        bodies.map(|body| OutgoingMessage::new(body).message_group_id("g"))
    };
    let results = client.send_messages(&queue, messages(0).collect::<Vec<_>>()).await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    let batcher = client.batcher(&queue).build();
    future::try_join_all(messages(10).map(|message| batcher.send(message))).await?;
    let stored = server.queue("q.fifo").into_iter().flat_map(|queue| queue.messages());
    let bodies: Vec<usize> = stored.flat_map(|message| message.body.trim().parse()).collect();
    assert_eq!(bodies, (0..20).collect::<Vec<_>>());

    // Messages behind a refused half are not sent.
    server.forget_requests();
    let fault = Fault::on(Action::SendMessageBatch, FaultKind::status(403));
    server.faults().add(fault.after(1).times(1));
    let results = client.send_messages(&queue, messages(20).collect::<Vec<_>>()).await;
    let sent: Vec<usize> = (0..10).filter(|i| results[*i].is_ok()).collect();
    assert_eq!(sent, [0, 1]);
    assert_eq!(batches(&server), [2, 2]);
    ensure!(
        results
            .into_iter()
            .flat_map(Result::err)
            .all(|error| !error.may_have_been_sent())
    );
    Ok(())
}

async fn a_message_that_is_too_long_fails_alone() -> Outcome {
    let (server, client, queue) = server().await?;
    let messages = ["before".to_owned(), "x".repeat(LOWER_LIMIT + 1), "after".to_owned()];
    for _ in 0..2 {
        let results = client.send_messages(&queue, messages.clone()).await;
        ensure!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
        let error = results[1].as_ref().err();
        ensure!(
            error.is_some_and(
                |error| error.code() == Some(&ErrorCode::BatchRequestTooLong) && !error.may_have_been_sent()
            ),
            "{error:?}"
        );
    }
    assert_eq!(batches(&server), [3, 1, 1, 1, 1, 1, 1]);
    // The limit is no lower than the size that was accepted.
    let results = client
        .send_messages(&queue, ["x".repeat(LOWER_LIMIT / 2), "y".repeat(LOWER_LIMIT / 2)])
        .await;
    ensure!(results.iter().all(Result::is_ok));
    assert_eq!(batches(&server), [2]);
    Ok(())
}

async fn the_limit_can_be_configured() -> Outcome {
    let server = sqs_tests::strict().max_batch_bytes(LOWER_LIMIT).start().await?;
    let client = server.client_builder().max_batch_bytes(LOWER_LIMIT).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    let results = client.send_messages(&queue, heavy(10)).await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    let batcher = client.batcher(&queue).linger(LINGER).build();
    future::try_join_all(heavy(10).map(|body| batcher.send(body))).await?;
    assert_eq!(batches(&server), [2; 10]);
    Ok(())
}

async fn a_proxys_limit_also_halves_the_batch() -> Outcome {
    let (server, client, queue) = server().await?;
    let page = Reply::new(413).body("<html><h1>413 Request Entity Too Large</h1></html>");
    server
        .faults()
        .add(Fault::on(Action::SendMessageBatch, FaultKind::Reply(page)).times(1));
    let results = client
        .send_messages(&queue, (0..10).map(|i| format!("{i:010000}")))
        .await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(batches(&server), [10, 5, 5]);
    Ok(())
}

async fn elasticmq_accepts_a_megabyte(client: Client) -> Outcome {
    let queue = client.create_queue(unique("sizes")).await?.queue_url;
    let results = client.send_messages(&queue, heavy(10)).await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    let batcher = client.batcher(&queue).build();
    future::try_join_all(heavy(10).map(|body| batcher.send(body))).await?;
    let mut bodies = Vec::new();
    while bodies.len() < 20 {
        let received = client.receive_message(&queue).max_messages(1).await?.messages;
        ensure!(!received.is_empty(), "{} of 20 messages arrived", bodies.len());
        bodies.extend(received.into_iter().map(|message| message.body));
    }
    bodies.sort_unstable();
    let mut expected: Vec<String> = heavy(10).chain(heavy(10)).collect();
    expected.sort_unstable();
    ensure!(bodies == expected);
    Ok(())
}
