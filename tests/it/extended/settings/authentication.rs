//! Pointers that only holders of a key can have written.

use std::sync::Arc;

use anyhow::ensure;
use futures::FutureExt as _;
use libtest_mimic::Trial;
use sqs_client::OutgoingMessage;
use sqs_client::types::MessageAttributeValue;
use sqs_extended::pointer::PointerKeys;
use sqs_extended::{ErrorKind, ExtendedClient};

use super::{Setting, delivery, large, next, set};
use crate::bench::{Bench, Outcome};

const KEY: [u8; 32] = [1; 32];
const OTHER_KEY: [u8; 32] = [2; 32];

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    vec![
        set("authentication::there_and_back", bench, |setting| {
            there_and_back(setting).boxed()
        }),
        set("authentication::others_pointers_are_refused", bench, |setting| {
            refused(setting).boxed()
        }),
        set("authentication::a_pointer_stays_with_its_queue", bench, |setting| {
            moved(setting).boxed()
        }),
    ]
}

fn with(setting: &Setting, keys: PointerKeys) -> anyhow::Result<ExtendedClient> {
    Ok(setting.with(setting.payloads().pointer_keys(keys))?.build()?)
}

async fn there_and_back(setting: Setting) -> Outcome {
    let old = with(&setting, PointerKeys::new("old", &KEY)?)?;
    let new = with(&setting, PointerKeys::new("new", &OTHER_KEY)?.accept_key("old", &KEY)?)?;
    for (sender, receiver) in [(&old, &old), (&old, &new), (&new, &new)] {
        sender.send(&setting.queue, large()).await?;
        let delivery = delivery(receiver, &setting.queue).await?;
        ensure!(delivery.text().await? == large());
        delivery.ack().await?;
    }
    ensure!(setting.stored().await?.is_empty());
    Ok(())
}

async fn refused(setting: Setting) -> Outcome {
    let queue = &setting.queue;
    let ours = with(&setting, PointerKeys::new("k", &KEY)?)?;
    let unauthenticated = setting.extended()?.build()?;
    let same_name = with(&setting, PointerKeys::new("k", &OTHER_KEY)?)?;
    let unknown = with(&setting, PointerKeys::new("unknown", &KEY)?)?;
    for sender in [&unauthenticated, &same_name, &unknown] {
        sender.send(queue, large()).await?;
    }
    // A true pointer, but another length.
    ours.send(queue, large()).await?;
    let body = setting.messages(queue).pop().expect("a message").body;
    let changed = OutgoingMessage::new(body).message_attribute("ExtendedPayloadSize", MessageAttributeValue::number(1));
    setting.client.send_message(queue, changed).await?;

    let (calls, stored) = (setting.store.calls(), setting.stored().await?);
    let mut taken = 0;
    for _ in 0..5 {
        match next(&ours, queue).await? {
            Ok(_) => taken += 1,
            Err(rejected) => ensure!(rejected.error().kind() == ErrorKind::RefusedPointer, "{rejected:?}"),
        }
    }
    ensure!(taken == 1, "only ours is taken, and {taken} were");
    ensure!(setting.store.calls() == calls, "the store was called");
    ensure!(setting.stored().await? == stored);
    Ok(())
}

/// A copy in another queue is refused, except where that is a dead-letter queue of the first.
async fn moved(setting: Setting) -> Outcome {
    let other = setting.queue("dead-letters").await?;
    let sender = with(&setting, PointerKeys::new("k", &KEY)?)?;
    sender.send(&setting.queue, large()).await?;
    let body = setting.messages(&setting.queue).pop().expect("a message").body;
    let size = MessageAttributeValue::number(large().len());
    for _ in 0..2 {
        let copy = OutgoingMessage::new(&*body).message_attribute("ExtendedPayloadSize", size.clone());
        setting.client.send_message(&other, copy).await?;
    }
    let calls = setting.store.calls();
    let rejected = next(&sender, &other).await?.expect_err("it is of another queue");
    ensure!(rejected.error().kind() == ErrorKind::RefusedPointer, "{rejected:?}");
    ensure!(setting.store.calls() == calls, "the store was called");

    let consumer = with(&setting, PointerKeys::new("k", &KEY)?.accept_queue("q"))?;
    ensure!(delivery(&consumer, &other).await?.text().await? == large());
    Ok(())
}
