//! Tests hooks of the SQS client. They see each message once, before its strategy is chosen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use sqs_client::client::TraceCarrier;
use sqs_client::{Client, QueueAttributes, limits};
use sqs_extended::consumer::IncompleteAction;
use sqs_extended::receive::MissingPayload;
use sqs_extended::{ExtendedClient, ExtendedClientBuilder, ExtendedDelivery, ExtendedMessage};
use sqs_extended::{PayloadStore, Strategy};

use super::{Fixture, delivery, large, test};
use crate::consumer::until;
use crate::harness::{Harness, Outcome};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CARRIER: &str = "traceparent";

/// The queue's maximum message size.
const LIMIT: usize = 262_144;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, hooks_leave_room_for_every_strategy),
        test(harness, hooks_see_each_message_once),
        test(harness, a_trace_uses_no_attribute_that_is_needed),
        test(harness, hooks_do_not_see_moved_messages),
    ]
}

/// A client that propagates a trace in every message and counts the messages that its hooks see.
struct Hooked {
    client: Client,
    seen: Arc<AtomicUsize>,
}

impl Hooked {
    fn new(fixture: &Fixture) -> anyhow::Result<Self> {
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = seen.clone();
        let client = fixture
            .server
            .client_builder()
            .on_send(move |_, _| {
                counted.fetch_add(1, Ordering::Relaxed);
            })
            .propagate_trace(TraceCarrier::MessageAttribute(CARRIER.to_owned()), || {
                Some(TRACE.to_owned())
            })
            .build()?;
        Ok(Self { client, seen })
    }

    fn extended(&self, fixture: &Fixture, strategy: Strategy) -> anyhow::Result<ExtendedClientBuilder> {
        let payloads = fixture.payloads().build()?;
        Ok(self.over(payloads).strategy(strategy))
    }

    fn over(&self, payloads: PayloadStore) -> ExtendedClientBuilder {
        ExtendedClient::builder(self.client.clone()).payload_store(payloads)
    }

    fn seen(&self) -> usize {
        self.seen.swap(0, Ordering::Relaxed)
    }
}

/// Creates a queue whose maximum message size is [`LIMIT`].
async fn limited(fixture: &Fixture, name: &str) -> anyhow::Result<String> {
    let mut attributes = QueueAttributes::default();
    attributes.maximum_message_size = Some(LIMIT.try_into()?);
    Ok(fixture
        .client
        .create_queue(name)
        .attributes(attributes)
        .await?
        .queue_url)
}

/// Consumes `count` payloads, and returns the length and trace of each.
async fn consumed(
    extended: &ExtendedClient,
    queue: &str,
    count: usize,
) -> anyhow::Result<BTreeMap<usize, Option<String>>> {
    let arrived = Arc::new(Mutex::new(BTreeMap::new()));
    let noted = arrived.clone();
    let all = until(|| arrived.lock().expect("no handler panics").len() >= count);
    let consumer = extended
        .consumer(queue)
        .configure(|consumer| consumer.wait_time(Duration::from_secs(1)));
    let (done, ended) = tokio::sync::oneshot::channel();
    let run = consumer.run(
        async { drop(done.send(all.await)) },
        move |delivery: ExtendedDelivery| {
            let noted = noted.clone();
            async move {
                let size = delivery.bytes().await?.len();
                let trace = delivery.message_attributes().get(CARRIER);
                let trace = trace.and_then(|trace| trace.as_str()).map(str::to_owned);
                noted.lock().expect("no handler panics").insert(size, trace);
                anyhow::Ok(())
            }
        },
    );
    run.await?;
    let arrived = arrived.lock().expect("no handler panics").clone();
    ended.await?.with_context(|| format!("{arrived:?}"))?;
    Ok(arrived)
}

