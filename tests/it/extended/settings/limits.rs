//! Queues that are set to take less than others.

use std::sync::Arc;

use anyhow::ensure;
use futures::FutureExt as _;
use libtest_mimic::Trial;
use sqs_client::QueueAttributes;
use sqs_extended::{ErrorKind, ExtendedMessage};
use sqs_tests::embedded::Action;

use super::{Setting, delivery, set};
use crate::bench::{Bench, Outcome};

const LIMIT: usize = 1_024;

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    vec![
        set("limits::what_a_queue_does_not_take_is_offloaded", bench, |setting| {
            offloaded(setting).boxed()
        }),
        set("limits::attributes_leave_room_or_it_is_said", bench, |setting| {
            attributes(setting).boxed()
        }),
    ]
}

/// The queue takes no more than [`LIMIT`].
async fn narrow(mut setting: Setting) -> anyhow::Result<Setting> {
    let mut attributes = QueueAttributes::default();
    attributes.maximum_message_size = Some(LIMIT.try_into()?);
    let created = setting.client.create_queue("narrow").attributes(attributes).await?;
    setting.queue = created.queue_url;
    Ok(setting)
}

async fn offloaded(setting: Setting) -> Outcome {
    let setting = narrow(setting).await?;
    let unaware = setting.extended()?.build()?;
    let error = unaware.send(&setting.queue, "x".repeat(LIMIT + 1)).await.unwrap_err();
    ensure!(error.kind() == ErrorKind::Queue, "{error:?}");

    let extended = setting.extended()?.respect_queue_limits(true).build()?;
    for (size, is_offloaded) in [(LIMIT, false), (LIMIT + 1, true), (300_000, true)] {
        let sent = extended.send(&setting.queue, "x".repeat(size)).await?;
        ensure!(sent.pointer.is_some() == is_offloaded, "{size}");
        let delivery = delivery(&extended, &setting.queue).await?;
        ensure!(delivery.text().await? == "x".repeat(size));
        delivery.ack().await?;
    }
    ensure!(setting.stored().await?.is_empty());
    ensure!(
        setting.server.count(Action::GetQueueAttributes) == 1,
        "the limit is remembered"
    );
    Ok(())
}

async fn attributes(setting: Setting) -> Outcome {
    let setting = narrow(setting).await?;
    let extended = setting.extended()?.respect_queue_limits(true).build()?;
    let with = |size: usize, count: usize, bytes: usize| {
        (0..count).fold(ExtendedMessage::new("x".repeat(size)), |message, i| {
            message.message_attribute(format!("a{i}"), "v".repeat(bytes))
        })
    };
    for (size, count, bytes) in [(LIMIT, 10, 1), (LIMIT, 1, LIMIT - 200), (10, 1, LIMIT), (10, 11, 1)] {
        let error = extended
            .send(&setting.queue, with(size, count, bytes))
            .await
            .unwrap_err();
        ensure!(
            error.kind() == ErrorKind::InvalidInput,
            "{size} {count} {bytes}: {error:?}"
        );
    }
    ensure!(setting.store.calls() == 0, "the store was called in vain");
    ensure!(setting.messages(&setting.queue).is_empty());

    for (size, count, is_offloaded) in [(10, 10, false), (LIMIT, 9, true)] {
        let sent = extended.send(&setting.queue, with(size, count, 1)).await?;
        ensure!(sent.pointer.is_some() == is_offloaded);
        let delivery = delivery(&extended, &setting.queue).await?;
        ensure!(delivery.message_attributes().len() == count);
        delivery.ack().await?;
    }
    Ok(())
}
