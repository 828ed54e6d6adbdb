//! Tests batches of any length: each input gets one result, even if the server fails some entries.

mod damaged;
mod groups;
mod lost_responses;
mod sizes;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::client::RetryPolicy;
use sqs_client::{Client, ErrorCode, ErrorKind, OutgoingMessage, QueueAttributes};
use sqs_local::{Action, Fault, FaultKind, LocalSqs};

use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = vec![
        harness.test(thousands_of_messages_arrive_once_in_few_requests),
        harness.test(failed_entries_are_retried),
        harness.test(each_input_gets_its_own_result),
        harness.test(an_earlier_attempt_that_may_have_been_sent_is_reported),
        harness.test(a_fifo_queue_keeps_the_order),
        harness.test(a_failed_request_fails_only_its_own_inputs),
    ];
    trials.extend(damaged::trials(harness));
    trials.extend(groups::trials(harness));
    trials.extend(lost_responses::trials(harness));
    trials.extend(sizes::trials(harness));
    trials
}

async fn server(attempts: u32) -> anyhow::Result<(LocalSqs, Client, String)> {
    let server = sqs_tests::strict().start().await?;
    let retry = RetryPolicy::standard()
        .max_attempts(attempts)
        .base_delay(Duration::from_millis(1));
    let client = server.client_builder().retry(retry).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    Ok((server, client, queue))
}

async fn thousands_of_messages_arrive_once_in_few_requests() -> Outcome {
    let (server, client, queue) = server(3).await?;
    let results = client.send_messages(&queue, (0..2_345).map(|i| format!("{i}"))).await;
    ensure!(results.len() == 2_345 && results.iter().all(Result::is_ok));
    assert_eq!(server.count(Action::SendMessageBatch), 235);

    let mut handles = Vec::new();
    while handles.len() < 2_345 {
        let received = client.receive_message(&queue).max_messages(10).await?.messages;
        handles.extend(received.into_iter().map(|message| message.receipt_handle));
    }
    let changes: Vec<_> = handles
        .iter()
        .take(100)
        .map(|handle| (handle.clone(), Duration::from_secs(60)))
        .collect();
    assert!(
        client
            .change_visibilities(&queue, changes)
            .await
            .iter()
            .all(Result::is_ok)
    );
    let deleted = client.delete_messages(&queue, handles).concurrency(8).await;
    ensure!(deleted.len() == 2_345 && deleted.iter().all(Result::is_ok));
    assert!(server.queue("q").is_some_and(|queue| queue.is_empty()));
    Ok(())
}

async fn failed_entries_are_retried() -> Outcome {
    let (server, client, queue) = server(5).await?;
    server
        .faults()
        .add(Fault::on(Action::SendMessageBatch, FaultKind::FailEntries(3)).times(2));
    let results = client.send_messages(&queue, (0..10).map(|i| format!("{i}"))).await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    // All ten, then the three that failed, then the same three again. No sent message is sent twice.
    let requests = server.requests();
    let batches = requests
        .iter()
        .filter(|request| request.action == Some(Action::SendMessageBatch));
    let entries: Vec<usize> = batches.map(|request| request.entries).collect();
    assert_eq!(entries, [10, 3, 3]);
    assert_eq!(server.queue("q").map(|queue| queue.len()), Some(10));
    Ok(())
}

async fn each_input_gets_its_own_result() -> Outcome {
    let (server, client, queue) = server(1).await?;
    server
        .faults()
        .add(Fault::on(Action::SendMessageBatch, FaultKind::FailEntries(1)).times(1));
    let bodies = ["a", "", "b\u{1}", "c"].map(OutgoingMessage::new);
    let results = client.send_messages(&queue, bodies).await;
    let kinds: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().err().map(sqs_client::Error::kind))
        .collect();
    assert_eq!(results.len(), 4);
    assert_eq!(
        kinds[1..3],
        [Some(ErrorKind::InvalidInput); 2],
        "an empty body and a control character are refused before they are sent"
    );
    let failed = results.iter().flat_map(|result| result.as_ref().err());
    let by_server: Vec<_> = failed
        .filter(|error| error.code() == Some(&ErrorCode::InternalError))
        .collect();
    ensure!(
        by_server.len() == 1 && by_server[0].may_have_been_sent() && by_server[0].is_retryable(),
        "{by_server:?}"
    );
    Ok(())
}

async fn an_earlier_attempt_that_may_have_been_sent_is_reported() -> Outcome {
    let (server, client, queue) = server(3).await?;
    let faults = server.faults();
    faults.add(Fault::on(Action::SendMessageBatch, FaultKind::FailEntries(1)).times(1));
    faults.add(Fault::on(Action::SendMessageBatch, FaultKind::status(403)).after(1));
    let results = client.send_messages(&queue, ["x"]).await;
    let error = results
        .first()
        .and_then(|result| result.as_ref().err())
        .context("sent")?;
    assert_eq!(error.status(), Some(403));
    ensure!(
        error.may_have_been_sent(),
        "the first attempt may have taken effect: {error:?}"
    );
    Ok(())
}

async fn a_fifo_queue_keeps_the_order() -> Outcome {
    let (server, client, _) = server(3).await?;
    let mut attributes = QueueAttributes::default();
    attributes.content_based_deduplication = Some(true);
    let queue = client.create_queue("q.fifo").attributes(attributes).await?.queue_url;
    let messages = (0..95).map(|i| OutgoingMessage::new(format!("{i}")).message_group_id("g"));
    let results = client.send_messages(&queue, messages).concurrency(8).await;
    ensure!(results.iter().all(Result::is_ok));
    let bodies: Vec<String> = server
        .queue("q.fifo")
        .into_iter()
        .flat_map(|q| q.messages())
        .map(|m| m.body)
        .collect();
    assert_eq!(bodies, (0..95).map(|i| format!("{i}")).collect::<Vec<_>>());
    Ok(())
}

async fn a_failed_request_fails_only_its_own_inputs() -> Outcome {
    let (server, client, queue) = server(1).await?;
    server.faults().add(
        Fault::on(Action::SendMessageBatch, FaultKind::status(500))
            .after(1)
            .times(1),
    );
    let results = client
        .send_messages(&queue, (0..30).map(|i| format!("{i}")))
        .concurrency(1)
        .await;
    let failed: Vec<usize> = (0..30).filter(|i| results[*i].is_err()).collect();
    assert_eq!(failed, (10..20).collect::<Vec<_>>());
    let error = results[10].as_ref().err();
    ensure!(
        error.is_some_and(|error| error.may_have_been_sent() && error.status() == Some(500)),
        "{error:?}"
    );
    assert_eq!(server.queue("q").map(|queue| queue.len()), Some(20));
    Ok(())
}
