//! Tests payloads of a FIFO group that are sent again, unchanged or changed, and payloads that are partly deleted. Every
//! payload whose send returned `Ok` is delivered, and the group continues.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use libtest_mimic::Trial;
use object_store::memory::InMemory;
use sqs_client::OutgoingMessage;
use sqs_client::client::RetryPolicy;
use sqs_client::types::MessageSystemAttributeName;
use sqs_extended::codec::{Codec, SecretKey, StaticKeys};
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedClientBuilder, Strategy};
use sqs_local::{Action, Fault, FaultKind};

use super::fifo::{SEGMENT, Scene, THREE, consume, count, payload, queue};
use super::payloads::{Payload, again};
use crate::harness::{Harness, Outcome};

/// The size of a payload of nine segments. No receive returns two such payloads.
const NINE: usize = 32_000;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = vec![
        harness.test(an_encrypted_payload_is_deduplicated_or_not_split),
        harness.test(a_repeated_payload_is_received_once),
        harness.test(segments_repeated_after_the_window_are_delivered),
    ];
    let first = Send::new(0);
    for (name, second) in [
        (
            "other_bytes",
            Send {
                size: 20_000,
                ..Send::new(1)
            },
        ),
        ("other_attributes", Send { note: 700, ..first }),
        (
            "another_segment_size",
            Send {
                segment: 6_000,
                ..first
            },
        ),
    ] {
        trials.push(harness.variant(&a_repeated_id_blocks_nothing, name, move || {
            a_repeated_id_blocks_nothing(first, second)
        }));
        trials.push(
            harness.variant(&a_send_after_an_interrupted_one_is_delivered, name, move || {
                a_send_after_an_interrupted_one_is_delivered(first, second, 2)
            }),
        );
    }
    let nine = |number| Send {
        size: NINE,
        ..Send::new(number)
    };
    let inline = Send {
        size: 1_000,
        ..Send::new(1)
    };
    for (name, first, second) in [
        ("the_same_bytes", Send::new(0), Send::new(0)),
        ("the_same_nine_segments", nine(0), nine(0)),
        ("an_inline_message", Send::new(0), inline),
        ("nine_other_segments", nine(0), nine(2)),
    ] {
        trials.push(
            harness.variant(&a_send_after_an_interrupted_one_is_delivered, name, move || {
                let sent = if first.size == NINE { 8 } else { 2 };
                a_send_after_an_interrupted_one_is_delivered(first, second, sent)
            }),
        );
    }
    for seed in 0..6 {
        for failing in [1, 2] {
            let name = format!("{failing}_of_three_stay::{seed}");
            trials.push(harness.variant(&a_partly_deleted_payload_is_finished, name, move || {
                a_partly_deleted_payload_is_finished(seed, failing)
            }));
        }
    }
    trials
}

/// One way to send with a deduplication id.
#[derive(Clone, Copy)]
struct Send {
    number: usize,
    size: usize,
    /// The length of an attribute's value in bytes.
    note: usize,
    segment: usize,
}

impl Send {
    fn new(number: usize) -> Self {
        Self {
            number,
            size: THREE,
            note: 0,
            segment: SEGMENT,
        }
    }

    fn payload(self) -> Payload {
        payload(self.number, self.size)
    }

    async fn to(self, scene: &Scene, queue: &str) -> anyhow::Result<usize> {
        let extended = ExtendedClient::builder(scene.client.clone())
            .threshold(SEGMENT)
            .segment_size(self.segment)
            .build()?;
        let message = self
            .payload()
            .noted(self.note)
            .message_group_id("g")
            .message_deduplication_id("order-17");
        Ok(extended.send(queue, message).await?.segments)
    }

    /// Returns the messages of the payload with their deduplication ids.
    async fn messages(self, scene: &Scene) -> anyhow::Result<Vec<OutgoingMessage>> {
        let captured = queue(&scene.client, "captured.fifo").await?;
        self.to(scene, &captured).await?;
        let received = scene
            .client
            .receive_message(&captured)
            .max_messages(10)
            .message_attribute_names(["All"])
            .message_system_attribute_names([MessageSystemAttributeName::All])
            .await?;
        scene.client.delete_queue(&captured).await?;
        let sent = received.messages.into_iter().map(|message| {
            let id = message.attributes.message_deduplication_id().map(str::to_owned);
            let id = id.context("a deduplication id")?;
            Ok(again(message).message_group_id("g").message_deduplication_id(id))
        });
        sent.collect()
    }
}

/// Sends a complete payload, a second one with the same id, and another one behind them.
async fn a_repeated_id_blocks_nothing(first: Send, second: Send) -> Outcome {
    let scene = Scene::new().await?;
    ensure!(first.to(&scene, &scene.queue).await? > 1 && second.to(&scene, &scene.queue).await? > 1);
    scene.send(payload(9, THREE), "g").await?;
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) >= 2).await?;
    ensure!(arrived["g"] == [first.number, 9], "{arrived:?}");
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

