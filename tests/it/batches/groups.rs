//! Tests messages to a FIFO queue: after a failure, nothing more of that group is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::operation::SendMessageOutput;
use sqs_client::{Client, Error, ErrorKind, OutgoingMessage, QueueAttributes};
use sqs_local::{Action, Fault, FaultKind, LocalSqs};

use super::server;
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_failed_request_stops_only_its_own_groups),
        harness.test(a_failed_entry_stops_its_group_from_the_next_request),
        harness.test(an_invalid_message_stops_its_group_immediately),
        harness.test(another_call_sends_the_group_again),
    ]
}

async fn fifo_queue(client: &Client) -> anyhow::Result<String> {
    let mut attributes = QueueAttributes::default();
    attributes.content_based_deduplication = Some(true);
    Ok(client.create_queue("q.fifo").attributes(attributes).await?.queue_url)
}

/// Returns numbered messages. Each letter of `groups` is the group of one message.
fn messages(groups: &str) -> Vec<OutgoingMessage> {
    let numbered = groups.chars().filter(|group| group.is_ascii_alphabetic()).enumerate();
    numbered
        .map(|(i, group)| OutgoingMessage::new(format!("{i:03}")).message_group_id(group))
        .collect()
}

/// Returns the bodies in the queue by group.
fn delivered(server: &LocalSqs) -> anyhow::Result<BTreeMap<String, Vec<usize>>> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for message in server.queue("q.fifo").context("the queue")?.messages() {
        let group = message.group.context("a group")?;
        groups.entry(group).or_default().push(message.body.parse()?);
    }
    Ok(groups)
}

fn was_held_back(result: &Result<SendMessageOutput, Error>) -> bool {
    let held_back = |error: &Error| {
        error.kind() == ErrorKind::HeldBack && !error.may_have_been_sent() && std::error::Error::source(error).is_some()
    };
    result.as_ref().is_err_and(held_back)
}

async fn a_failed_request_stops_only_its_own_groups() -> Outcome {
    let (server, client, _) = server(1).await?;
    let queue = fifo_queue(&client).await?;
    let fault = Fault::on(Action::SendMessageBatch, FaultKind::status(403));
    server.faults().add(fault.after(1).times(1));
    let results = client
        .send_messages(&queue, messages("aaaaaaaaaa aaaaabbbbb aabbcccccc aabbcccccc"))
        .await;
    let failed: Vec<usize> = (0..40).filter(|i| results[*i].is_err()).collect();
    assert_eq!(failed, [(10..24).collect::<Vec<_>>(), (30..34).collect()].concat());
    for i in failed.into_iter().filter(|i| *i >= 20) {
        ensure!(was_held_back(&results[i]), "{i}: {:?}", results[i]);
    }
    let delivered = delivered(&server)?;
    assert_eq!(delivered.keys().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(delivered["a"], (0..10).collect::<Vec<_>>());
    assert_eq!(delivered["c"], (24..30).chain(34..40).collect::<Vec<_>>());
    Ok(())
}

async fn a_failed_entry_stops_its_group_from_the_next_request() -> Outcome {
    let (server, client, _) = server(1).await?;
    let queue = fifo_queue(&client).await?;
    let mut messages = messages("aabbcabbcc aabbccabca bbbbbbbbbb");
    messages[3].message_deduplication_id = Some("a space is refused by the server".to_owned());
    let results = client.send_messages(&queue, messages).await;
    // SQS decides on the entries of one request, and sends those behind the failed one.
    let failed: Vec<usize> = (0..30).filter(|i| results[*i].is_err()).collect();
    assert_eq!(failed, [vec![3, 12, 13, 17], (20..30).collect()].concat());
    ensure!(failed[1..].iter().all(|i| was_held_back(&results[*i])), "{results:?}");
    assert_eq!(delivered(&server)?["b"], [2, 6, 7]);
    assert_eq!(
        server.count(Action::SendMessageBatch),
        2,
        "the last batch has nothing to send"
    );
    Ok(())
}

async fn an_invalid_message_stops_its_group_immediately() -> Outcome {
    let (server, client, _) = server(1).await?;
    let queue = fifo_queue(&client).await?;
    let mut messages = messages("abab abab abab");
    messages[2].delay = Some(Duration::from_secs(901));
    let results = client.send_messages(&queue, messages).await;
    assert_eq!(
        results[2].as_ref().err().map(Error::kind),
        Some(ErrorKind::InvalidInput)
    );
    ensure!([4, 6, 8, 10].iter().all(|i| was_held_back(&results[*i])), "{results:?}");
    let delivered = delivered(&server)?;
    assert_eq!((&delivered["a"], delivered["b"].len()), (&vec![0], 6));

    // A standard queue has no order.
    let (server, client, queue) = super::server(1).await?;
    let results = client.send_messages(&queue, ["first", "", "third"]).await;
    ensure!(results[0].is_ok() && results[1].is_err() && results[2].is_ok());
    assert_eq!(server.queue("q").map(|queue| queue.len()), Some(2));
    Ok(())
}

async fn another_call_sends_the_group_again() -> Outcome {
    let (server, client, _) = server(1).await?;
    let queue = fifo_queue(&client).await?;
    let fault = Fault::on(Action::SendMessageBatch, FaultKind::Throttle);
    server.faults().add(fault.times(1));
    let again = messages("aaaaaaaaaa aaaaa");
    ensure!(
        client
            .send_messages(&queue, again.clone())
            .await
            .iter()
            .all(Result::is_err)
    );
    ensure!(client.send_messages(&queue, again).await.iter().all(Result::is_ok));
    assert_eq!(delivered(&server)?["a"], (0..15).collect::<Vec<_>>());
    Ok(())
}
