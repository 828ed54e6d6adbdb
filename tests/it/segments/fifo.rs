//! Tests payloads in segments on FIFO queues. Order is preserved, and an incomplete payload blocks only its own group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use object_store::memory::InMemory;
use sqs_client::types::RedrivePolicy;
use sqs_client::{Client, OutgoingMessage, QueueAttributes};
use sqs_extended::consumer::IncompleteAction;
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedConsumer, Strategy};
use sqs_local::{LocalSqs, QueueView};

use super::payloads::{Payload, again};
use crate::consumer::{fast_retries, until};
use crate::harness::{Harness, Outcome};

/// The minimum segment size.
pub(super) const SEGMENT: usize = 4096;
/// The size of a payload of three segments.
pub(super) const THREE: usize = 10_000;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(ten_segments_pass_and_eleven_do_not),
        harness.test(payloads_of_a_group_stay_in_order),
        harness.test(a_partly_received_payload_is_received_again),
        harness.test(interleaved_producers_lose_nothing),
        harness.test(a_forged_segment_blocks_no_earlier_payload),
        harness.test(a_forged_first_segment_does_not_spoil_the_payload_behind_it),
        harness.test(a_poison_payload_spares_the_next_of_its_id),
        harness.test(a_tail_behind_another_message_is_reached),
        harness.test(an_incomplete_payload_blocks_only_its_group),
        harness.test(an_incomplete_payload_can_be_deleted),
        harness.test(an_incomplete_payload_can_be_moved),
        harness.test(a_tail_in_flight_is_awaited),
        harness.test(competing_consumers_keep_the_order),
        harness.test(a_callers_deduplication_id_covers_all_segments),
    ]
}

/// A server, a FIFO queue, and a client that makes small segments.
pub(super) struct Scene {
    pub(super) server: LocalSqs,
    pub(super) client: Client,
    pub(super) extended: ExtendedClient,
    pub(super) queue: String,
}

impl Scene {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let server = sqs_tests::strict().start().await?;
        let client = server.client_builder().retry(fast_retries()).build()?;
        Self::on(server, client).await
    }

    pub(super) async fn on(server: LocalSqs, client: Client) -> anyhow::Result<Self> {
        let extended = ExtendedClient::builder(client.clone())
            .threshold(SEGMENT)
            .segment_size(SEGMENT)
            .build()?;
        let queue = queue(&client, "q.fifo").await?;
        Ok(Self {
            server,
            client,
            extended,
            queue,
        })
    }

    pub(super) async fn send(&self, payload: Payload, group: &str) -> anyhow::Result<usize> {
        let sent = self
            .extended
            .send(&self.queue, payload.message().message_group_id(group));
        Ok(sent.await?.segments)
    }

    /// Returns the messages of a payload, so that a test can send them itself.
    async fn segments(&self, payload: Payload, group: &str) -> anyhow::Result<Vec<OutgoingMessage>> {
        let queue = queue(&self.client, "captured.fifo").await?;
        let message = payload.message().message_group_id(group);
        self.extended.send(&queue, message).await?;
        let received = self
            .client
            .receive_message(&queue)
            .max_messages(10)
            .message_attribute_names(["All"])
            .await?;
        self.client.delete_queue(&queue).await?;
        let again = received.messages.into_iter().enumerate().map(|(index, message)| {
            again(message)
                .message_group_id(group)
                .message_deduplication_id(format!("{}-{index}", payload.number))
        });
        Ok(again.collect())
    }

    pub(super) async fn send_raw(&self, queue: &str, messages: impl IntoIterator<Item = OutgoingMessage>) -> Outcome {
        for message in messages {
            self.client.send_message(queue, message).await?;
        }
        Ok(())
    }

    pub(super) fn view(&self, name: &str) -> QueueView {
        self.server.queue(name).expect("the queue was created")
    }

    pub(super) fn consumer(&self, queue: &str) -> ExtendedConsumer {
        self.extended.consumer(queue).configure(|consumer| {
            consumer
                .visibility_timeout(Duration::from_secs(10))
                .wait_time(Duration::from_secs(1))
                .backoff(Duration::ZERO, Duration::ZERO)
        })
    }
}

