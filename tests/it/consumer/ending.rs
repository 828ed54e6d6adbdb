//! Tests the shutdown of a consumer: it ends within its timeout and leaves no unhandled message hidden.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use libtest_mimic::Trial;
use sqs_client::Delivery;
use sqs_local::{Action, Fault, FaultKind};
use tokio::time::Instant;

use super::{Seen, fast_consumer, local, numbered, send, until, view};
use crate::harness::{Harness, Outcome};
use crate::telemetry::observe;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_consumer_under_load_ends_within_the_shutdown_timeout),
        harness.test(handlers_are_aborted_after_the_shutdown_timeout),
        harness.test(messages_of_the_last_poll_return_to_the_queue),
        harness.blocking_test(an_idle_consumer_stops_immediately_without_a_warning),
        harness.test(a_silent_server_does_not_delay_the_end),
    ]
}

/// The second shutdown timeout is below the wait time.
fn an_idle_consumer_stops_immediately_without_a_warning() -> Outcome {
    let (log, _) = observe(async {
        let (_server, client, queue) = local().await?;
        for shutdown_timeout in [Duration::from_secs(30), Duration::from_secs(5)] {
            let consumer = client.consumer(&queue).shutdown_timeout(shutdown_timeout);
            let begin = Instant::now();
            let moment = Duration::from_millis(500);
            consumer
                .run(tokio::time::sleep(moment), |_| pending::<Result<(), ()>>())
                .await?;
            let took = begin.elapsed() - moment;
            ensure!(
                took < Duration::from_secs(2),
                "{took:?} with a shutdown timeout of {shutdown_timeout:?}"
            );
        }
        Ok(())
    })?;
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    ensure!(warnings.is_empty(), "{warnings:#?}");
    Ok(())
}

const LONG: Duration = Duration::from_secs(600);

async fn a_consumer_under_load_ends_within_the_shutdown_timeout() -> Outcome {
    let (server, client, queue) = local().await?;
    for kind in [
        FaultKind::Throttle,
        FaultKind::DropBefore,
        FaultKind::Delay(Duration::from_millis(20)),
    ] {
        server.faults().add(Fault::any(kind).probability(0.05));
    }
    send(&client, &queue, numbered(2_000)).await?;
    let (begun, handled) = (Seen::default(), Seen::default());
    let handler = {
        let (begun, handled) = (begun.clone(), handled.clone());
        move |delivery: Delivery| {
            let (begun, handled) = (begun.clone(), handled.clone());
            async move {
                begun.note(&delivery.message().body, "");
                tokio::time::sleep(Duration::from_millis(50)).await;
                handled.note(&delivery.message().body, "");
                Ok::<_, ()>(())
            }
        }
    };
    let enough = async { until(|| handled.counts().0 > 300).await.expect("some are handled") };
    let shutdown_timeout = Duration::from_secs(5);
    let consumer = fast_consumer(&client, &queue)
        .visibility_timeout(LONG)
        .concurrency(64)
        .shutdown_timeout(shutdown_timeout);
    let ended = async {
        enough.await;
        Instant::now()
    };
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let shutdown = async { sender.send(ended.await).expect("the receiver waits") };
    consumer.run(shutdown, handler).await?;
    let took = receiver.await?.elapsed();
    ensure!(took < shutdown_timeout, "{took:?}");
    assert_eq!(begun.counts(), handled.counts(), "a handler was not finished");
    let counts = view(&server, "q").counts();
    assert_eq!((counts.in_flight, counts.visible), (0, 2_000 - handled.counts().0));
    Ok(())
}

async fn handlers_are_aborted_after_the_shutdown_timeout() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(30)).await?;
    let queue_view = view(&server, "q");
    let view = queue_view.clone();
    let shutdown = async move {
        until(|| view.counts().in_flight >= 10)
            .await
            .expect("ten are in flight")
    };
    let shutdown_timeout = Duration::from_secs(3);
    let consumer = fast_consumer(&client, &queue)
        .visibility_timeout(LONG)
        .shutdown_timeout(shutdown_timeout);
    let begin = Instant::now();
    consumer.run(shutdown, |_| pending::<Result<(), ()>>()).await?;
    ensure!(begin.elapsed() < shutdown_timeout + Duration::from_secs(1));
    let counts = queue_view.counts();
    assert_eq!((counts.in_flight, counts.visible), (0, 30));
    Ok(())
}

async fn messages_of_the_last_poll_return_to_the_queue() -> Outcome {
    let (server, client, queue) = local().await?;
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            seen.note(&delivery.message().body, "");
            pending::<Result<(), ()>>()
        }
    };
    let consumer = fast_consumer(&client, &queue)
        .visibility_timeout(LONG)
        .wait_time(Duration::from_secs(3))
        .poll_shutdown_timeout(Duration::from_secs(2));
    let poll_is_under_way = async {
        until(|| server.count(Action::ReceiveMessage) == 1)
            .await
            .expect("a poll");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let late = async {
        until(|| server.count(Action::ReceiveMessage) == 1)
            .await
            .expect("a poll");
        // After the shutdown began, and within the open poll's shutdown timeout.
        tokio::time::sleep(Duration::from_millis(600)).await;
        client.send_message(&queue, "late").await.expect("the message is sent");
    };
    let (ended, ()) = futures::future::join(consumer.run(poll_is_under_way, handler), late).await;
    ended?;
    let queue_view = view(&server, "q");
    assert_eq!((queue_view.counts().visible, seen.counts().0), (1, 0));
    assert_eq!(queue_view.messages()[0].receives, 1, "the poll did not receive it");
    Ok(())
}

async fn a_silent_server_does_not_delay_the_end() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(30)).await?;
    let shutdown_timeout = Duration::from_secs(2);
    let shutdown = async {
        until(|| view(&server, "q").counts().in_flight >= 10)
            .await
            .expect("ten are in flight");
        server.faults().add(Fault::any(FaultKind::Delay(LONG)));
    };
    let begin = Instant::now();
    let consumer = fast_consumer(&client, &queue)
        .visibility_timeout(LONG)
        .shutdown_timeout(shutdown_timeout);
    consumer.run(shutdown, |_| pending::<Result<(), ()>>()).await?;
    ensure!(
        begin.elapsed() < shutdown_timeout + Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    Ok(())
}
