//! Tests refusals. Refused polls pass, or end the consumer in time. Refused extensions are retried within bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::TryStreamExt as _;
use futures::future::join_all;
use libtest_mimic::Trial;
use sqs_client::consumer::AckOutcome;
use sqs_client::credentials::ProvideCredentials;
use sqs_client::internal::DeliveryExt as _;
use sqs_client::{Client, Credentials, Delivery};
use sqs_local::{Action, Fault, FaultKind, Reply};

use super::{Seen, fast_consumer, fast_retries, local, numbered, send, until, view};
use crate::harness::{Harness, Outcome};
use crate::telemetry::observe;

/// The duration of refusals. Earlier versions of the consumer ended sooner.
const OUTAGE: Duration = Duration::from_secs(7);

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let html = || {
        Reply::new(403)
            .header("content-type", "text/html")
            .body("<html>Forbidden</html>")
    };
    let json = |code: &str| {
        Reply::new(400)
            .header("content-type", "application/x-amz-json-1.0")
            .body(&format!(r#"{{"__type":"com.amazonaws.sqs#{code}","message":"no"}}"#))
    };
    let refusals = [
        ("a_proxys_403", html()),
        ("a_proxys_404", Reply::new(404).body("404 page not found")),
        ("kms", json("KmsAccessDenied")),
        ("no_permission", json("AccessDeniedException")),
        ("a_recreated_queue", json("QueueDoesNotExist")),
    ];
    let mut trials: Vec<_> = refusals
        .into_iter()
        .map(|(name, reply)| {
            harness.variant(&a_consumer_survives_refused_polls, name, || {
                a_consumer_survives_refused_polls(reply)
            })
        })
        .collect();
    trials.extend([
        harness.test(a_consumer_survives_missing_credentials),
        harness.blocking_test(an_outage_logs_one_warning_and_its_end),
        harness.blocking_test(extensions_without_permission_are_limited_and_logged),
        harness.test(single_calls_replace_unknown_batch_actions),
        harness.test(an_extension_without_a_response_loses_no_lease),
        harness.test(few_handlers_keep_the_leases_of_many_messages_set_aside),
    ]);
    trials
}

/// Runs a consumer whose polls are refused until `mend`. It must then handle one message.
async fn survives(client: &Client, queue: &str, mend: impl Future<Output = ()>) -> Outcome {
    let seen = Seen::default();
    let handler = seen.handler();
    let mended = async {
        tokio::time::sleep(OUTAGE).await;
        mend.await;
        until(|| seen.counts().0 == 1).await.expect("the message is handled");
    };
    fast_consumer(client, queue).run(mended, handler).await?;
    ensure!(seen.counts() == (1, 1), "the consumer ended early");
    Ok(())
}

async fn a_consumer_survives_refused_polls(reply: Reply) -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(1)).await?;
    let fault = server
        .faults()
        .add(Fault::on(Action::ReceiveMessage, FaultKind::Reply(reply)));
    survives(&client, &queue, async { server.faults().remove(fault) }).await
}

/// A provider that fails until the flag is set.
#[derive(Clone, Debug, Default)]
struct Late(Arc<AtomicBool>);

impl ProvideCredentials for Late {
    fn provide_credentials(
        &self,
    ) -> sqs_client::credentials::BoxFuture<'_, Result<Credentials, Box<dyn std::error::Error + Send + Sync>>> {
        Box::pin(async {
            match self.0.load(Ordering::SeqCst) {
                true => Ok(Credentials::new("test", "test")),
                false => Err("the metadata service is silent".into()),
            }
        })
    }
}

async fn a_consumer_survives_missing_credentials() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(1)).await?;
    let provider = Late::default();
    let late = server
        .client_builder()
        .retry(fast_retries())
        .credentials(provider.clone())
        .build()?;
    survives(&late, &queue, async { provider.0.store(true, Ordering::SeqCst) }).await
}

fn an_outage_logs_one_warning_and_its_end() -> Outcome {
    let (log, _) = observe(async {
        let (server, client, queue) = local().await?;
        send(&client, &queue, numbered(1)).await?;
        let reply = Reply::new(403).body("<html>Forbidden</html>");
        let fault = server
            .faults()
            .add(Fault::on(Action::ReceiveMessage, FaultKind::Reply(reply)));
        survives(&client, &queue, async { server.faults().remove(fault) }).await
    })?;
    let consumers = |level: &str| {
        let of = |line: &&str| line.contains(level) && line.contains("sqs_client::consumer::pacing");
        log.lines().filter(of).count()
    };
    assert_eq!((consumers(" WARN "), consumers(" INFO ")), (1, 1));
    Ok(())
}