pub(super) async fn queue(client: &Client, name: &str) -> anyhow::Result<String> {
    let mut attributes = QueueAttributes::default();
    attributes.fifo_queue = Some(true);
    attributes.content_based_deduplication = Some(true);
    Ok(client.create_queue(name).attributes(attributes).await?.queue_url)
}

pub(super) fn payload(number: usize, size: usize) -> Payload {
    Payload { number, size }
}

/// The numbers of the arrived payloads by group, in order.
pub(super) type Groups = Arc<Mutex<BTreeMap<String, Vec<usize>>>>;

/// Consumes until `done` returns `true`, and a little longer.
pub(super) async fn consume(
    consumer: ExtendedConsumer,
    done: impl Fn(&BTreeMap<String, Vec<usize>>) -> bool,
) -> anyhow::Result<BTreeMap<String, Vec<usize>>> {
    let groups = Groups::default();
    let changed = Arc::new(Mutex::new(None));
    let (noted, wrong) = (groups.clone(), changed.clone());
    let shutdown = async {
        let ended = until(|| done(&groups.lock().expect("no handler panics here"))).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        ended
    };
    let (completed, ended) = tokio::sync::oneshot::channel();
    let run = consumer.run(async { drop(completed.send(shutdown.await)) }, move |delivery| {
        let (noted, wrong) = (noted.clone(), wrong.clone());
        async move {
            let group = delivery.attributes().message_group_id().unwrap_or("-").to_owned();
            match Payload::received(&delivery).await {
                Ok(payload) => {
                    let mut groups = noted.lock().expect("no handler panics here");
                    groups.entry(group).or_default().push(payload.number);
                }
                Err(error) => *wrong.lock().expect("no handler panics here") = Some(error),
            }
            Ok::<(), std::convert::Infallible>(())
        }
    });
    run.await?;
    let arrived = groups.lock().expect("no handler panics here").clone();
    ended.await?.with_context(|| format!("{arrived:?} arrived"))?;
    match changed.lock().expect("no handler panics here").take() {
        Some(error) => Err(error),
        None => Ok(arrived),
    }
}

pub(super) fn count(groups: &BTreeMap<String, Vec<usize>>) -> usize {
    groups.values().map(Vec::len).sum()
}

/// The last segment arrives behind another producer's message while the consumer has the first ones.
async fn a_tail_behind_another_message_is_reached() -> Outcome {
    let scene = Scene::new().await?;
    let mut segments = scene.segments(payload(0, THREE), "g").await?;
    let last = segments.pop().context("three segments")?;
    scene.send_raw(&scene.queue, segments).await?;
    scene.send(payload(1, 100), "g").await?;
    let late = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        scene.send_raw(&scene.queue, [last]).await
    };
    let consumed = consume(scene.consumer(&scene.queue), |groups| count(groups) == 2);
    let (sent, arrived) = futures::future::join(late, consumed).await;
    sent?;
    assert_eq!(arrived?["g"], [0, 1]);
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

async fn ten_segments_pass_and_eleven_do_not() -> Outcome {
    let scene = Scene::new().await?;
    let sizes = 25_000..45_000;
    let mut largest = None;
    let mut refused = None;
    for (number, size) in sizes.step_by(500).enumerate() {
        match scene.send(payload(number, size), "g").await {
            Ok(segments) => largest = Some((number, size, segments)),
            Err(error) => {
                refused = Some((size, error));
                break;
            }
        }
    }
    let (last, _, segments) = largest.context("none was sent")?;
    let (size, error) = refused.context("none was refused")?;
    ensure!(segments == 10, "{segments}");
    let error = error.downcast::<sqs_extended::Error>()?;
    ensure!(error.kind() == ErrorKind::TooLarge, "{error:?}");
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) > last).await?;
    ensure!(arrived["g"] == (0..=last).collect::<Vec<_>>());

    let offloading = ExtendedClient::builder(scene.client.clone())
        .threshold(SEGMENT)
        .segment_size(SEGMENT)
        .strategy(Strategy::Auto)
        .offload_to(InMemory::new(), "bucket")
        .build()?;
    let message = |number, size| payload(number, size).message().message_group_id("g");
    let split = offloading.send(&scene.queue, message(100, THREE)).await?;
    ensure!(split.segments == 3 && split.pointer.is_none());
    let offloaded = offloading.send(&scene.queue, message(101, size)).await?;
    ensure!(offloaded.segments == 1 && offloaded.pointer.is_some());
    let arrived = consume(offloading.consumer(&scene.queue), |groups| count(groups) == 2).await?;
    ensure!(arrived["g"] == [100, 101]);
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

