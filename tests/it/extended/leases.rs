//! Tests that a payload is deleted only while the lease on its message is certain.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use sqs_client::Protocol;
use sqs_extended::receive::{PayloadOutcome, RetainReason};
use sqs_extended::{ExtendedClient, ExtendedDelivery};
use tokio::time::sleep;

use super::store::{Counting, extended, keys};
use crate::harness::{Backend, Context, Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = vec![harness.server_test(Backend::Local, Protocol::Json, a_failed_payload_deletion_is_reported)];
    for backend in Backend::ALL {
        trials.push(harness.server_test(backend, Protocol::Json, a_late_ack_leaves_the_payload));
        trials.push(harness.server_test(backend, Protocol::Json, an_extended_lease_lasts));
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

/// The first consumer's lease expires and a second consumer receives the message. The first one's acknowledgement must
/// not delete the payload.
async fn a_late_ack_leaves_the_payload(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let store = Counting::default();
    let extended = extended(context.client.clone(), store.clone(), "p/");
    extended.send(&queue, "z".repeat(300_000)).await?;

    let first = receive(&extended, &queue, 2).await?;
    sleep(Duration::from_millis(2_200)).await;
    let second = receive(&extended, &queue, 60).await?;
    assert_eq!(first.message_id(), second.message_id());
    // SQS confirms a deletion by a stale handle without deleting. Other servers refuse it.
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

async fn an_extended_lease_lasts(context: Context) -> Outcome {
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

/// The message is deleted, so the acknowledgement succeeds although the payload remains.
async fn a_failed_payload_deletion_is_reported(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let mut store = Counting::default();
    store.fails_deletes = true;
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
