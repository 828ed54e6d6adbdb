//! Tests queues with a low maximum message size.

use std::sync::Arc;

use anyhow::ensure;
use libtest_mimic::Trial;
use sqs_client::QueueAttributes;
use sqs_extended::{ErrorKind, ExtendedMessage};
use sqs_local::Action;

use super::{Fixture, delivery, test};
use crate::harness::{Harness, Outcome};

const LIMIT: usize = 1_024;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, messages_above_the_queues_limit_are_offloaded),
        test(harness, attributes_beyond_the_queues_limit_are_refused),
    ]
}

/// Uses a queue whose maximum message size is [`LIMIT`].
async fn narrow(mut fixture: Fixture) -> anyhow::Result<Fixture> {
    let mut attributes = QueueAttributes::default();
    attributes.maximum_message_size = Some(LIMIT.try_into()?);
    let created = fixture.client.create_queue("narrow").attributes(attributes).await?;
    fixture.queue = created.queue_url;
    Ok(fixture)
}

async fn messages_above_the_queues_limit_are_offloaded(fixture: Fixture) -> Outcome {
    let fixture = narrow(fixture).await?;
    let unaware = fixture.extended()?.build()?;
    let error = unaware.send(&fixture.queue, "x".repeat(LIMIT + 1)).await.unwrap_err();
    ensure!(error.kind() == ErrorKind::Queue, "{error:?}");

    let extended = fixture.extended()?.respect_queue_limits(true).build()?;
    for (size, is_offloaded) in [(LIMIT, false), (LIMIT + 1, true), (300_000, true)] {
        let sent = extended.send(&fixture.queue, "x".repeat(size)).await?;
        ensure!(sent.pointer.is_some() == is_offloaded, "{size}");
        let delivery = delivery(&extended, &fixture.queue).await?;
        ensure!(delivery.text().await? == "x".repeat(size));
        delivery.ack().await?;
    }
    ensure!(fixture.stored().await?.is_empty());
    ensure!(
        fixture.server.count(Action::GetQueueAttributes) == 1,
        "the limit was not remembered"
    );
    Ok(())
}

async fn attributes_beyond_the_queues_limit_are_refused(fixture: Fixture) -> Outcome {
    let fixture = narrow(fixture).await?;
    let extended = fixture.extended()?.respect_queue_limits(true).build()?;
    let with = |size: usize, count: usize, bytes: usize| {
        (0..count).fold(ExtendedMessage::new("x".repeat(size)), |message, i| {
            message.message_attribute(format!("a{i}"), "v".repeat(bytes))
        })
    };
    for (size, count, bytes) in [(LIMIT, 10, 1), (LIMIT, 1, LIMIT - 200), (10, 1, LIMIT), (10, 11, 1)] {
        let error = extended
            .send(&fixture.queue, with(size, count, bytes))
            .await
            .unwrap_err();
        ensure!(
            error.kind() == ErrorKind::InvalidInput,
            "{size} {count} {bytes}: {error:?}"
        );
    }
    ensure!(fixture.store.calls() == 0, "the store was called");
    ensure!(fixture.messages(&fixture.queue).is_empty());

    for (size, count, is_offloaded) in [(10, 10, false), (LIMIT, 9, true)] {
        let sent = extended.send(&fixture.queue, with(size, count, 1)).await?;
        ensure!(sent.pointer.is_some() == is_offloaded);
        let delivery = delivery(&extended, &fixture.queue).await?;
        ensure!(delivery.message_attributes().len() == count);
        delivery.ack().await?;
    }
    Ok(())
}
