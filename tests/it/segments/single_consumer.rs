//! Tests one consumer on every server, and on a faulty one. All payloads arrive unchanged, and no message remains.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::BoxFuture;
use libtest_mimic::Trial;
use sqs_client::Client;
use sqs_client::types::QueueAttributeName;
use sqs_local::{Action, Fault, FaultKind};
use tokio::time::Instant;

use super::payloads::{Payload, encoding, send_all};
use crate::consumer::fast_retries;
use crate::harness::{Backend, Harness, Outcome, name_of, unique};

/// The environment variable with the number of payloads on sqs-local.
const PAYLOADS: &str = "SQS_TEST_SEGMENTED_PAYLOADS";

const KIB: usize = 1024;
/// The consumer counts as stuck if no payload arrives for this long.
const STUCK: Duration = Duration::from_secs(60);

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let name = name_of(&all_payloads_arrive);
    let on_server = |backend: Backend, payloads: Vec<Payload>| {
        harness.trial(format!("{name}::{}", backend.name()), move |harness| {
            let client = harness.client_for(backend)?.build().expect("a client");
            Ok(Box::pin(all_payloads_arrive(client, payloads)))
        })
    };
    vec![
        harness.variant(&all_payloads_arrive, "sqs-local", on_a_faulty_server),
        on_server(Backend::ElasticMq, Payload::several(50, 300 * KIB, 8192 * KIB)),
        on_server(Backend::Moto, Payload::several(20, 300 * KIB, 8192 * KIB)),
    ]
}

/// One of 20 requests fails, and messages are duplicated and reordered.
async fn on_a_faulty_server() -> Outcome {
    let count = std::env::var(PAYLOADS).ok().and_then(|count| count.parse().ok());
    let count = count.unwrap_or(100);
    let server = sqs_tests::strict().journal_capacity(0).start().await?;
    for action in [
        Action::SendMessageBatch,
        Action::ReceiveMessage,
        Action::DeleteMessageBatch,
        Action::ChangeMessageVisibilityBatch,
    ] {
        for (kind, probability) in [
            (FaultKind::Throttle, 0.02),
            (FaultKind::Reset, 0.015),
            (FaultKind::TruncatedResponse, 0.015),
        ] {
            server.faults().add(Fault::on(action, kind).probability(probability));
        }
    }
    for kind in [FaultKind::Duplicate, FaultKind::Reorder] {
        server
            .faults()
            .add(Fault::on(Action::ReceiveMessage, kind.clone()).probability(0.2));
        server
            .faults()
            .add(Fault::on(Action::SendMessageBatch, kind).probability(0.05));
    }
    let client = server.client_builder().retry(fast_retries()).build()?;
    all_payloads_arrive(client, Payload::several(count, 300 * KIB, 8192 * KIB)).await
}

async fn all_payloads_arrive(client: Client, payloads: Vec<Payload>) -> Outcome {
    let queue = client.create_queue(unique("segments")).await?.queue_url;
    let begin = Instant::now();
    let arrived = Arrived::default();
    let noted = arrived.clone();
    let all: BoxFuture<'_, Outcome> = Box::pin(async {
        send_all(&client, &queue, &payloads).await?;
        arrived.wait_for(payloads.len()).await?;
        until_empty(&client, &queue).await
    });
    let (ended, end) = tokio::sync::oneshot::channel();
    let shutdown = async move { drop(ended.send(all.await)) };
    encoding(client.clone())?
        .consumer(&queue)
        .configure(|consumer| {
            consumer
                .visibility_timeout(Duration::from_secs(5))
                .wait_time(Duration::from_secs(1))
                .backoff(Duration::ZERO, Duration::ZERO)
        })
        .run(shutdown, move |delivery| {
            let noted = noted.clone();
            async move {
                noted.note(Payload::received(&delivery).await);
                Ok::<(), std::convert::Infallible>(())
            }
        })
        .await?;
    end.await.context("the shutdown did not complete")??;
    let times = arrived.check(&payloads)?;
    let bytes: usize = payloads.iter().map(|payload| payload.size).sum();
    eprintln!(
        "{} payloads of {} MiB in total, handled {times} times in {:?}",
        payloads.len(),
        bytes / (KIB * KIB),
        begin.elapsed()
    );
    Ok(())
}

/// Waits until the queue has no messages, visible or hidden.
async fn until_empty(client: &Client, queue: &str) -> Outcome {
    let deadline = Instant::now() + STUCK;
    loop {
        let attributes = client
            .get_queue_attributes(queue, [QueueAttributeName::All])
            .await?
            .attributes;
        let remaining = [
            attributes.approximate_number_of_messages,
            attributes.approximate_number_of_messages_not_visible,
        ];
        if remaining == [Some(0); 2] {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{remaining:?} messages remain");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The payloads that were handled, and the errors.
#[derive(Clone, Default)]
struct Arrived(Arc<Mutex<Seen>>);

/// The number of handlings of each payload, and the errors.
type Seen = (BTreeMap<Payload, u32>, Vec<String>);

impl Arrived {
    fn note(&self, received: anyhow::Result<Payload>) {
        let mut seen = self.0.lock().expect("no handler panics here");
        match received {
            Ok(payload) => *seen.0.entry(payload).or_default() += 1,
            Err(error) => seen.1.push(format!("{error:?}")),
        }
    }

    fn count(&self) -> usize {
        let seen = self.0.lock().expect("no handler panics here");
        seen.0.len() + seen.1.len()
    }

    async fn wait_for(&self, count: usize) -> Outcome {
        let mut last = (0, Instant::now());
        while self.count() < count {
            if self.count() > last.0 {
                last = (self.count(), Instant::now());
            }
            ensure!(last.1.elapsed() < STUCK, "{} of {count} arrived", last.0);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Checks that all payloads arrived, and returns the number of handlings.
    fn check(&self, payloads: &[Payload]) -> anyhow::Result<u32> {
        let seen = self.0.lock().expect("no handler panics here");
        ensure!(seen.1.is_empty(), "{:?}", seen.1);
        let mut sent = payloads.to_vec();
        sent.sort();
        let arrived: Vec<Payload> = seen.0.keys().copied().collect();
        ensure!(arrived == sent, "{} of {} arrived", arrived.len(), sent.len());
        // A payload that compression made small enough is an ordinary message, which SQS may deliver repeatedly.
        let again = seen
            .0
            .iter()
            .find(|(payload, times)| **times > 1 && !payload.is_encoded());
        ensure!(
            again.is_none(),
            "{again:?} arrived again after its segments were deleted"
        );
        Ok(seen.0.values().sum())
    }
}