async fn payloads_of_a_group_stay_in_order() -> Outcome {
    let scene = Scene::new().await?;
    let (groups, each) = (5, 8);
    for number in 0..groups * each {
        // One message, or up to ten segments.
        let size = [100, THREE, 30_000, 1_000, 20_000][number % 7 % 5];
        scene
            .send(payload(number, size), &format!("g{}", number % groups))
            .await?;
    }
    let arrived = consume(scene.consumer(&scene.queue), |arrived| count(arrived) == groups * each).await?;
    for group in 0..groups {
        let expected: Vec<usize> = (0..each).map(|nth| nth * groups + group).collect();
        ensure!(arrived[&format!("g{group}")] == expected, "{arrived:?}");
    }
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

/// The first receive returns four messages of one group and six of the ten segments of the other.
async fn a_partly_received_payload_is_received_again() -> Outcome {
    let scene = Scene::new().await?;
    for number in 0..4 {
        scene.send(payload(number, 10), "a").await?;
    }
    let segments = scene.send(payload(4, 30_000), "b").await?;
    ensure!(
        (7..=10).contains(&segments),
        "{segments} segments fit into the first receive, or do not fit into one"
    );
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) == 5).await?;
    ensure!(arrived["a"] == [0, 1, 2, 3] && arrived["b"] == [4], "{arrived:?}");
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

async fn interleaved_producers_lose_nothing() -> Outcome {
    let scene = Scene::new().await?;
    let (a, b) = (
        scene.segments(payload(0, THREE), "g").await?,
        scene.segments(payload(1, THREE), "g").await?,
    );
    ensure!((a.len(), b.len()) == (3, 3));
    let both = a.into_iter().zip(b).flat_map(|(a, b)| [a, b]);
    scene.send_raw(&scene.queue, both).await?;
    scene.send(payload(2, 10), "g").await?;
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) == 3).await?;
    ensure!(arrived["g"] == [0, 1, 2], "{arrived:?}");
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

/// An untrusted sender's message claims to be a segment of the payload, but has other content.
async fn a_forged_segment_blocks_no_earlier_payload() -> Outcome {
    let scene = Scene::new().await?;
    let mut segments = scene.segments(payload(0, THREE), "g").await?;
    let mut forged = segments[1].clone().message_deduplication_id("forged");
    forged.body = "x".repeat(forged.body.len());
    segments.insert(1, forged);
    scene.send_raw(&scene.queue, segments).await?;
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) == 1).await?;
    ensure!(arrived["g"] == [0], "{arrived:?}");
    ensure!(scene.view("q.fifo").len() == 1, "the forged segment must remain");
    Ok(())
}

/// Returns a scene whose queue moves a message to the dead-letter queue `dead.fifo` instead of a fourth receive.
async fn with_dead_letters() -> anyhow::Result<Scene> {
    let scene = Scene::new().await?;
    queue(&scene.client, "dead.fifo").await?;
    let mut attributes = QueueAttributes::default();
    attributes.redrive_policy = Some(RedrivePolicy::new(scene.server.queue_arn("dead.fifo"), 3));
    scene.client.set_queue_attributes(&scene.queue, attributes).await?;
    Ok(scene)
}

/// An untrusted sender's message claims to be the first segment of the payload behind it.
async fn a_forged_first_segment_does_not_spoil_the_payload_behind_it() -> Outcome {
    let scene = with_dead_letters().await?;
    let mut segments = scene.segments(payload(0, THREE), "g").await?;
    let mut forged = segments[0].clone().message_deduplication_id("forged");
    forged.body = "x".repeat(forged.body.len());
    segments.insert(0, forged);
    scene.send_raw(&scene.queue, segments).await?;
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) == 1).await;
    let dead = scene.view("dead.fifo").len();
    ensure!(dead == 1, "{dead} dead letters instead of the forged one");
    ensure!(arrived?["g"] == [0]);
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

