//! How payloads travel: whether through the store, under which key and with what, and when they are fetched.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::FutureExt as _;
use libtest_mimic::Trial;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStoreExt as _};
use sqs_extended::{ErrorKind, ExtendedDelivery, ExtendedMessage, Strategy};
use sqs_tests::embedded::{Action, Fault, FaultKind};

use super::{Setting, delivery, large, set};
use crate::bench::{Bench, Outcome};

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    vec![
        set("travel::fetched_before_it_is_asked_for", bench, |setting| {
            eager(setting).boxed()
        }),
        set("travel::fetched_ahead_as_memory_allows", bench, |setting| {
            eager_within_memory(setting).boxed()
        }),
        set("travel::a_key_of_the_callers_outlasts_a_refusal", bench, |setting| {
            own_key(setting).boxed()
        }),
        set("travel::always_offload", bench, |setting| always(setting).boxed()),
        set("travel::object_attributes", bench, |setting| {
            object_attributes(setting).boxed()
        }),
        set("travel::inline_or_not_at_all", bench, |setting| inline(setting).boxed()),
        set(
            "travel::the_servers_digest_of_all_attributes_does_no_harm",
            bench,
            |setting| digest_of_all(setting).boxed(),
        ),
    ]
}

async fn digest_of_all(setting: Setting) -> Outcome {
    let digests_all = Fault::on(Action::ReceiveMessage, FaultKind::DigestAllAttributes);
    setting.server.faults().add(digests_all);
    let extended = setting.extended()?.build()?;
    let message = ExtendedMessage::new(large()).message_attribute("lang", "en");
    extended.send(&setting.queue, message).await?;
    // Only the layer's own attributes are requested.
    let receive = extended.receive(&setting.queue).wait_time(Duration::from_secs(5));
    let delivery = receive.await?.into_iter().next().context("a message")??;
    ensure!(delivery.message_attributes().is_empty() && delivery.is_offloaded());
    ensure!(delivery.text().await? == large());
    delivery.ack().await?;
    Ok(())
}

/// Sends these, and receives all with their payloads.
async fn eagerly(
    setting: &Setting,
    payloads: &[String],
    max_in_memory: usize,
) -> anyhow::Result<Vec<ExtendedDelivery>> {
    let extended = setting.extended()?.max_in_memory(max_in_memory).build()?;
    for sent in extended.send_messages(&setting.queue, payloads.iter().cloned()).await {
        sent?;
    }
    let received = extended
        .receive(&setting.queue)
        .max_messages(10)
        .prefetch_payloads(2)
        .await?;
    let received: Vec<ExtendedDelivery> = received.into_iter().collect::<Result<_, _>>()?;
    ensure!(received.len() == payloads.len());
    Ok(received)
}

async fn eager(setting: Setting) -> Outcome {
    let payloads = [large(), "small".to_owned(), large(), large()];
    let deliveries = eagerly(&setting, &payloads, 1_000_000).await?;
    ensure!(setting.store.calls() == 6, "three puts and three gets");
    for (delivery, payload) in deliveries.iter().zip(&payloads) {
        for _ in 0..2 {
            ensure!(delivery.text().await? == *payload);
        }
    }
    ensure!(setting.store.calls() == 6, "a payload was fetched again");
    for delivery in &deliveries {
        delivery.ack().await?;
    }
    ensure!(setting.stored().await?.is_empty());
    Ok(())
}

async fn eager_within_memory(setting: Setting) -> Outcome {
    let payloads = [large(), large(), large()];
    let deliveries = eagerly(&setting, &payloads, 2 * large().len() + 1).await?;
    ensure!(setting.store.calls() == 5, "three puts and two gets");
    for delivery in &deliveries {
        ensure!(delivery.text().await? == large());
    }
    ensure!(setting.store.calls() == 6, "the third one's get");
    Ok(())
}

async fn own_key(setting: Setting) -> Outcome {
    let extended = setting.extended()?.build()?;
    let nowhere = setting.server.queue_url("no-such-queue");
    let message = || ExtendedMessage::new(large()).payload_key("2026/orders-17");
    for _ in 0..2 {
        let error = extended.send(&nowhere, message()).await.unwrap_err();
        ensure!(
            error.kind() == ErrorKind::Queue && !error.may_have_been_sent(),
            "{error:?}"
        );
        extended.send(&nowhere, large()).await.unwrap_err();
        ensure!(setting.stored().await? == ["p/2026/orders-17"]);
    }
    extended.send(&setting.queue, message()).await?;
    let delivery = delivery(&extended, &setting.queue).await?;
    ensure!(delivery.pointer().context("a pointer")?.key == "p/2026/orders-17");
    ensure!(delivery.text().await? == large());
    delivery.ack().await?;
    ensure!(setting.stored().await?.is_empty());
    Ok(())
}

async fn always(setting: Setting) -> Outcome {
    let extended = setting.extended()?.always_offload(true).build()?;
    let sent = extended.send(&setting.queue, "x").await?;
    ensure!(sent.pointer.is_some());
    ensure!(delivery(&extended, &setting.queue).await?.text().await? == "x");
    Ok(())
}

async fn object_attributes(setting: Setting) -> Outcome {
    const TYPE: &str = "application/json";
    let attributes = Attributes::from_iter([(Attribute::ContentType, TYPE), (Attribute::CacheControl, "no-store")]);
    let payloads = setting.payloads().object_attributes(attributes.clone());
    let extended = setting.with(payloads)?.build()?;
    // By one request, and in parts.
    for size in [300_000, 20 * 1024 * 1024] {
        extended.send(&setting.queue, "1".repeat(size)).await?;
        let delivery = delivery(&extended, &setting.queue).await?;
        let pointer = delivery.pointer().context("a pointer")?;
        ensure!(pointer.content_type.as_deref() == Some(TYPE), "{pointer:?}");
        let object = setting.store.objects.get(&Path::from(&*pointer.key)).await?;
        ensure!(object.attributes == attributes, "{:?}", object.attributes);
        ensure!(delivery.bytes().await?.len() == size);
        delivery.ack().await?;
    }
    Ok(())
}

async fn inline(setting: Setting) -> Outcome {
    let extended = setting.extended()?.strategy(Strategy::Inline).build()?;
    for payload in [large().into_bytes(), vec![0, 1, 2], Vec::new()] {
        let error = extended.send(&setting.queue, payload).await.unwrap_err();
        ensure!(error.kind() == ErrorKind::TooLarge, "{error:?}");
    }
    ensure!(setting.store.calls() == 0, "the store was called");
    ensure!(setting.messages(&setting.queue).is_empty());
    extended.send(&setting.queue, "text").await?;
    ensure!(delivery(&extended, &setting.queue).await?.text().await? == "text");
    Ok(())
}