fn extensions_without_permission_are_limited_and_logged() -> Outcome {
    let requests = Arc::new(std::sync::Mutex::new(0));
    let counted = requests.clone();
    let (log, _) = observe(async move {
        let (server, client, queue) = local().await?;
        send(&client, &queue, numbered(3)).await?;
        for action in [Action::ChangeMessageVisibilityBatch, Action::ChangeMessageVisibility] {
            let reply = Reply::new(403)
                .header("content-type", "application/x-amz-json-1.0")
                .body(r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#);
            server.faults().add(Fault::on(action, FaultKind::Reply(reply)));
        }
        let mut deliveries = fast_consumer(&client, &queue).concurrency(3).prefetch(0).deliveries();
        let mut in_flight = Vec::new();
        for _ in 0..3 {
            in_flight.push(deliveries.try_next().await?.context("a delivery")?);
        }
        join_all(in_flight.iter().map(Delivery::lease_lost)).await;
        *counted.lock().expect("no panic") = server.count(Action::ChangeMessageVisibilityBatch);
        Ok(())
    })?;
    let warnings: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" WARN ") && line.contains("sqs_client::consumer"))
        .collect();
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    let requests = *requests.lock().expect("no panic");
    // There are a few attempts, each for all three messages or one of them.
    ensure!((2..=18).contains(&requests), "{requests} requests");
    Ok(())
}

async fn single_calls_replace_unknown_batch_actions() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(2)).await?;
    for action in [Action::ChangeMessageVisibilityBatch, Action::DeleteMessageBatch] {
        // GoAws responds like this.
        let reply = Reply::new(400).header("content-type", "text/plain").body("Bad Request");
        server.faults().add(Fault::on(action, FaultKind::Reply(reply)));
    }
    let mut deliveries = fast_consumer(&client, &queue).concurrency(2).prefetch(0).deliveries();
    let first = deliveries.try_next().await?.context("a delivery")?;
    let second = deliveries.try_next().await?.context("a delivery")?;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(first.ack().await?, AckOutcome::Deleted);
    assert_eq!(second.ack().await?, AckOutcome::Deleted);
    ensure!(view(&server, "q").is_empty());
    let batches = server.count(Action::ChangeMessageVisibilityBatch);
    ensure!(batches <= 4, "{batches} batches were tried");
    Ok(())
}

async fn an_extension_without_a_response_loses_no_lease() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(10)).await?;
    server.faults().add(
        Fault::on(
            Action::ChangeMessageVisibilityBatch,
            FaultKind::Delay(Duration::from_secs(600)),
        )
        .times(1),
    );
    let mut deliveries = fast_consumer(&client, &queue).concurrency(10).prefetch(0).deliveries();
    let mut in_flight = Vec::new();
    for _ in 0..10 {
        in_flight.push(deliveries.try_next().await?.context("a delivery")?);
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    let lost = in_flight.iter().filter(|delivery| delivery.lease_remaining().is_zero());
    assert_eq!(lost.count(), 0, "leases lost");
    Ok(())
}

async fn few_handlers_keep_the_leases_of_many_messages_set_aside() -> Outcome {
    const COUNT: usize = 1_024;
    let server = sqs_tests::strict().journal_capacity(0).start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    send(&client, &queue, numbered(COUNT)).await?;
    for action in [Action::ChangeMessageVisibilityBatch, Action::DeleteMessageBatch] {
        let far = FaultKind::Delay(Duration::from_millis(50));
        server.faults().add(Fault::on(action, far));
    }
    let mut deliveries = fast_consumer(&client, &queue)
        .visibility_timeout(Duration::from_secs(6))
        .concurrency(2)
        .deliveries();
    let mut in_flight = Vec::new();
    while in_flight.len() < COUNT {
        let delivery = deliveries.try_next().await?.context("a delivery")?;
        delivery.park();
        in_flight.push(delivery);
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    let lost = in_flight
        .iter()
        .filter(|delivery| delivery.lease_remaining().is_zero())
        .count();
    ensure!(lost == 0, "{lost} leases were lost");
    let before = server.count(Action::DeleteMessageBatch);
    for outcome in join_all(in_flight.iter().map(Delivery::ack)).await {
        assert_eq!(outcome?, AckOutcome::Deleted);
    }
    let requests = server.count(Action::DeleteMessageBatch) - before;
    ensure!(requests <= 110, "{requests} requests");
    Ok(())
}
