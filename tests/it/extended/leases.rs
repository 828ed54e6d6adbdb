//! A payload is deleted only while its message is surely ours.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use sqs_client::Protocol;
use sqs_extended::receive::{PayloadOutcome, RetainReason};
use sqs_extended::{ExtendedClient, ExtendedDelivery};
use tokio::time::sleep;

use super::store::{Counting, extended, keys};
use crate::bench::{Backend, Bench, Context, Outcome, trial};

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let mut trials = vec![trial(
        "extended::leases::an_undeleted_payload_is_told",
        bench,
        |bench| {
            let context = Context::new(&bench, Backend::Embedded, Protocol::Json)?;
            Ok(Box::pin(undeleted(context)))
        },
    )];
    for (name, backend) in [
        ("embedded", Backend::Embedded),
        ("elasticmq", Backend::ElasticMq),
        ("moto", Backend::Moto),
    ] {
        trials.push(trial(
            format!("extended::leases::{name}_late_ack_leaves_the_payload"),
            bench,
            move |bench| {
                let context = Context::new(&bench, backend, Protocol::Json)?;
                Ok(Box::pin(late_ack(context)))
            },
        ));
        trials.push(trial(
            format!("extended::leases::{name}_extended_lease_holds"),
            bench,
            move |bench| {
                let context = Context::new(&bench, backend, Protocol::Json)?;
                Ok(Box::pin(extended_lease(context)))
            },
        ));
    }
    trials
}

async fn receive(extended: &ExtendedClient, queue: &str, visibility: u64) -> anyhow::Result<ExtendedDelivery> {
    let received = extended
        .receive(queue)
        .wait_time(Duration::from_secs(5))
        .visibility_timeout(Duration::from_secs(visibility))
        .await?;
    let mut received = received.into_iter();
    Ok(received.next().ok_or_else(|| anyhow::anyhow!("no message"))??)
}

/// The first consumer's lease runs out and the message goes to a second one; the first one's acknowledgement must not
/// take the payload from under it.
async fn late_ack(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let store = Counting::default();
    let extended = extended(context.client.clone(), store.clone(), "p/");
    extended.send(&queue, "z".repeat(300_000)).await?;

    let first = receive(&extended, &queue, 2).await?;
    sleep(Duration::from_millis(2_200)).await;
    let second = receive(&extended, &queue, 60).await?;
    assert_eq!(first.message_id(), second.message_id());
    // SQS confirms a stale handle's deletion without deleting; other servers refuse it.
    if let Ok(outcome) = first.ack().await {
        assert!(
            matches!(outcome, PayloadOutcome::PayloadRetained(RetainReason::LeaseExpired)),
            "{outcome:?}"
        );
    }
    assert_eq!(
        keys(&store, "p").await?.len(),
        1,
        "the late acknowledgement deleted the payload"
    );
    assert_eq!(second.text().await?.len(), 300_000);
    assert!(matches!(second.ack().await?, PayloadOutcome::PayloadDeleted));
    assert_eq!(keys(&store, "p").await?.len(), 0);
    Ok(())
}

async fn extended_lease(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let store = Counting::default();
    let extended = extended(context.client.clone(), store.clone(), "p/");
    extended.send(&queue, "z".repeat(300_000)).await?;
    let delivery = receive(&extended, &queue, 2).await?;
    delivery.extend_visibility(Duration::from_secs(60)).await?;
    sleep(Duration::from_millis(2_200)).await;
    assert!(extended.receive(&queue).wait_time(Duration::ZERO).await?.is_empty());
    assert!(matches!(delivery.ack().await?, PayloadOutcome::PayloadDeleted));
    assert_eq!(keys(&store, "p").await?.len(), 0);
    Ok(())
}

/// The message is dealt with; that its payload is left is no error of the acknowledgement.
async fn undeleted(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let mut store = Counting::default();
    store.keeps = true;
    let extended = extended(context.client.clone(), store.clone(), "p/");
    extended.send(&queue, "z".repeat(300_000)).await?;
    let outcome = receive(&extended, &queue, 60).await?.ack().await?;
    assert!(
        matches!(outcome, PayloadOutcome::PayloadRetained(RetainReason::DeleteFailed(_))),
        "{outcome:?}"
    );
    assert_eq!(keys(&store, "p").await?.len(), 1);
    Ok(())
}
