//! Tests payloads that are returned to the queue. They are received again as a whole, after the backoff.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_extended::consumer::IncompleteAction;
use sqs_extended::{ExtendedClient, ExtendedDelivery, Strategy};
use sqs_local::{Action, Fault, FaultKind, Reply};
use tokio::time::{Instant, sleep, timeout};

use super::forged::{Forged, SEGMENT, Scene};
use super::payloads::Payload;
use crate::consumer::{fast_retries, until};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_failed_payload_is_received_again_as_a_whole),
        harness.test(the_backoff_follows_a_panic),
        harness.test(the_backoff_follows_a_handler_timeout),
        harness.test(a_failed_return_does_not_prevent_the_others),
        harness.test(a_dropped_acknowledgement_is_completed),
        harness.test(a_refused_consumer_waits_for_no_buffered_segment),
    ]
}

const PAYLOAD: Payload = Payload {
    number: 1,
    size: 60_000,
};

/// The segments must become visible together. Otherwise the payload counts as incomplete and is deleted.
async fn a_failed_payload_is_received_again_as_a_whole() -> Outcome {
    let scene = Scene::new().await?;
    let segments = scene.send(PAYLOAD).await?;
    ensure!(segments > 10, "{segments}");
    let (handled, incomplete) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (counted, noted) = (handled.clone(), incomplete.clone());
    let ended = until(|| scene.view.is_empty());
    scene
        .consumer(Duration::from_secs(8))
        .assembly_timeout(Duration::from_secs(2))
        .on_incomplete(move |payload| {
            noted.lock().expect("no hook panics").push(payload);
            async { IncompleteAction::Delete }
        })
        .run(ended, move |delivery| {
            let counted = counted.clone();
            async move {
                Payload::received(&delivery).await?;
                ensure!(counted.fetch_add(1, Ordering::SeqCst) >= 2, "not yet");
                Ok(())
            }
        })
        .await?;
    let incomplete = incomplete.lock().expect("no hook panics");
    ensure!(incomplete.is_empty(), "{incomplete:?}");
    ensure!(handled.load(Ordering::SeqCst) == 3);
    Ok(())
}

#[derive(Clone, Copy)]
enum Ending {
    Panic,
    Timeout,
}

async fn the_backoff_follows_a_panic() -> Outcome {
    backs_off(Ending::Panic).await
}

async fn the_backoff_follows_a_handler_timeout() -> Outcome {
    backs_off(Ending::Timeout).await
}

async fn backs_off(ending: Ending) -> Outcome {
    let scene = Scene::new().await?;
    scene.send(PAYLOAD).await?;
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = handled.clone();
    let ended = async {
        until(|| handled.load(Ordering::SeqCst) > 0).await?;
        sleep(Duration::from_secs(3)).await;
        anyhow::Ok(())
    };
    let run = scene
        .consumer(Duration::from_secs(30))
        .configure(|consumer| consumer.handler_timeout(Duration::from_millis(20)))
        .run(ended, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match ending {
                    Ending::Panic => panic!("the handler panics on purpose"),
                    Ending::Timeout => std::future::pending::<Outcome>().await,
                }
            }
        });
    run.await?;
    let handled = handled.load(Ordering::SeqCst);
    ensure!((1..=6).contains(&handled), "handled {handled} times in 3 s");
    ensure!(scene.view.messages().iter().all(|message| message.receives <= 7));
    Ok(())
}

