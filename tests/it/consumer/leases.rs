//! Tests leases: extensions survive faults, and lost leases are reported.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::TryStreamExt as _;
use libtest_mimic::Trial;
use sqs_client::consumer::AckOutcome;
use sqs_client::{Delivery, QueueAttributes};
use sqs_local::{Action, Fault, FaultKind, MessageState};

use super::{Seen, fast_consumer, fast_retries, grouped, local, numbered, send, until, view};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(extensions_survive_faults_and_share_requests),
        harness.test(a_lost_lease_is_reported_to_the_handler_and_ack),
        harness.test(a_deleted_message_loses_its_lease_immediately),
        harness.test(dropped_deliveries_return_to_the_queue),
        harness.test(a_late_extension_does_not_hide_a_returned_message),
        harness.test(the_backoff_hides_a_failed_message),
        harness.test(a_refused_extension_of_a_late_receive_affects_no_other_message),
        harness.test(a_late_receive_keeps_the_order_of_a_group),
    ]
}

async fn extensions_survive_faults_and_share_requests() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(40)).await?;
    for kind in [
        FaultKind::Throttle,
        FaultKind::DropBefore,
        FaultKind::DropAfter,
        FaultKind::FailEntries(2),
    ] {
        server
            .faults()
            .add(Fault::on(Action::ChangeMessageVisibilityBatch, kind).probability(0.2));
    }
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            let seen = seen.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(8)).await;
                seen.note(&delivery.message().body, &delivery.receive_count().to_string());
                Ok::<_, ()>(())
            }
        }
    };
    let done = async { until(|| seen.counts().1 >= 40).await.expect("all are handled") };
    fast_consumer(&client, &queue)
        .concurrency(40)
        .run(done, handler)
        .await?;
    ensure!(
        seen.all().values().all(|receives| receives == &["1"]),
        "{:?}",
        seen.all()
    );
    // Each of the 40 is extended about every 1.5 s.
    let requests = server.count(Action::ChangeMessageVisibilityBatch);
    ensure!(requests < 80, "{requests} requests for some 200 extensions");
    ensure!(view(&server, "q").is_empty());
    Ok(())
}

async fn a_lost_lease_is_reported_to_the_handler_and_ack() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(1)).await?;
    server
        .faults()
        .add(Fault::on(Action::ChangeMessageVisibilityBatch, FaultKind::Throttle));
    let mut deliveries = fast_consumer(&client, &queue).prefetch(0).concurrency(1).deliveries();
    let delivery = deliveries.try_next().await?.context("a delivery")?;
    ensure!(!delivery.lease_remaining().is_zero());
    tokio::time::timeout(Duration::from_secs(6), delivery.lease_lost()).await?;
    ensure!(delivery.lease_remaining().is_zero());
    assert_eq!(delivery.ack().await?, AckOutcome::LeaseLost);
    Ok(())
}

async fn a_deleted_message_loses_its_lease_immediately() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(1)).await?;
    let mut deliveries = fast_consumer(&client, &queue).prefetch(0).concurrency(1).deliveries();
    let delivery = deliveries.try_next().await?.context("a delivery")?;
    client
        .delete_message(&queue, &delivery.message().receipt_handle)
        .await?;
    ensure!(view(&server, "q").is_empty());
    let half = Duration::from_millis(2500);
    tokio::time::timeout(half, delivery.lease_lost())
        .await
        .context("the first extension did not report the lost lease")?;
    Ok(())
}

async fn dropped_deliveries_return_to_the_queue() -> Outcome {
    let (server, client, queue) = local().await?;
    let queue_view = view(&server, "q");
    let visible = || queue_view.counts().visible == 30;
    let consumer = || fast_consumer(&client, &queue).visibility_timeout(Duration::from_secs(600));

    // Drop a stream and its delivery.
    send(&client, &queue, numbered(30)).await?;
    let mut deliveries = consumer().deliveries();
    let first = deliveries.try_next().await?.context("a delivery")?;
    drop(deliveries);
    until(|| queue_view.counts().in_flight == 1).await?;
    drop(first);
    until(visible).await?;

    // Drop the future of `run` and its handlers.
    let running = consumer().run(pending::<()>(), |_| pending::<Result<(), ()>>());
    let ended = tokio::time::timeout(Duration::from_secs(1), running).await;
    ensure!(ended.is_err());
    until(visible).await?;
    Ok(())
}

