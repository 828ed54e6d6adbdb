//! Tests sending many messages of all kinds in one call.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_extended::send::SendOutput;
use sqs_extended::{Error, ErrorKind, ExtendedClient, ExtendedMessage, Payload};
use sqs_local::{Action, Fault, FaultKind, Reply};

use super::{Fixture, delivery, large, test};
use crate::consumer::fast_retries;
use crate::harness::{Harness, Outcome};

const MESSAGES: usize = 25;
/// The message with too many attributes.
const BAD: usize = 13;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, payloads_of_all_kinds_arrive_in_order),
        test(harness, payloads_of_all_kinds_arrive_in_order_of_their_group),
        test(harness, a_refused_request_deletes_its_payloads),
        test(harness, failed_entries_keep_their_payloads),
        test(harness, messages_that_may_have_been_sent_keep_their_payloads),
        test(harness, a_lost_response_before_a_refusal_keeps_the_payloads),
        test(harness, nothing_of_a_group_follows_an_unstored_payload),
        test(harness, nothing_of_a_group_follows_a_refused_message),
    ]
}

/// Returns a small, a medium, an offloaded or a binary payload. Six medium ones exceed the size of a request.
fn payload(number: usize) -> Vec<u8> {
    let size = [1, 200_000, 300_000, 1_000][number % 4];
    let mut payload = format!("{number:02}").into_bytes();
    payload.resize(size + 2, b'x');
    if number % 4 == 3 {
        payload.push(0);
    }
    payload
}

async fn payloads_of_all_kinds_arrive_in_order(fixture: Fixture) -> Outcome {
    in_order(fixture, "standard").await
}

async fn payloads_of_all_kinds_arrive_in_order_of_their_group(fixture: Fixture) -> Outcome {
    in_order(fixture, "ordered.fifo").await
}

async fn in_order(mut fixture: Fixture, name: &str) -> Outcome {
    fixture.queue = fixture.queue(name).await?;
    let fifo = name.ends_with(".fifo");
    let extended = fixture.extended()?.build()?;
    let messages = (0..MESSAGES).map(|number| {
        let mut message = ExtendedMessage::new(payload(number)).message_attribute("n", number.to_string());
        if fifo {
            // Nothing follows a failed message in its group.
            message = message.message_group_id(if number == BAD { "bad" } else { "g" });
        }
        let more = if number == BAD { 0..10 } else { 0..0 };
        more.fold(message, |message, i| message.message_attribute(format!("a{i}"), "v"))
    });
    let results = extended.send_messages(&fixture.queue, messages).await;
    ensure!(results.len() == MESSAGES);
    let mut ids = BTreeMap::new();
    for (number, result) in results.into_iter().enumerate() {
        match result {
            Ok(sent) => {
                ensure!(sent.pointer.is_some() == (number % 4 >= 2), "{number}");
                ensure!(sent.sequence_number.is_some() == fifo);
                ids.insert(number, sent.message_id);
            }
            Err(error) => ensure!(
                number == BAD && error.kind() == ErrorKind::InvalidInput,
                "{number}: {error:?}"
            ),
        }
    }
    let mut order = Vec::new();
    for _ in 0..MESSAGES - 1 {
        let delivery = delivery(&extended, &fixture.queue).await?;
        let number = delivery
            .message_attributes()
            .get("n")
            .and_then(|number| number.as_str());
        let number: usize = number.context("the attribute")?.parse()?;
        ensure!(delivery.bytes().await? == payload(number), "{number} changed");
        ensure!(
            ids[&number] == delivery.message_id(),
            "{number} has the result of another message"
        );
        delivery.ack().await?;
        order.push(number);
    }
    if !fifo {
        order.sort_unstable();
    }
    ensure!(order.into_iter().eq((0..MESSAGES).filter(|number| *number != BAD)));
    ensure!(fixture.stored().await?.is_empty());
    Ok(())
}

/// Sends this number of large messages.
async fn send(fixture: &Fixture, messages: usize) -> anyhow::Result<Vec<Result<SendOutput, Error>>> {
    let extended = fixture.extended()?.build()?;
    Ok(extended.send_messages(&fixture.queue, vec![large(); messages]).await)
}

async fn a_refused_request_deletes_its_payloads(fixture: Fixture) -> Outcome {
    // The second of two requests fails.
    let throttled = Fault::on(Action::SendMessageBatch, FaultKind::Throttle)
        .after(1)
        .times(1);
    fixture.server.faults().add(throttled);
    let mut sent = HashSet::new();
    for result in send(&fixture, 15).await? {
        match result {
            Ok(output) => drop(sent.insert(output.pointer.context("a pointer")?.key)),
            Err(error) => ensure!(
                error.kind() == ErrorKind::Queue && !error.may_have_been_sent(),
                "{error:?}"
            ),
        }
    }
    let count = sent.len();
    ensure!(
        count == 5 || count == 10,
        "{count} messages were sent by the other request"
    );
    ensure!(fixture.messages(&fixture.queue).len() == count);
    ensure!(
        HashSet::from_iter(fixture.stored().await?) == sent,
        "the stored payloads are not those of the sent messages"
    );
    Ok(())
}

/// An entry that failed because of an internal error may still have taken effect.
async fn failed_entries_keep_their_payloads(fixture: Fixture) -> Outcome {
    let failing = Fault::on(Action::SendMessageBatch, FaultKind::FailEntries(3)).times(1);
    fixture.server.faults().add(failing);
    let results = send(&fixture, 10).await?;
    let failed: Vec<&Error> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    ensure!(
        failed.len() == 3 && failed.iter().all(|error| error.may_have_been_sent()),
        "{failed:?}"
    );
    ensure!(fixture.messages(&fixture.queue).len() == 7);
    ensure!(
        fixture.stored().await?.len() == 10,
        "a payload was deleted although its message may have been sent"
    );
    Ok(())
}

