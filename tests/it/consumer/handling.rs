//! Tests on every server what happens to a message after its handler succeeds, fails, panics or is slow.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::TryStreamExt as _;
use libtest_mimic::Trial;
use sqs_client::consumer::AckOutcome;
use sqs_client::{Delivery, OutgoingMessage, Protocol, QueueAttributes};

use super::{Seen, fast_consumer, grouped, numbered, send, until};
use crate::harness::{Backend, Context, Harness, Outcome, Quirk};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let of_backend = |backend| {
        [
            harness.server_test(backend, Protocol::Json, every_message_is_handled_and_deleted),
            harness.server_test(backend, Protocol::Json, failed_messages_are_received_again),
            harness.server_test(backend, Protocol::Json, poison_moves_to_its_queue),
            harness.server_test(backend, Protocol::Json, a_group_stays_in_order_when_handlers_fail),
            harness.server_test(backend, Protocol::Json, a_slow_handler_keeps_its_message),
            harness.server_test(backend, Protocol::Json, a_stream_delivers_no_more_than_its_concurrency),
        ]
    };
    Backend::ALL.into_iter().flat_map(of_backend).collect()
}

fn body(delivery: &Delivery) -> String {
    delivery.message().body.clone()
}

/// Returns the number of messages that the queue reports, including hidden ones.
pub(super) async fn remaining(c: &Context, queue: &str) -> anyhow::Result<u64> {
    let names = [
        sqs_client::types::QueueAttributeName::ApproximateNumberOfMessages,
        sqs_client::types::QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let attributes = c.client.get_queue_attributes(queue, names).await?.attributes;
    let visible = attributes.approximate_number_of_messages.unwrap_or(0);
    Ok(visible + attributes.approximate_number_of_messages_not_visible.unwrap_or(0))
}

async fn every_message_is_handled_and_deleted(c: Context) -> Outcome {
    let queue = c.queue().await?;
    send(&c.client, &queue, numbered(200)).await?;
    let (seen, concurrent, most) = (
        Seen::default(),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let handler = {
        let (seen, most) = (seen.clone(), most.clone());
        move |delivery: Delivery| {
            let (seen, concurrent, most) = (seen.clone(), concurrent.clone(), most.clone());
            async move {
                most.fetch_max(concurrent.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                concurrent.fetch_sub(1, Ordering::SeqCst);
                seen.note(&body(&delivery), "");
                Ok::<_, ()>(())
            }
        }
    };
    let done = async { until(|| seen.counts().0 == 200).await.expect("all are handled") };
    fast_consumer(&c.client, &queue)
        .concurrency(7)
        .run(done, handler)
        .await?;
    assert_eq!(seen.counts(), (200, 200));
    ensure!((2..=7).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    assert_eq!(remaining(&c, &queue).await?, 0);
    Ok(())
}

async fn failed_messages_are_received_again(c: Context) -> Outcome {
    let queue = c.queue().await?;
    let kinds = ["ok", "error", "panic", "slow", "nack", "ack and error"];
    send(&c.client, &queue, kinds.map(OutgoingMessage::new).to_vec()).await?;
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            let seen = seen.clone();
            async move {
                let body = body(&delivery);
                seen.note(&body, &delivery.receive_count().to_string());
                if delivery.receive_count() > 1 {
                    return Ok(());
                }
                match body.as_str() {
                    "error" => Err(()),
                    "panic" => panic!("the handler panics on purpose"),
                    "slow" => pending().await,
                    "nack" => delivery.nack(Duration::ZERO).await.map_err(drop),
                    "ack and error" => {
                        delivery.ack().await.map_err(drop)?;
                        Err(())
                    }
                    _ => Ok(()),
                }
            }
        }
    };
    let done = async { until(|| seen.counts() == (6, 10)).await.expect("all are handled") };
    let consumer = fast_consumer(&c.client, &queue).handler_timeout(Duration::from_millis(500));
    consumer.run(done, handler).await?;
    for (body, receives) in seen.all() {
        let once = body.starts_with("ok") || body.starts_with("ack");
        let expected: &[&str] = if once { &["1"] } else { &["1", "2"] };
        assert_eq!(receives, expected, "{body}");
    }
    assert_eq!(remaining(&c, &queue).await?, 0);
    Ok(())
}

async fn poison_moves_to_its_queue(c: Context) -> Outcome {
    let (queue, poison) = (c.queue().await?, c.queue().await?);
    let message = OutgoingMessage::new("bad").message_attribute("lang", "en");
    send(&c.client, &queue, vec![message, OutgoingMessage::new("good")]).await?;
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            seen.note(&body(&delivery), "");
            let good = body(&delivery) == "good";
            async move { good.then_some(()).ok_or(()) }
        }
    };
    let moved = async {
        while remaining(&c, &poison).await.expect("a response") == 0
            || remaining(&c, &queue).await.expect("a response") > 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let consumer = fast_consumer(&c.client, &queue).move_poison_to(2, &poison);
    tokio::time::timeout(Duration::from_secs(30), consumer.run(moved, handler)).await??;
    assert_eq!(seen.counts(), (2, 3), "the bad message is handled twice");
    let moved = c
        .client
        .receive_message(&poison)
        .message_attribute_names(["All"])
        .await?;
    let moved = moved.messages.first().context("a message")?;
    ensure!(
        moved.body == "bad" && moved.message_attributes.contains_key("lang"),
        "{moved:?}"
    );
    Ok(())
}

async fn a_group_stays_in_order_when_handlers_fail(c: Context) -> Outcome {
    let mut attributes = QueueAttributes::default();
    attributes.fifo_queue = Some(true);
    let queue = c.queue_with(".fifo", attributes).await?;
    let (groups, each) = (5, 12);
    send(&c.client, &queue, grouped(groups, each)).await?;
    let (seen, busy) = (Seen::default(), Seen::default());
    let handler = {
        let (seen, busy) = (seen.clone(), busy.clone());
        move |delivery: Delivery| {
            let (seen, busy) = (seen.clone(), busy.clone());
            async move {
                let group = delivery
                    .message()
                    .attributes
                    .message_group_id()
                    .unwrap_or_default()
                    .to_owned();
                busy.note(&group, "begin");
                tokio::time::sleep(Duration::from_millis(2)).await;
                busy.note(&group, "end");
                // A third of the messages fail the first time.
                let number: u32 = body(&delivery).parse().map_err(drop)?;
                if number % 3 == 1 && delivery.receive_count() == 1 {
                    return Err(());
                }
                seen.note(&group, &body(&delivery));
                Ok(())
            }
        }
    };
    let done = async {
        until(|| seen.counts().1 >= groups * each)
            .await
            .expect("all are handled")
    };
    fast_consumer(&c.client, &queue).run(done, handler).await?;
    let expected: Vec<String> = (0..each).map(|number| number.to_string()).collect();
    for (group, mut numbers) in seen.all() {
        if c.backend.has(Quirk::OvertakesInGroups) {
            numbers.sort_by_key(|number| number.parse::<usize>().ok());
        }
        assert_eq!(numbers, expected, "{group}");
    }
    for (group, turns) in busy.all() {
        ensure!(
            turns.chunks(2).all(|turn| turn == ["begin", "end"]),
            "{group}: two at the same time"
        );
    }
    assert_eq!(remaining(&c, &queue).await?, 0);
    Ok(())
}

async fn a_slow_handler_keeps_its_message(c: Context) -> Outcome {
    let queue = c.queue().await?;
    send(&c.client, &queue, numbered(3)).await?;
    let visibility = Duration::from_secs(2);
    let (begun, seen) = (Seen::default(), Seen::default());
    let handler = {
        let (begun, seen) = (begun.clone(), seen.clone());
        move |delivery: Delivery| {
            let (begun, seen) = (begun.clone(), seen.clone());
            async move {
                begun.note(&body(&delivery), "");
                tokio::time::sleep(visibility * 3).await;
                let outcome = delivery.ack().await.map_err(drop)?;
                seen.note(&body(&delivery), &format!("{outcome:?}"));
                Ok::<_, ()>(())
            }
        }
    };
    let done = async { until(|| seen.counts().1 == 3).await.expect("all are handled") };
    let consumer = fast_consumer(&c.client, &queue).visibility_timeout(visibility);
    // A second consumer would receive messages that are not kept hidden.
    let second = fast_consumer(&c.client, &queue).visibility_timeout(visibility);
    let (first, second) = futures::future::join(
        consumer.shutdown_timeout(visibility * 4).run(done, handler.clone()),
        second
            .shutdown_timeout(visibility * 4)
            .run(tokio::time::sleep(visibility * 4), handler),
    )
    .await;
    first.and(second)?;
    assert_eq!(begun.counts(), (3, 3), "no message was received twice");
    for (body, outcomes) in seen.all() {
        assert_eq!(outcomes, [format!("{:?}", AckOutcome::Deleted)], "{body}");
    }
    Ok(())
}

async fn a_stream_delivers_no_more_than_its_concurrency(c: Context) -> Outcome {
    let queue = c.queue().await?;
    send(&c.client, &queue, numbered(20)).await?;
    let mut deliveries = fast_consumer(&c.client, &queue).concurrency(5).prefetch(3).deliveries();
    let mut deliveries_in_flight = Vec::new();
    for _ in 0..5 {
        deliveries_in_flight.push(deliveries.try_next().await?.context("a delivery")?);
    }
    let sixth = tokio::time::timeout(Duration::from_millis(500), deliveries.try_next()).await;
    ensure!(sixth.is_err(), "five deliveries are the limit");
    assert_eq!(deliveries_in_flight[0].ack().await?, AckOutcome::Deleted);
    assert_eq!(
        deliveries_in_flight[0].ack().await?,
        AckOutcome::Deleted,
        "a second ack succeeds as well"
    );
    ensure!(deliveries_in_flight[0].nack(Duration::ZERO).await.is_err());
    deliveries_in_flight[1].nack(Duration::ZERO).await?;
    deliveries_in_flight.truncate(2);
    // Three were dropped and one was returned, so all but the first are in the queue.
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 19 {
        let delivery = deliveries.try_next().await?.context("a delivery")?;
        delivery.ack().await?;
        seen.insert(body(&delivery));
    }
    ensure!(!seen.contains(&body(&deliveries_in_flight[0])));
    ensure!(
        deliveries.shutdown(Duration::from_secs(5)).await,
        "a delivery is still in flight"
    );
    assert_eq!(remaining(&c, &queue).await?, 0);
    Ok(())
}