async fn a_late_extension_does_not_hide_a_returned_message() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(1)).await?;
    // Only the first attempt of the first extension is delayed.
    let delay = FaultKind::Delay(Duration::from_secs(3));
    let fault = Fault::on(Action::ChangeMessageVisibilityBatch, delay).times(1);
    server.faults().add(fault);
    let visibility = Duration::from_secs(8);
    let consumer = fast_consumer(&client, &queue).visibility_timeout(visibility);
    let mut deliveries = consumer.prefetch(0).concurrency(1).deliveries();
    let delivery = deliveries.try_next().await?.context("a delivery")?;
    until(|| server.count(Action::ChangeMessageVisibilityBatch) == 2).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    delivery.nack(Duration::from_secs(3)).await?;
    drop(delivery);
    let again = tokio::time::timeout(visibility - Duration::from_secs(1), deliveries.try_next());
    let again = again
        .await
        .context("the message is hidden for longer than requested")??;
    ensure!(again.context("a delivery")?.receive_count() == 2);
    Ok(())
}

async fn the_backoff_hides_a_failed_message() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(1)).await?;
    let mut deliveries = fast_consumer(&client, &queue)
        .backoff(Duration::from_secs(1000), Duration::from_secs(1000))
        .deliveries();
    let delivery = deliveries.try_next().await?.context("a delivery")?;
    delivery.nack_with_backoff().await?;
    let messages = view(&server, "q").messages();
    let hidden = messages.first().map(|message| message.state);
    // The backoff is a random part of the bound.
    ensure!(
        matches!(hidden, Some(MessageState::InFlight(time)) if time <= Duration::from_secs(1000)),
        "{hidden:?}"
    );
    Ok(())
}

async fn a_refused_extension_of_a_late_receive_affects_no_other_message() -> Outcome {
    late("q").await
}

async fn a_late_receive_keeps_the_order_of_a_group() -> Outcome {
    late("q.fifo").await
}

/// Receives ten messages when their lease is nearly over. The server refuses to extend one of them.
async fn late(name: &str) -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    let is_fifo = name.ends_with(".fifo");
    let mut attributes = QueueAttributes::default();
    attributes.fifo_queue = is_fifo.then_some(true);
    let queue = client.create_queue(name).attributes(attributes).await?.queue_url;
    let messages = if is_fifo { grouped(1, 10) } else { numbered(10) };
    send(&client, &queue, messages).await?;
    let delay = FaultKind::Delay(Duration::from_millis(2_800));
    server.faults().add(Fault::on(Action::ReceiveMessage, delay).times(1));
    let refusing = server.faults().add(Fault::on(
        Action::ChangeMessageVisibilityBatch,
        FaultKind::FailEntries(1),
    ));
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            seen.note("number", &delivery.message().body);
            seen.note("receives", &delivery.receive_count().to_string());
            std::future::ready(Ok::<_, ()>(()))
        }
    };
    let done = async {
        until(|| server.faults().fired(refusing) > 5)
            .await
            .expect("the server refuses extensions");
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.faults().remove(refusing);
        until(|| view(&server, name).is_empty()).await.expect("all are handled");
    };
    fast_consumer(&client, &queue)
        .concurrency(10)
        .run(done, handler)
        .await?;
    let seen = seen.all();
    let once = seen["receives"].iter().filter(|receives| *receives == "1").count();
    if is_fifo {
        let expected: Vec<_> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(seen["number"], expected);
        ensure!(seen["receives"].is_sorted() && once < 10, "{seen:?}");
    } else {
        assert_eq!((once, seen["receives"].len()), (9, 10), "{seen:?}");
    }
    Ok(())
}