async fn messages_that_may_have_been_sent_keep_their_payloads(fixture: Fixture) -> Outcome {
    let lost = Fault::on(Action::SendMessageBatch, FaultKind::DropAfter).times(1);
    fixture.server.faults().add(lost);
    for result in send(&fixture, 5).await? {
        let error = result.err().context("the response was not lost")?;
        ensure!(error.may_have_been_sent(), "{error:?}");
    }
    let extended = fixture.extended()?.build()?;
    for _ in 0..5 {
        ensure!(delivery(&extended, &fixture.queue).await?.text().await? == large());
    }
    Ok(())
}

/// The first attempt takes effect. The response to the second reports all entries as failed.
async fn a_lost_response_before_a_refusal_keeps_the_payloads(fixture: Fixture) -> Outcome {
    let failed: Vec<String> = (0..5)
        .map(|id| format!(r#"{{"Id":"{id}","Code":"InvalidParameterValue","SenderFault":true}}"#))
        .collect();
    let failed = format!(r#"{{"Failed":[{}]}}"#, failed.join(","));
    let on_send = |kind| Fault::on(Action::SendMessageBatch, kind).times(1);
    fixture.server.faults().add(on_send(FaultKind::DropAfter));
    let reply = FaultKind::Reply(Reply::new(200).body(&failed));
    fixture.server.faults().add(on_send(reply).after(1));
    let retrying = fixture.server.client_builder().retry(fast_retries()).build()?;
    let extended = ExtendedClient::builder(retrying)
        .payload_store(fixture.payloads().build()?)
        .build()?;
    for result in extended.send_messages(&fixture.queue, vec![large(); 5]).await {
        let error = result.err().context("the entry was not reported as failed")?;
        ensure!(error.may_have_been_sent(), "{error:?}");
    }
    for _ in 0..5 {
        ensure!(delivery(&extended, &fixture.queue).await?.text().await? == large());
    }
    Ok(())
}

/// Returns messages of two groups in turn, with the payload of each group and number.
fn of_two_groups(each: usize, payload: impl Fn(&str, usize) -> Payload) -> Vec<ExtendedMessage> {
    let message = |group: &str, number: usize| {
        ExtendedMessage::new(payload(group, number))
            .message_group_id(group)
            .message_deduplication_id(format!("{group}{number}"))
    };
    (0..each)
        .flat_map(|number| ["a", "b"].map(|group| message(group, number)))
        .collect()
}

/// Returns the groups and numbers of the sent messages, and of those that were certainly not sent.
fn outcomes(results: &[Result<SendOutput, Error>]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let (mut sent, mut unsent) = (Vec::new(), Vec::new());
    for (index, result) in results.iter().enumerate() {
        let name = format!("{}{}", ["a", "b"][index % 2], index / 2);
        match result {
            Ok(_) => sent.push(name),
            Err(error) => {
                ensure!(!error.may_have_been_sent(), "{name}: {error:?}");
                unsent.push(name);
            }
        }
    }
    Ok((sent, unsent))
}

async fn nothing_of_a_group_follows_an_unstored_payload(mut fixture: Fixture) -> Outcome {
    fixture.queue = fixture.queue("ordered.fifo").await?;
    let extended = fixture.extended()?.build()?;
    let messages = of_two_groups(4, |group, number| match (group, number) {
        ("a", 1) => {
            let broken = futures::stream::iter([Err(std::io::Error::other("the disk broke"))]);
            Payload::from_stream(broken, Some(300_000))
        }
        (_, 3) => Payload::from("small"),
        _ => Payload::from(format!("{group}{number} {}", large())),
    });
    let results = extended.send_messages(&fixture.queue, messages).await;
    let (sent, unsent) = outcomes(&results)?;
    ensure!(unsent == ["a1", "a2", "a3"], "{unsent:?} were not sent");
    ensure!(sent == ["a0", "b0", "b1", "b2", "b3"], "{sent:?}");
    let kinds: Vec<ErrorKind> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .map(Error::kind)
        .collect();
    ensure!(
        kinds == [ErrorKind::PayloadSource, ErrorKind::HeldBack, ErrorKind::HeldBack],
        "{kinds:?}"
    );
    ensure!(fixture.messages(&fixture.queue).len() == sent.len());
    let stored = fixture.stored().await?;
    ensure!(
        stored.len() == 4,
        "the payload of an unsent message remains: {stored:?}"
    );
    Ok(())
}

/// The server refuses the first of several requests.
async fn nothing_of_a_group_follows_a_refused_message(mut fixture: Fixture) -> Outcome {
    fixture.queue = fixture.queue("ordered.fifo").await?;
    let extended = fixture.extended()?.build()?;
    let throttled = Fault::on(Action::SendMessageBatch, FaultKind::Throttle).times(1);
    fixture.server.faults().add(throttled);
    let messages = of_two_groups(8, |group, number| Payload::from(format!("{group}{number} {}", large())));
    let results = extended.send_messages(&fixture.queue, messages).await;
    let (sent, unsent) = outcomes(&results)?;
    ensure!(
        sent.is_empty() && unsent.len() == 16,
        "{sent:?} were sent after a failure in their group"
    );
    ensure!(fixture.messages(&fixture.queue).is_empty());
    let held_back = |result: &&Result<SendOutput, Error>| {
        result
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::HeldBack && error.is_retryable())
    };
    ensure!(results.iter().filter(held_back).count() == 6, "{results:?}");
    let stored = fixture.stored().await?;
    ensure!(stored.is_empty(), "payloads of unsent messages remain: {stored:?}");
    Ok(())
}
