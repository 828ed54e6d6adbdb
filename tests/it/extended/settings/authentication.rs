//! Tests authenticated pointers, which require a key to create.

use std::sync::Arc;

use anyhow::ensure;
use libtest_mimic::Trial;
use sqs_client::OutgoingMessage;
use sqs_client::types::MessageAttributeValue;
use sqs_extended::pointer::PointerKeys;
use sqs_extended::{ErrorKind, ExtendedClient};

use super::{Fixture, delivery, large, next, test};
use crate::harness::{Harness, Outcome};

const KEY: [u8; 32] = [1; 32];
const OTHER_KEY: [u8; 32] = [2; 32];

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, authenticated_pointers_are_accepted),
        test(harness, unauthenticated_pointers_are_refused),
        test(harness, a_pointer_is_valid_only_in_its_queue),
    ]
}

fn with(fixture: &Fixture, keys: PointerKeys) -> anyhow::Result<ExtendedClient> {
    Ok(fixture.with(fixture.payloads().pointer_keys(keys))?.build()?)
}

async fn authenticated_pointers_are_accepted(fixture: Fixture) -> Outcome {
    let old = with(&fixture, PointerKeys::new("old", &KEY)?)?;
    let new = with(&fixture, PointerKeys::new("new", &OTHER_KEY)?.accept_key("old", &KEY)?)?;
    for (sender, receiver) in [(&old, &old), (&old, &new), (&new, &new)] {
        sender.send(&fixture.queue, large()).await?;
        let delivery = delivery(receiver, &fixture.queue).await?;
        ensure!(delivery.text().await? == large());
        delivery.ack().await?;
    }
    ensure!(fixture.stored().await?.is_empty());
    Ok(())
}

async fn unauthenticated_pointers_are_refused(fixture: Fixture) -> Outcome {
    let queue = &fixture.queue;
    let ours = with(&fixture, PointerKeys::new("k", &KEY)?)?;
    let unauthenticated = fixture.extended()?.build()?;
    let same_name = with(&fixture, PointerKeys::new("k", &OTHER_KEY)?)?;
    let unknown = with(&fixture, PointerKeys::new("unknown", &KEY)?)?;
    for sender in [&unauthenticated, &same_name, &unknown] {
        sender.send(queue, large()).await?;
    }
    // A genuine pointer with another length.
    ours.send(queue, large()).await?;
    let body = fixture.messages(queue).pop().expect("a message").body;
    let changed = OutgoingMessage::new(body).message_attribute("ExtendedPayloadSize", MessageAttributeValue::number(1));
    fixture.client.send_message(queue, changed).await?;

    let (calls, stored) = (fixture.store.calls(), fixture.stored().await?);
    let mut accepted = 0;
    for _ in 0..5 {
        match next(&ours, queue).await? {
            Ok(_) => accepted += 1,
            Err(rejected) => ensure!(rejected.error().kind() == ErrorKind::RefusedPointer, "{rejected:?}"),
        }
    }
    ensure!(accepted == 1, "{accepted} pointers were accepted instead of ours alone");
    ensure!(fixture.store.calls() == calls, "the store was called");
    ensure!(fixture.stored().await? == stored);
    Ok(())
}

/// A copy in another queue is refused, unless the consumer accepts the first queue as its source.
async fn a_pointer_is_valid_only_in_its_queue(fixture: Fixture) -> Outcome {
    let other = fixture.queue("dead-letters").await?;
    let sender = with(&fixture, PointerKeys::new("k", &KEY)?)?;
    sender.send(&fixture.queue, large()).await?;
    let body = fixture.messages(&fixture.queue).pop().expect("a message").body;
    let size = MessageAttributeValue::number(large().len());
    for _ in 0..2 {
        let copy = OutgoingMessage::new(&*body).message_attribute("ExtendedPayloadSize", size.clone());
        fixture.client.send_message(&other, copy).await?;
    }
    let calls = fixture.store.calls();
    let rejected = next(&sender, &other)
        .await?
        .expect_err("a pointer of another queue was accepted");
    ensure!(rejected.error().kind() == ErrorKind::RefusedPointer, "{rejected:?}");
    ensure!(fixture.store.calls() == calls, "the store was called");

    let consumer = with(&fixture, PointerKeys::new("k", &KEY)?.accept_queue("q"))?;
    ensure!(delivery(&consumer, &other).await?.text().await? == large());
    Ok(())
}
