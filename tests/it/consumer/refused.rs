//! Refusals: of polls, which pass or end the consumer in time; of extensions, which are tried again in bounds.

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
use sqs_tests::embedded::{Action, EmbeddedServer, Fault, FaultKind, Reply};

use super::{Seen, brisk, embedded, numbered, quick, send, until, view};
use crate::bench::{Bench, Outcome, client_of_embedded, trial};
use crate::telemetry::observe;

/// Longer than a consumer used to bear refusals.
const OUTAGE: Duration = Duration::from_secs(7);

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
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
        ("a_queue_is_created_again", json("QueueDoesNotExist")),
    ];
    let mut trials: Vec<_> = refusals
        .into_iter()
        .map(|(name, reply)| {
            trial(format!("consumer::polls_refused_for_a_while::{name}"), bench, |_| {
                Ok(Box::pin(refused(reply)))
            })
        })
        .collect();
    let blocking = |name: &str, test: fn() -> Outcome| {
        trial(format!("consumer::{name}"), bench, move |_| {
            Ok(Box::pin(async move { tokio::task::spawn_blocking(test).await? }))
        })
    };
    trials.extend([
        trial("consumer::polls_refused_for_a_while::credentials", bench, |_| {
            Ok(Box::pin(without_credentials()))
        }),
        blocking("a_while_of_refusals_is_one_warning_and_its_end_is_told", one_warning),
        blocking("extensions_without_permission_are_few_and_one_warning", no_permission),
        trial(
            "consumer::where_only_batches_are_unknown_single_calls_are_made",
            bench,
            |_| Ok(Box::pin(no_batches())),
        ),
        trial(
            "consumer::an_extension_without_a_response_loses_no_lease",
            bench,
            |_| Ok(Box::pin(silent_extension())),
        ),
        trial(
            "consumer::leases_of_many_set_aside_are_kept_by_few_handlers",
            bench,
            |_| Ok(Box::pin(many_aside())),
        ),
    ]);
    trials
}

/// Handles one message that is sent after polls were refused until `mend`.
async fn survives(client: &Client, queue: &str, mend: impl Future<Output = ()>) -> Outcome {
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            seen.note(&delivery.message().body, "");
            async { Ok::<_, ()>(()) }
        }
    };
    let mended = async {
        tokio::time::sleep(OUTAGE).await;
        mend.await;
        until(|| seen.counts().0 == 1).await.expect("it is handled");
    };
    brisk(client, queue).run(mended, handler).await?;
    ensure!(seen.counts() == (1, 1), "it ended before");
    Ok(())
}

async fn refused(reply: Reply) -> Outcome {
    let (server, client, queue) = embedded().await?;
    send(&client, &queue, numbered(1)).await?;
    let fault = server
        .faults()
        .add(Fault::on(Action::ReceiveMessage, FaultKind::Reply(reply)));
    survives(&client, &queue, async { server.faults().remove(fault) }).await
}

/// Fails until it is told to succeed.
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

async fn without_credentials() -> Outcome {
    let (server, client, queue) = embedded().await?;
    send(&client, &queue, numbered(1)).await?;
    let provider = Late::default();
    let late = client_of_embedded(&server)
        .retry(quick())
        .credentials(provider.clone())
        .build()?;
    survives(&late, &queue, async { provider.0.store(true, Ordering::SeqCst) }).await
}

fn one_warning() -> Outcome {
    let (log, _) = observe(async {
        let (server, client, queue) = embedded().await?;
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

fn no_permission() -> Outcome {
    let requests = Arc::new(std::sync::Mutex::new(0));
    let counted = requests.clone();
    let (log, _) = observe(async move {
        let (server, client, queue) = embedded().await?;
        send(&client, &queue, numbered(3)).await?;
        for action in [Action::ChangeMessageVisibilityBatch, Action::ChangeMessageVisibility] {
            let reply = Reply::new(403)
                .header("content-type", "application/x-amz-json-1.0")
                .body(r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#);
            server.faults().add(Fault::on(action, FaultKind::Reply(reply)));
        }
        let mut deliveries = brisk(&client, &queue).concurrency(3).prefetch(0).deliveries();
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(deliveries.try_next().await?.context("a delivery")?);
        }
        join_all(held.iter().map(Delivery::lease_lost)).await;
        *counted.lock().expect("no panic") = server.count(Action::ChangeMessageVisibilityBatch);
        Ok(())
    })?;
    let warnings: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" WARN ") && line.contains("sqs_client::consumer"))
        .collect();
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    let requests = *requests.lock().expect("no panic");
    // A few tries, each for all three or one of them.
    ensure!((2..=18).contains(&requests), "{requests} requests");
    Ok(())
}

async fn no_batches() -> Outcome {
    let (server, client, queue) = embedded().await?;
    send(&client, &queue, numbered(2)).await?;
    for action in [Action::ChangeMessageVisibilityBatch, Action::DeleteMessageBatch] {
        // As GoAws words it.
        let reply = Reply::new(400).header("content-type", "text/plain").body("Bad Request");
        server.faults().add(Fault::on(action, FaultKind::Reply(reply)));
    }
    let mut deliveries = brisk(&client, &queue).concurrency(2).prefetch(0).deliveries();
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

async fn silent_extension() -> Outcome {
    let (server, client, queue) = embedded().await?;
    send(&client, &queue, numbered(10)).await?;
    server.faults().add(
        Fault::on(
            Action::ChangeMessageVisibilityBatch,
            FaultKind::Delay(Duration::from_secs(600)),
        )
        .times(1),
    );
    let mut deliveries = brisk(&client, &queue).concurrency(10).prefetch(0).deliveries();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(deliveries.try_next().await?.context("a delivery")?);
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    let lost = held.iter().filter(|delivery| delivery.lease_remaining().is_zero());
    assert_eq!(lost.count(), 0, "leases lost");
    Ok(())
}

async fn many_aside() -> Outcome {
    const COUNT: usize = 1_024;
    let server = EmbeddedServer::builder().journal_capacity(0).start().await?;
    let client = client_of_embedded(&server).retry(quick()).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    send(&client, &queue, numbered(COUNT)).await?;
    for action in [Action::ChangeMessageVisibilityBatch, Action::DeleteMessageBatch] {
        let far = FaultKind::Delay(Duration::from_millis(50));
        server.faults().add(Fault::on(action, far));
    }
    let mut deliveries = brisk(&client, &queue)
        .visibility_timeout(Duration::from_secs(6))
        .concurrency(2)
        .deliveries();
    let mut held = Vec::new();
    while held.len() < COUNT {
        let delivery = deliveries.try_next().await?.context("a delivery")?;
        delivery.park();
        held.push(delivery);
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    let lost = held
        .iter()
        .filter(|delivery| delivery.lease_remaining().is_zero())
        .count();
    ensure!(lost == 0, "{lost} leases are lost");
    let before = server.count(Action::DeleteMessageBatch);
    for outcome in join_all(held.iter().map(Delivery::ack)).await {
        assert_eq!(outcome?, AckOutcome::Deleted);
    }
    let requests = server.count(Action::DeleteMessageBatch) - before;
    ensure!(requests <= 110, "{requests} requests");
    Ok(())
}
