//! When payloads are deleted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use futures::FutureExt as _;
use futures::future::join_all;
use libtest_mimic::Trial;
use sqs_extended::ExtendedClient;
use sqs_extended::receive::{PayloadOutcome, RetainReason};
use sqs_extended::store::Deletion;

use super::{Setting, delivery, large, set};
use crate::bench::{Bench, Outcome};

const GRACE: Duration = Duration::from_millis(500);

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    vec![
        set("deletion::keep_leaves_the_payload", bench, |setting| {
            keep(setting).boxed()
        }),
        set("deletion::after_a_grace", bench, |setting| after(setting).boxed()),
        set("deletion::acks_at_once_share_requests", bench, |setting| {
            shared(setting).boxed()
        }),
    ]
}

fn with(setting: &Setting, deletion: Deletion) -> anyhow::Result<ExtendedClient> {
    Ok(setting.with(setting.payloads().deletion(deletion))?.build()?)
}

async fn acknowledged(setting: &Setting, extended: &ExtendedClient) -> anyhow::Result<PayloadOutcome> {
    extended.send(&setting.queue, large()).await?;
    let outcome = delivery(extended, &setting.queue).await?.ack().await?;
    ensure!(setting.messages(&setting.queue).is_empty());
    Ok(outcome)
}

fn is_configured(outcome: &PayloadOutcome) -> bool {
    matches!(outcome, PayloadOutcome::PayloadRetained(RetainReason::Configured))
}

async fn keep(setting: Setting) -> Outcome {
    let extended = with(&setting, Deletion::Keep)?;
    let outcome = acknowledged(&setting, &extended).await?;
    ensure!(is_configured(&outcome), "{outcome:?}");
    extended.flush().await;
    ensure!(setting.stored().await?.len() == 1);
    ensure!(setting.store.calls() == 1, "the put");
    Ok(())
}

async fn after(setting: Setting) -> Outcome {
    let extended = with(&setting, Deletion::After(GRACE))?;
    let begin = tokio::time::Instant::now();
    let outcome = acknowledged(&setting, &extended).await?;
    ensure!(is_configured(&outcome), "{outcome:?}");
    let is_stored = !setting.stored().await?.is_empty();
    ensure!(is_stored || begin.elapsed() >= GRACE, "it was deleted early");
    extended.flush().await;
    ensure!(begin.elapsed() >= GRACE, "the grace was not waited for");
    ensure!(setting.stored().await?.is_empty(), "it was never deleted");
    Ok(())
}

async fn shared(mut setting: Setting) -> Outcome {
    const MESSAGES: usize = 20;
    setting.store.deletes_take = Duration::from_millis(300);
    let extended = with(&setting, Deletion::WithMessage)?;
    for sent in extended.send_messages(&setting.queue, vec![large(); MESSAGES]).await {
        sent?;
    }
    let mut deliveries = Vec::new();
    while deliveries.len() < MESSAGES {
        let received = extended.receive(&setting.queue).max_messages(10).await?;
        ensure!(!received.is_empty(), "no message comes");
        deliveries.extend(received.into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    let calls = setting.store.calls();
    for outcome in join_all(deliveries.iter().map(|delivery| delivery.ack())).await {
        let outcome = outcome?;
        ensure!(matches!(outcome, PayloadOutcome::PayloadDeleted), "{outcome:?}");
    }
    ensure!(setting.stored().await?.is_empty());
    let deletes = setting.store.calls() - calls;
    ensure!(deletes < MESSAGES / 2, "{deletes} requests for {MESSAGES} payloads");
    Ok(())
}
