//! Many messages of all kinds by one call.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use futures::FutureExt as _;
use libtest_mimic::Trial;
use sqs_extended::{Error, ErrorKind, ExtendedMessage, SendOutput};
use sqs_tests::embedded::{Action, Fault, FaultKind};

use super::{Setting, delivery, large, set};
use crate::bench::{Bench, Outcome};

const MESSAGES: usize = 25;
/// The one with more attributes than a message takes.
const BAD: usize = 13;

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    vec![
        set("batches::of_all_kinds_in_order", bench, |setting| {
            in_order(setting, "standard").boxed()
        }),
        set("batches::of_all_kinds_in_order_of_a_group", bench, |setting| {
            in_order(setting, "ordered.fifo").boxed()
        }),
        set("batches::a_refused_request_takes_its_payloads_back", bench, |setting| {
            refused(setting).boxed()
        }),
        set("batches::failed_entries_keep_theirs", bench, |setting| {
            entries(setting).boxed()
        }),
        set("batches::what_may_be_sent_keeps_its_payload", bench, |setting| {
            ambiguous(setting).boxed()
        }),
    ]
}

/// Small, of which six are longer together than a request may be, for the store, and binary.
fn payload(number: usize) -> Vec<u8> {
    let size = [1, 200_000, 300_000, 1_000][number % 4];
    let mut payload = format!("{number:02}").into_bytes();
    payload.resize(size + 2, b'x');
    if number % 4 == 3 {
        payload.push(0);
    }
    payload
}

async fn in_order(mut setting: Setting, name: &str) -> Outcome {
    setting.queue = setting.queue(name).await?;
    let fifo = name.ends_with(".fifo");
    let extended = setting.extended()?.build()?;
    let messages = (0..MESSAGES).map(|number| {
        let mut message = ExtendedMessage::new(payload(number)).message_attribute("n", number.to_string());
        if fifo {
            message = message.message_group_id("g");
        }
        let more = if number == BAD { 0..10 } else { 0..0 };
        more.fold(message, |message, i| message.message_attribute(format!("a{i}"), "v"))
    });
    let results = extended.send_messages(&setting.queue, messages).await;
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
        let delivery = delivery(&extended, &setting.queue).await?;
        let number = delivery
            .message_attributes()
            .get("n")
            .and_then(|number| number.as_str());
        let number: usize = number.context("the attribute")?.parse()?;
        ensure!(delivery.bytes().await? == payload(number), "{number} came changed");
        ensure!(ids[&number] == delivery.message_id(), "{number} has another's result");
        delivery.ack().await?;
        order.push(number);
    }
    if !fifo {
        order.sort_unstable();
    }
    ensure!(order.into_iter().eq((0..MESSAGES).filter(|number| *number != BAD)));
    ensure!(setting.stored().await?.is_empty());
    Ok(())
}

/// Sends large messages.
async fn send(setting: &Setting, messages: usize) -> anyhow::Result<Vec<Result<SendOutput, Error>>> {
    let extended = setting.extended()?.build()?;
    Ok(extended.send_messages(&setting.queue, vec![large(); messages]).await)
}

async fn refused(setting: Setting) -> Outcome {
    // The second of two requests.
    let throttled = Fault::on(Action::SendMessageBatch, FaultKind::Throttle)
        .after(1)
        .times(1);
    setting.server.faults().add(throttled);
    let mut sent = HashSet::new();
    for result in send(&setting, 15).await? {
        match result {
            Ok(output) => drop(sent.insert(output.pointer.context("a pointer")?.key)),
            Err(error) => ensure!(
                error.kind() == ErrorKind::Queue && !error.may_have_been_sent(),
                "{error:?}"
            ),
        }
    }
    let count = sent.len();
    ensure!(count == 5 || count == 10, "{count} of one request");
    ensure!(setting.messages(&setting.queue).len() == count);
    ensure!(
        HashSet::from_iter(setting.stored().await?) == sent,
        "others are stored than were sent"
    );
    Ok(())
}

/// SQS does not say that an entry on which it failed itself had no effect.
async fn entries(setting: Setting) -> Outcome {
    let failing = Fault::on(Action::SendMessageBatch, FaultKind::FailEntries(3)).times(1);
    setting.server.faults().add(failing);
    let results = send(&setting, 10).await?;
    let failed: Vec<&Error> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    ensure!(
        failed.len() == 3 && failed.iter().all(|error| error.may_have_been_sent()),
        "{failed:?}"
    );
    ensure!(setting.messages(&setting.queue).len() == 7);
    ensure!(
        setting.stored().await?.len() == 10,
        "a payload is gone whose message may be there"
    );
    Ok(())
}

async fn ambiguous(setting: Setting) -> Outcome {
    let lost = Fault::on(Action::SendMessageBatch, FaultKind::DropAfter).times(1);
    setting.server.faults().add(lost);
    for result in send(&setting, 5).await? {
        let error = result.err().context("the answer was lost")?;
        ensure!(error.may_have_been_sent(), "{error:?}");
    }
    let extended = setting.extended()?.build()?;
    for _ in 0..5 {
        ensure!(delivery(&extended, &setting.queue).await?.text().await? == large());
    }
    Ok(())
}