/// Two different payloads have the same deduplication id of the caller.
async fn a_poison_payload_spares_the_next_of_its_id() -> Outcome {
    let scene = with_dead_letters().await?;
    let (poison, other) = (payload(0, THREE), payload(1, THREE));
    let mut segments = 0;
    for payload in [poison, other] {
        let message = payload.message().message_group_id("g").message_deduplication_id("one");
        segments = scene.extended.send(&scene.queue, message).await?.segments;
    }
    ensure!(segments == 3);
    let handled: Arc<Mutex<Vec<usize>>> = Arc::default();
    let noted = Arc::clone(&handled);
    let view = scene.view("q.fifo");
    let consumer = scene.consumer(&scene.queue);
    let run = consumer.run(until(|| view.is_empty()), move |delivery| {
        let noted = Arc::clone(&noted);
        async move {
            let payload = Payload::received(&delivery).await?;
            noted.lock().expect("no handler panics here").push(payload.number);
            ensure!(payload != poison, "the payload is poison");
            Ok(())
        }
    });
    run.await?;
    let handled = handled.lock().expect("no handler panics here").clone();
    let dead = scene.view("dead.fifo").len();
    ensure!(
        handled.ends_with(&[1]) && dead == segments,
        "{handled:?} were handled; {dead} dead letters"
    );
    Ok(())
}

/// Sends two of three segments, a complete payload behind them, and one of another group. Returns the last segment.
async fn half_then_whole(scene: &Scene) -> anyhow::Result<OutgoingMessage> {
    let mut half = scene.segments(payload(0, THREE), "g").await?;
    let last = half.pop().context("the last segment")?;
    scene.send_raw(&scene.queue, half).await?;
    scene.send(payload(1, THREE), "g").await?;
    scene.send(payload(2, THREE), "other").await?;
    Ok(last)
}

async fn an_incomplete_payload_blocks_only_its_group() -> Outcome {
    incomplete_payload(None).await
}

async fn an_incomplete_payload_can_be_deleted() -> Outcome {
    incomplete_payload(Some(IncompleteAction::Delete)).await
}

async fn incomplete_payload(action: Option<IncompleteAction>) -> Outcome {
    let scene = Scene::new().await?;
    drop(half_then_whole(&scene).await?);
    let hook_calls = Arc::new(Mutex::new(Vec::new()));
    let mut consumer = scene.consumer(&scene.queue).assembly_timeout(Duration::from_secs(2));
    let deletes = action.is_some();
    if let Some(action) = action {
        let hook_calls = hook_calls.clone();
        consumer = consumer.on_incomplete(move |payload| {
            hook_calls
                .lock()
                .expect("no hook panics")
                .push((payload.have, payload.count));
            let action = action.clone();
            async move { action }
        });
    }
    let (after, view) = (tokio::time::Instant::now(), scene.view("q.fifo"));
    let arrived = consume(consumer, |groups| match deletes {
        true => count(groups) == 2,
        // Within this time the payload is reported and returned.
        false => count(groups) >= 1 && after.elapsed() > Duration::from_secs(6),
    })
    .await?;
    ensure!(arrived["other"] == [2]);
    if deletes {
        ensure!(arrived["g"] == [1] && *hook_calls.lock().expect("no hook panics") == [(2, 3)]);
        ensure!(view.is_empty());
    } else {
        ensure!(!arrived.contains_key("g"), "the group is not blocked: {arrived:?}");
        ensure!(view.len() == 5, "a segment was deleted");
    }
    Ok(())
}

async fn an_incomplete_payload_can_be_moved() -> Outcome {
    let scene = Scene::new().await?;
    let last = half_then_whole(&scene).await?;
    let target = queue(&scene.client, "incomplete.fifo").await?;
    let to = target.clone();
    let consumer = scene
        .consumer(&scene.queue)
        .assembly_timeout(Duration::from_secs(2))
        .on_incomplete(move |_| {
            let to = to.clone();
            async move { IncompleteAction::MoveTo(to) }
        });
    let arrived = consume(consumer, |groups| count(groups) == 2).await?;
    ensure!(arrived["g"] == [1] && arrived["other"] == [2]);
    ensure!(scene.view("q.fifo").is_empty());
    ensure!(scene.view("incomplete.fifo").len() == 2);
    // The moved segments and the last one form the original payload.
    scene.send_raw(&target, [last]).await?;
    let arrived = consume(scene.consumer(&target), |groups| count(groups) == 1).await?;
    ensure!(arrived["g"] == [0]);
    ensure!(scene.view("incomplete.fifo").is_empty());
    Ok(())
}

