//! Tests when payloads are deleted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use futures::future::join_all;
use libtest_mimic::Trial;
use sqs_extended::ExtendedClient;
use sqs_extended::receive::{PayloadOutcome, RetainReason};
use sqs_extended::store::Deletion;

use super::{Fixture, delivery, large, test};
use crate::harness::{Harness, Outcome};

const DELAY: Duration = Duration::from_millis(500);

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, keep_retains_the_payload),
        test(harness, payloads_are_deleted_after_the_delay),
        test(harness, concurrent_acks_share_delete_requests),
    ]
}

fn with(fixture: &Fixture, deletion: Deletion) -> anyhow::Result<ExtendedClient> {
    Ok(fixture.with(fixture.payloads().deletion(deletion))?.build()?)
}

async fn acknowledged(fixture: &Fixture, extended: &ExtendedClient) -> anyhow::Result<PayloadOutcome> {
    extended.send(&fixture.queue, large()).await?;
    let outcome = delivery(extended, &fixture.queue).await?.ack().await?;
    ensure!(fixture.messages(&fixture.queue).is_empty());
    Ok(outcome)
}

fn is_configured(outcome: &PayloadOutcome) -> bool {
    matches!(outcome, PayloadOutcome::PayloadRetained(RetainReason::Configured))
}

async fn keep_retains_the_payload(fixture: Fixture) -> Outcome {
    let extended = with(&fixture, Deletion::Keep)?;
    let outcome = acknowledged(&fixture, &extended).await?;
    ensure!(is_configured(&outcome), "{outcome:?}");
    extended.flush().await;
    ensure!(fixture.stored().await?.len() == 1);
    ensure!(fixture.store.calls() == 1, "the store was called again after the put");
    Ok(())
}

async fn payloads_are_deleted_after_the_delay(fixture: Fixture) -> Outcome {
    let extended = with(&fixture, Deletion::After(DELAY))?;
    let begin = tokio::time::Instant::now();
    let outcome = acknowledged(&fixture, &extended).await?;
    ensure!(is_configured(&outcome), "{outcome:?}");
    let is_stored = !fixture.stored().await?.is_empty();
    ensure!(is_stored || begin.elapsed() >= DELAY, "the payload was deleted early");
    extended.flush().await;
    ensure!(begin.elapsed() >= DELAY, "the flush did not wait for the delay");
    ensure!(fixture.stored().await?.is_empty(), "the payload was not deleted");
    Ok(())
}

async fn concurrent_acks_share_delete_requests(mut fixture: Fixture) -> Outcome {
    const MESSAGES: usize = 20;
    fixture.store.delete_delay = Duration::from_millis(300);
    let extended = with(&fixture, Deletion::WithMessage)?;
    for sent in extended.send_messages(&fixture.queue, vec![large(); MESSAGES]).await {
        sent?;
    }
    let mut deliveries = Vec::new();
    while deliveries.len() < MESSAGES {
        let received = extended.receive(&fixture.queue).max_messages(10).await?;
        ensure!(!received.is_empty(), "no message arrives");
        deliveries.extend(received.into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    let calls = fixture.store.calls();
    for outcome in join_all(deliveries.iter().map(|delivery| delivery.ack())).await {
        let outcome = outcome?;
        ensure!(matches!(outcome, PayloadOutcome::PayloadDeleted), "{outcome:?}");
    }
    ensure!(fixture.stored().await?.is_empty());
    let deletes = fixture.store.calls() - calls;
    ensure!(deletes < MESSAGES / 2, "{deletes} requests for {MESSAGES} payloads");
    Ok(())
}
