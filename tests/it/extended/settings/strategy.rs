//! Tests strategies, payload keys, object attributes and prefetching.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStoreExt as _};
use sqs_extended::{ErrorKind, ExtendedDelivery, ExtendedMessage, Strategy};
use sqs_local::{Action, Fault, FaultKind};

use super::{Fixture, delivery, large, test};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, payloads_are_prefetched),
        test(harness, prefetching_stays_within_memory),
        test(harness, a_callers_key_survives_a_refusal),
        test(harness, always_offload_offloads_small_payloads),
        test(harness, object_attributes_are_stored),
        test(harness, inline_refuses_what_does_not_fit),
        test(harness, a_digest_of_all_attributes_does_no_harm),
    ]
}

async fn a_digest_of_all_attributes_does_no_harm(fixture: Fixture) -> Outcome {
    let digests_all = Fault::on(Action::ReceiveMessage, FaultKind::DigestAllAttributes);
    fixture.server.faults().add(digests_all);
    let extended = fixture.extended()?.build()?;
    let message = ExtendedMessage::new(large()).message_attribute("lang", "en");
    extended.send(&fixture.queue, message).await?;
    // The receive requests only the layer's own attributes.
    let receive = extended.receive(&fixture.queue).wait_time(Duration::from_secs(5));
    let delivery = receive.await?.into_iter().next().context("a message")??;
    ensure!(delivery.message_attributes().is_empty() && delivery.is_offloaded());
    ensure!(delivery.text().await? == large());
    delivery.ack().await?;
    Ok(())
}

/// Sends these payloads, and receives all messages with prefetching.
async fn prefetched(
    fixture: &Fixture,
    payloads: &[String],
    max_in_memory: usize,
) -> anyhow::Result<Vec<ExtendedDelivery>> {
    let extended = fixture.extended()?.max_in_memory(max_in_memory).build()?;
    for sent in extended.send_messages(&fixture.queue, payloads.iter().cloned()).await {
        sent?;
    }
    let received = extended
        .receive(&fixture.queue)
        .max_messages(10)
        .prefetch_payloads(2)
        .await?;
    let received: Vec<ExtendedDelivery> = received.into_iter().collect::<Result<_, _>>()?;
    ensure!(received.len() == payloads.len());
    Ok(received)
}

async fn payloads_are_prefetched(fixture: Fixture) -> Outcome {
    let payloads = [large(), "small".to_owned(), large(), large()];
    let deliveries = prefetched(&fixture, &payloads, 1_000_000).await?;
    ensure!(fixture.store.calls() == 6, "there were not three puts and three gets");
    for (delivery, payload) in deliveries.iter().zip(&payloads) {
        for _ in 0..2 {
            ensure!(delivery.text().await? == *payload);
        }
    }
    ensure!(fixture.store.calls() == 6, "a payload was fetched again");
    for delivery in &deliveries {
        delivery.ack().await?;
    }
    ensure!(fixture.stored().await?.is_empty());
    Ok(())
}

async fn prefetching_stays_within_memory(fixture: Fixture) -> Outcome {
    let payloads = [large(), large(), large()];
    let deliveries = prefetched(&fixture, &payloads, 2 * large().len() + 1).await?;
    ensure!(fixture.store.calls() == 5, "there were not three puts and two gets");
    for delivery in &deliveries {
        ensure!(delivery.text().await? == large());
    }
    ensure!(fixture.store.calls() == 6, "the third payload was not fetched once");
    Ok(())
}

async fn a_callers_key_survives_a_refusal(fixture: Fixture) -> Outcome {
    let extended = fixture.extended()?.build()?;
    let nowhere = fixture.server.queue_url("no-such-queue");
    let message = || ExtendedMessage::new(large()).payload_key("2026/orders-17");
    for _ in 0..2 {
        let error = extended.send(&nowhere, message()).await.unwrap_err();
        ensure!(
            error.kind() == ErrorKind::Queue && !error.may_have_been_sent(),
            "{error:?}"
        );
        extended.send(&nowhere, large()).await.unwrap_err();
        ensure!(fixture.stored().await? == ["p/2026/orders-17"]);
    }
    extended.send(&fixture.queue, message()).await?;
    let delivery = delivery(&extended, &fixture.queue).await?;
    ensure!(delivery.pointer().context("a pointer")?.key == "p/2026/orders-17");
    ensure!(delivery.text().await? == large());
    delivery.ack().await?;
    ensure!(fixture.stored().await?.is_empty());
    Ok(())
}

async fn always_offload_offloads_small_payloads(fixture: Fixture) -> Outcome {
    let extended = fixture.extended()?.always_offload(true).build()?;
    let sent = extended.send(&fixture.queue, "x").await?;
    ensure!(sent.pointer.is_some());
    ensure!(delivery(&extended, &fixture.queue).await?.text().await? == "x");
    Ok(())
}

async fn object_attributes_are_stored(fixture: Fixture) -> Outcome {
    const TYPE: &str = "application/json";
    let attributes = Attributes::from_iter([(Attribute::ContentType, TYPE), (Attribute::CacheControl, "no-store")]);
    let payloads = fixture.payloads().object_attributes(attributes.clone());
    let extended = fixture.with(payloads)?.build()?;
    // One request, and several parts.
    for size in [300_000, 20 * 1024 * 1024] {
        extended.send(&fixture.queue, "1".repeat(size)).await?;
        let delivery = delivery(&extended, &fixture.queue).await?;
        let pointer = delivery.pointer().context("a pointer")?;
        ensure!(pointer.content_type.as_deref() == Some(TYPE), "{pointer:?}");
        let object = fixture.store.objects.get(&Path::from(&*pointer.key)).await?;
        ensure!(object.attributes == attributes, "{:?}", object.attributes);
        ensure!(delivery.bytes().await?.len() == size);
        delivery.ack().await?;
    }
    Ok(())
}

async fn inline_refuses_what_does_not_fit(fixture: Fixture) -> Outcome {
    let extended = fixture.extended()?.strategy(Strategy::Inline).build()?;
    for payload in [large().into_bytes(), vec![0, 1, 2], Vec::new()] {
        let error = extended.send(&fixture.queue, payload).await.unwrap_err();
        ensure!(error.kind() == ErrorKind::TooLarge, "{error:?}");
    }
    ensure!(fixture.store.calls() == 0, "the store was called");
    ensure!(fixture.messages(&fixture.queue).is_empty());
    extended.send(&fixture.queue, "text").await?;
    ensure!(delivery(&extended, &fixture.queue).await?.text().await? == "text");
    Ok(())
}