/// Another consumer has received all segments and returned all but the last.
async fn a_tail_in_flight_is_awaited() -> Outcome {
    let scene = Scene::new().await?;
    scene.send(payload(0, THREE), "g").await?;
    let received = scene
        .client
        .receive_message(&scene.queue)
        .max_messages(10)
        .visibility_timeout(Duration::from_secs(3))
        .await?
        .messages;
    let (_tail, others) = received.split_last().context("three messages")?;
    for message in others {
        let handle = &message.receipt_handle;
        scene
            .client
            .change_message_visibility(&scene.queue, handle, Duration::ZERO)
            .await?;
    }
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) == 1).await?;
    ensure!(arrived["g"] == [0]);
    let view = scene.view("q.fifo");
    ensure!(view.is_empty(), "{} messages remain", view.len());
    Ok(())
}

/// Three consumers compete. Every third payload fails once, so that its segments are returned.
async fn competing_consumers_keep_the_order() -> Outcome {
    const CONSUMERS: usize = 3;
    let scene = Scene::new().await?;
    let (groups, each) = (4, 6);
    for number in 0..groups * each {
        let size = [THREE, 30_000, 100, 20_000][number % 4];
        scene
            .send(payload(number, size), &format!("g{}", number % groups))
            .await?;
    }
    let arrived = Groups::default();
    let failed = Arc::new(Mutex::new(BTreeSet::new()));
    let reported = Arc::new(Mutex::new(Vec::new()));
    let (stop, _) = tokio::sync::broadcast::channel::<()>(1);
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..CONSUMERS {
        let (arrived, failed, reported) = (arrived.clone(), failed.clone(), reported.clone());
        let mut stopped = stop.subscribe();
        let consumer = scene.consumer(&scene.queue).on_incomplete(move |payload| {
            reported.lock().expect("no hook panics").push(payload);
            async { IncompleteAction::Return }
        });
        consumers.spawn(consumer.run(async move { stopped.recv().await }, move |delivery| {
            let (arrived, failed) = (arrived.clone(), failed.clone());
            async move {
                let payload = Payload::received(&delivery).await?;
                let is_first = || failed.lock().expect("no handler panics").insert(payload.number);
                ensure!(payload.number % 3 > 0 || !is_first(), "the payload fails once");
                let group = delivery.attributes().message_group_id().unwrap_or("-").to_owned();
                let mut arrived = arrived.lock().expect("no handler panics");
                arrived.entry(group).or_default().push(payload.number);
                Ok(())
            }
        }));
    }
    let view = scene.view("q.fifo");
    let all = until(|| view.is_empty()).await;
    drop(stop);
    while let Some(ended) = consumers.join_next().await {
        ended??;
    }
    let arrived = arrived.lock().expect("no handler panics").clone();
    all.with_context(|| format!("{arrived:?}; {:?}", view.messages()))?;
    for group in 0..groups {
        let expected: Vec<usize> = (0..each).map(|nth| nth * groups + group).collect();
        ensure!(arrived[&format!("g{group}")] == expected, "{arrived:?}");
    }
    let reported = reported.lock().expect("no hook panics").clone();
    ensure!(reported.is_empty(), "{reported:?}");
    Ok(())
}

async fn a_callers_deduplication_id_covers_all_segments() -> Outcome {
    let scene = Scene::new().await?;
    for payload in [payload(0, THREE), payload(0, THREE), payload(1, THREE)] {
        let id = format!("order-{}", payload.number);
        let message = payload.message().message_group_id("g").message_deduplication_id(id);
        ensure!(scene.extended.send(&scene.queue, message).await?.segments == 3);
    }
    ensure!(
        scene.view("q.fifo").len() == 6,
        "the second payload was not deduplicated"
    );
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) == 2).await?;
    ensure!(arrived["g"] == [0, 1]);
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}