/// Sends only `sent` segments of the first payload, as if its sender had crashed, and then the second payload.
async fn a_send_after_an_interrupted_one_is_delivered(first: Send, second: Send, sent: usize) -> Outcome {
    let scene = Scene::new().await?;
    let messages = first.messages(&scene).await?;
    ensure!(messages.len() > sent, "{} segments", messages.len());
    scene.send_raw(&scene.queue, messages.into_iter().take(sent)).await?;
    second.to(&scene, &scene.queue).await?;
    scene.send(payload(9, THREE), "g").await?;
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) >= 2).await?;
    ensure!(arrived["g"] == [second.number, 9], "{arrived:?}");
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

/// SQS no longer drops repeated segments after five minutes. The last of them is behind more messages than one receive
/// returns.
async fn segments_repeated_after_the_window_are_delivered() -> Outcome {
    let scene = Scene::new().await?;
    let nine = Send {
        size: NINE,
        ..Send::new(0)
    };
    let messages = nine.messages(&scene).await?;
    let late = messages.iter().cloned().enumerate();
    let late = late.map(|(index, message)| message.message_deduplication_id(format!("late-{index}")));
    let half = messages.iter().take(8).cloned();
    scene.send_raw(&scene.queue, half.chain(late)).await?;
    scene.send(payload(9, THREE), "g").await?;
    let arrived = consume(scene.consumer(&scene.queue), |groups| count(groups) >= 2).await?;
    ensure!(arrived["g"] == [0, 9], "{arrived:?}");
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

fn encrypting(scene: &Scene) -> ExtendedClientBuilder {
    let keys = StaticKeys::new("key", SecretKey::from([7; 32]));
    ExtendedClient::builder(scene.client.clone())
        .threshold(SEGMENT)
        .segment_size(SEGMENT)
        .codec(Codec::new().encryption(keys))
}

async fn an_encrypted_payload_is_deduplicated_or_not_split() -> Outcome {
    let scene = Scene::new().await?;
    let message = |size| {
        let payload = payload(1, size).message();
        payload.message_group_id("g").message_deduplication_id("secret")
    };
    let split = encrypting(&scene).strategy(Strategy::Split).build()?;
    let error = split.send(&scene.queue, message(THREE)).await.unwrap_err();
    ensure!(error.kind() == ErrorKind::TooLarge, "{error:?}");
    ensure!(
        error.to_string().contains("offload"),
        "the error names no remedy: {error}"
    );
    ensure!(scene.view("q.fifo").is_empty());

    for _ in 0..2 {
        ensure!(split.send(&scene.queue, message(1_000)).await?.segments == 1);
    }
    ensure!(
        scene.view("q.fifo").len() == 1,
        "the second message was not deduplicated"
    );
    let arrived = consume(split.consumer(&scene.queue), |groups| count(groups) == 1).await?;
    ensure!(arrived["g"] == [1], "{arrived:?}");

    let auto = encrypting(&scene)
        .strategy(Strategy::Auto)
        .offload_to(InMemory::new(), "bucket")
        .build()?;
    for _ in 0..2 {
        let message = message(THREE).message_deduplication_id("offloaded");
        ensure!(auto.send(&scene.queue, message).await?.pointer.is_some());
    }
    let arrived = consume(auto.consumer(&scene.queue), |groups| count(groups) == 1).await?;
    ensure!(arrived["g"] == [1], "{arrived:?}");
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

/// The second payload arrives after all of the first was deleted from the queue.
async fn a_repeated_payload_is_received_once() -> Outcome {
    let scene = Scene::new().await?;
    let other = Send {
        note: 700,
        ..Send::new(0)
    };
    Send::new(0).to(&scene, &scene.queue).await?;
    let (sent, view) = (tokio::sync::Notify::new(), scene.view("q.fifo"));
    let consumed = consume(scene.consumer(&scene.queue), |groups| {
        if count(groups) == 1 && view.is_empty() {
            sent.notify_one();
        }
        count(groups) >= 2
    });
    let sending = async {
        sent.notified().await;
        other.to(&scene, &scene.queue).await?;
        scene.send(payload(9, THREE), "g").await
    };
    let (arrived, sent) = tokio::join!(consumed, sending);
    sent?;
    let arrived = arrived?;
    ensure!(arrived["g"] == [0, 9], "{arrived:?}");
    ensure!(scene.view("q.fifo").is_empty());
    Ok(())
}

/// The first deletions of `failing` of three segments fail. The seed determines which.
fn a_partly_deleted_payload_is_finished(seed: u64, failing: usize) -> BoxFuture<'static, Outcome> {
    async move {
        let server = sqs_tests::strict().seed(seed).start().await?;
        let client = server.client_builder().retry(RetryPolicy::never()).build()?;
        let scene = Scene::on(server, client).await?;
        // As many times as an acknowledgement is attempted.
        let failing = Fault::on(Action::DeleteMessageBatch, FaultKind::FailEntries(failing)).times(3);
        scene.server.faults().add(failing);
        scene.send(payload(0, THREE), "g").await?;
        scene.send(payload(1, THREE), "g").await?;
        let arrived = consume(scene.consumer(&scene.queue), |groups| {
            groups.get("g").is_some_and(|payloads| payloads.contains(&1))
        })
        .await?;
        ensure!(arrived["g"] == [0, 1], "{arrived:?}");
        ensure!(scene.view("q.fifo").is_empty(), "{:?}", scene.view("q.fifo").messages());
        Ok(())
    }
    .boxed()
}