async fn hooks_leave_room_for_every_strategy(fixture: Fixture) -> Outcome {
    let hooked = Hooked::new(&fixture)?;
    let queue = limited(&fixture, "limited").await?;
    for strategy in [Strategy::Offload, Strategy::Split] {
        let extended = hooked.extended(&fixture, strategy)?.build()?;
        let sizes = [10, LIMIT - 44, LIMIT, 600_000];
        for size in sizes {
            let sent = extended.send(&queue, "x".repeat(size)).await;
            let sent = sent.with_context(|| format!("{size} bytes by {strategy:?}"))?;
            ensure!(hooked.seen() == 1, "{size} bytes in {} messages", sent.segments);
            ensure!(
                (size == 10) == (sent.pointer.is_none() && sent.segments == 1),
                "{sent:?}"
            );
        }
        let arrived = consumed(&extended, &queue, sizes.len()).await?;
        let expected = sizes.map(|size| (size, Some(TRACE.to_owned())));
        ensure!(arrived == BTreeMap::from(expected), "{arrived:?} by {strategy:?}");
    }
    Ok(())
}

async fn hooks_see_each_message_once(fixture: Fixture) -> Outcome {
    let hooked = Hooked::new(&fixture)?;
    let queue = limited(&fixture, "limited").await?;
    let extended = hooked.extended(&fixture, Strategy::Split)?.build()?;
    let sizes = [10, 600_000, LIMIT - 44, 20];
    let payloads = sizes.map(|size| "x".repeat(size));
    for sent in extended.send_messages(&queue, payloads).await {
        sent?;
    }
    ensure!(hooked.seen() == sizes.len());
    ensure!(consumed(&extended, &queue, sizes.len()).await?.len() == sizes.len());
    Ok(())
}

/// A tenth attribute would leave no room for a pointer's or a segment's attribute.
async fn a_trace_uses_no_attribute_that_is_needed(fixture: Fixture) -> Outcome {
    let hooked = Hooked::new(&fixture)?;
    for strategy in [Strategy::Offload, Strategy::Split] {
        let extended = hooked.extended(&fixture, strategy)?.build()?;
        let attribute = |message: ExtendedMessage, number: usize| message.message_attribute(number.to_string(), "v");
        let nine = |message| (1..limits::MAX_MESSAGE_ATTRIBUTES).fold(message, attribute);
        extended
            .send(&fixture.queue, nine(ExtendedMessage::new(large())))
            .await?;
        let arrived = consumed(&extended, &fixture.queue, 1).await?;
        ensure!(arrived == BTreeMap::from([(large().len(), None)]), "{arrived:?}");
    }
    Ok(())
}

/// The consumer moves segments that fill the queue's limit, and a message whose payload is missing, to another queue.
async fn hooks_do_not_see_moved_messages(fixture: Fixture) -> Outcome {
    let hooked = Hooked::new(&fixture)?;
    let (queue, target) = (limited(&fixture, "limited").await?, limited(&fixture, "target").await?);
    let extended = hooked.extended(&fixture, Strategy::Split)?.build()?;
    let sent = extended.send(&queue, "x".repeat(600_000)).await?;
    // Delete one of the segments.
    let lost = fixture.client.receive_message(&queue).await?.messages;
    let lost = lost.first().context("a segment")?;
    fixture.client.delete_message(&queue, &lost.receipt_handle).await?;
    hooked.seen();

    let to = target.clone();
    let moved = extended
        .consumer(&queue)
        .configure(|consumer| consumer.wait_time(Duration::from_secs(1)))
        .assembly_timeout(Duration::from_secs(1))
        .on_incomplete(move |_| {
            let to = to.clone();
            async move { IncompleteAction::MoveTo(to) }
        })
        .run(
            until(|| fixture.messages(&target).len() == sent.segments - 1),
            |_| async { Ok::<(), std::convert::Infallible>(()) },
        );
    moved.await?;
    ensure!(fixture.messages(&target).len() == sent.segments - 1);
    ensure!(hooked.seen() == 0, "hooks saw segments");

    let missing = limited(&fixture, "missing").await?;
    let offloading = hooked
        .extended(&fixture, Strategy::Offload)?
        .missing_payload(MissingPayload::MoveTo(missing.clone()))
        .build()?;
    offloading.send(&fixture.queue, large()).await?;
    for key in fixture.stored().await? {
        fixture.store.objects.delete(&Path::from(key)).await?;
    }
    hooked.seen();
    let error = delivery(&offloading, &fixture.queue).await?.text().await.unwrap_err();
    ensure!(error.is_missing_payload(), "{error:?}");
    ensure!(fixture.messages(&missing).len() == 1);
    ensure!(hooked.seen() == 0, "hooks saw a moved message");
    Ok(())
}