/// The server refuses to make one of the segments visible.
async fn a_failed_return_does_not_prevent_the_others() -> Outcome {
    const AFTER: Duration = Duration::from_secs(600);
    let mut scene = Scene::new().await?;
    let client = scene
        .server
        .client_builder()
        .retry(fast_retries().max_attempts(1))
        .build()?;
    scene.extended = ExtendedClient::builder(client)
        .strategy(Strategy::Split)
        .segment_size(SEGMENT)
        .threshold(SEGMENT)
        .build()?;
    let size = 40 * SEGMENT;
    let segments = scene.send(Payload { number: 1, size }).await?;
    let slow = Fault::on(
        Action::ChangeMessageVisibilityBatch,
        FaultKind::Delay(Duration::from_millis(100)),
    );
    let fails = Fault::on(Action::ChangeMessageVisibilityBatch, FaultKind::FailEntries(1)).times(1);
    scene.server.faults().add(slow.after(1));
    scene.server.faults().add(fails);
    let done = Arc::new(AtomicBool::new(false));
    let nacked = done.clone();
    scene
        .consumer(Duration::ZERO)
        .run(
            until(|| done.load(Ordering::SeqCst)),
            move |delivery: ExtendedDelivery| {
                let nacked = nacked.clone();
                async move {
                    let returned = delivery.nack(AFTER).await;
                    nacked.store(true, Ordering::SeqCst);
                    returned
                }
            },
        )
        .await?;
    let returned = scene
        .in_flight()
        .into_iter()
        .filter(|remaining| *remaining > AFTER / 2)
        .count();
    ensure!(
        returned + 1 >= segments,
        "{returned} of {segments} were returned as requested"
    );
    Ok(())
}

/// The acknowledgement is dropped when some of the segments are deleted. The remaining ones must not be received again as an
/// incomplete payload.
async fn a_dropped_acknowledgement_is_completed() -> Outcome {
    let scene = Scene::new().await?;
    let segments = scene.send(PAYLOAD).await?;
    ensure!(segments > 10, "one request deletes all {segments}");
    let silent = Fault::on(Action::DeleteMessageBatch, FaultKind::Delay(Duration::from_secs(600)));
    scene.server.faults().add(silent.after(1).times(1));
    let (handled, incomplete) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, noted) = (handled.clone(), incomplete.clone());
    let ended = until(|| scene.view.is_empty() || incomplete.load(Ordering::SeqCst) > 0);
    scene
        .consumer(Duration::ZERO)
        .assembly_timeout(Duration::from_secs(3))
        .on_incomplete(move |_| {
            noted.fetch_add(1, Ordering::SeqCst);
            async { IncompleteAction::Return }
        })
        .run(ended, move |delivery: ExtendedDelivery| {
            let counted = counted.clone();
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                let acknowledged = timeout(Duration::from_secs(2), delivery.ack()).await;
                ensure!(
                    acknowledged.is_ok_and(|acknowledged| acknowledged.is_ok()),
                    "the acknowledgement was dropped"
                );
                Ok(())
            }
        })
        .await?;
    let incomplete = incomplete.load(Ordering::SeqCst);
    ensure!(incomplete == 0, "{} segments remain", scene.view.len());
    ensure!(handled.load(Ordering::SeqCst) == 1);
    Ok(())
}

/// The consumer ends because its polls are refused.
async fn a_refused_consumer_waits_for_no_buffered_segment() -> Outcome {
    let scene = Scene::new().await?;
    scene
        .client
        .send_message(&scene.queue, Forged::half("p", 2).message("a"))
        .await?;
    let refusal = Reply::new(403).body(r#"{"__type":"com.amazonaws.sqs#AccessDenied","message":"no"}"#);
    let refusals = Fault::on(Action::ReceiveMessage, FaultKind::Reply(refusal));
    scene.server.faults().add(refusals.after(1));
    let shutdown_timeout = Duration::from_secs(60);
    let run = scene
        .consumer(Duration::ZERO)
        .configure(|consumer| {
            consumer
                .shutdown_timeout(shutdown_timeout)
                .refusal_timeout(Duration::from_secs(2))
        })
        .run(std::future::pending::<()>(), |_| async { Ok::<(), Outcome>(()) });
    let begin = Instant::now();
    let ended = timeout(shutdown_timeout / 2, run)
        .await
        .context("it waits for its shutdown timeout")?;
    ensure!(ended.is_err(), "{:?}", begin.elapsed());
    ensure!(scene.in_flight().is_empty(), "the segment was not returned");
    Ok(())
}
