//! Tests payloads that can never be handled. All their segments become dead letters, so that the payload is complete
//! there. The other messages of the group do not become dead letters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::types::RedrivePolicy;
use sqs_client::{Client, QueueAttributes};
use sqs_extended::{ExtendedClient, Strategy};
use sqs_local::{LocalSqs, QueueView};

use super::fifo::THREE;
use super::payloads::Payload;
use crate::consumer::{fast_retries, until};
use crate::harness::{Harness, Outcome};

/// The minimum segment size.
const SEGMENT: usize = 4096;
const MAX_RECEIVES: u32 = 3;

/// The size of a payload of one message.
const SMALL: usize = 100;
/// The size of a payload of two segments.
const TWO: usize = 6_000;

/// The payload that no handler can handle.
const POISON: Payload = Payload {
    number: 0,
    size: 20_000,
};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let whole = [("standard", ""), ("fifo", ".fifo")].map(|(kind, suffix)| {
        harness.variant(&a_poison_payload_is_a_whole_dead_letter, kind, move || {
            a_poison_payload_is_a_whole_dead_letter(suffix)
        })
    });
    let mut trials = Vec::from(whole);
    trials.extend([
        harness.test(a_poison_payload_spares_the_messages_of_its_group),
        harness.test(consecutive_poison_payloads_die_alone),
        harness.test(poison_messages_spare_the_payloads_behind_them),
        harness.test(poison_of_a_group_of_several_receives_dies_alone),
        harness.test(neighbors_of_many_poison_payloads_are_handled),
        harness.test(poison_that_panics_dies_alone),
        harness.test(a_poison_payload_dies_alone_where_consumers_compete),
    ]);
    trials
}

async fn a_poison_payload_spares_the_messages_of_its_group() -> Outcome {
    let sizes = &[THREE, SMALL, SMALL, THREE, SMALL, THREE, SMALL];
    Group::new(sizes, &[0]).run().await
}

async fn consecutive_poison_payloads_die_alone() -> Outcome {
    let sizes = &[TWO, TWO, TWO, TWO, SMALL, SMALL, THREE, SMALL];
    Group::new(sizes, &[0, 1, 2, 3]).run().await
}

async fn poison_messages_spare_the_payloads_behind_them() -> Outcome {
    let sizes = &[SMALL, THREE, SMALL, THREE, SMALL, THREE, THREE];
    Group::new(sizes, &[0, 2, 4]).run().await
}

async fn poison_of_a_group_of_several_receives_dies_alone() -> Outcome {
    Group::new(&[THREE; 10], &[0, 3, 4, 7]).run().await
}

async fn neighbors_of_many_poison_payloads_are_handled() -> Outcome {
    let sizes = &[
        TWO, TWO, SMALL, TWO, TWO, TWO, SMALL, TWO, TWO, SMALL, TWO, TWO, TWO, THREE, SMALL,
    ];
    Group::new(sizes, &[0, 1, 3, 4, 5, 7, 8, 10, 11, 12]).run().await
}

async fn poison_that_panics_dies_alone() -> Outcome {
    let group = Group {
        fails: Fails::Panics,
        ..Group::new(&[THREE, SMALL, THREE, THREE, TWO, SMALL], &[0, 3])
    };
    group.run().await
}

async fn a_poison_payload_dies_alone_where_consumers_compete() -> Outcome {
    let group = Group {
        consumers: 2,
        ..Group::new(&[SMALL, THREE, THREE, SMALL, TWO], &[1])
    };
    group.run().await
}

#[derive(Clone, Copy)]
enum Fails {
    Errs,
    Panics,
}

/// A test with payloads of a FIFO group, some of which always fail.
#[derive(Clone, Copy)]
struct Group {
    sizes: &'static [usize],
    poison: &'static [usize],
    fails: Fails,
    consumers: usize,
}

impl Group {
    const fn new(sizes: &'static [usize], poison: &'static [usize]) -> Self {
        Self {
            sizes,
            poison,
            fails: Fails::Errs,
            consumers: 1,
        }
    }

    async fn run(self) -> Outcome {
        let Queues {
            extended,
            queue,
            view,
            dead_view,
            _server,
            ..
        } = Queues::new(".fifo").await?;
        let payloads: Vec<Payload> = self
            .sizes
            .iter()
            .enumerate()
            .map(|(number, &size)| Payload { number, size })
            .collect();
        let mut poisoned = 0;
        for payload in &payloads {
            let sent = extended.send(&queue, payload.message().message_group_id("g")).await?;
            if self.poison.contains(&payload.number) {
                poisoned += sent.segments;
            }
        }
        let handled: Arc<Mutex<Vec<usize>>> = Arc::default();
        let running = (0..self.consumers).map(|_| {
            let seen = Arc::clone(&handled);
            let view = view.clone();
            extended
                .consumer(&queue)
                // Longer than a visibility timeout, because consumers may compete.
                .assembly_timeout(Duration::from_secs(20))
                .configure(|consumer| {
                    consumer
                        .visibility_timeout(Duration::from_secs(3))
                        .wait_time(Duration::from_secs(1))
                        .backoff(Duration::ZERO, Duration::ZERO)
                })
                .run(
                    async move { until(|| view.is_empty()).await.expect("the queue is emptied") },
                    move |delivery| {
                        let seen = Arc::clone(&seen);
                        async move {
                            let payload = Payload::received(&delivery).await?;
                            let fails = self.poison.contains(&payload.number);
                            if !fails {
                                seen.lock().expect("no panic while it is locked").push(payload.number);
                            }
                            match self.fails {
                                Fails::Panics if fails => panic!("poison"),
                                _ => ensure!(!fails, "the payload is poison"),
                            }
                            Ok(())
                        }
                    },
                )
        });
        for ended in futures::future::join_all(running).await {
            ended?;
        }
        let handled = handled.lock().expect("no panic while it is locked").clone();
        let good: Vec<usize> = (0..payloads.len())
            .filter(|number| !self.poison.contains(number))
            .collect();
        let letters = dead_view.len();
        ensure!(
            handled == good && letters == poisoned,
            "handled {handled:?} of {good:?}; {letters} dead letters instead of {poisoned}"
        );
        Ok(())
    }
}

async fn a_poison_payload_is_a_whole_dead_letter(suffix: &str) -> Outcome {
    let Queues {
        extended,
        queue,
        dead,
        view,
        dead_view,
        _server,
    } = Queues::new(suffix).await?;
    let others: Vec<Payload> = (1..4).map(|number| Payload { number, size: 12_000 }).collect();
    let mut segments = None;
    for payload in [POISON].iter().chain(&others) {
        let mut message = payload.message();
        if !suffix.is_empty() {
            message = message.message_group_id(payload.number.to_string());
        }
        let sent = extended.send(&queue, message).await?;
        segments.get_or_insert(sent.segments);
    }

    let handled = consume(&extended, &queue, true, until(|| view.is_empty())).await?;
    let (poison, mut rest): (Vec<_>, Vec<_>) = handled.into_iter().partition(|payload| *payload == POISON);
    rest.sort();
    ensure!(rest == others, "{rest:?}");
    ensure!(
        (1..=MAX_RECEIVES as usize).contains(&poison.len()),
        "the poison was handled {} times",
        poison.len()
    );
    ensure!(
        Some(dead_view.len()) == segments,
        "{} of {segments:?} segments are dead letters",
        dead_view.len()
    );

    let handled = consume(&extended, &dead, false, until(|| dead_view.is_empty())).await?;
    ensure!(handled == [POISON], "{handled:?}");
    Ok(())
}

/// A queue and its dead-letter queue.
struct Queues {
    extended: ExtendedClient,
    queue: String,
    dead: String,
    view: QueueView,
    dead_view: QueueView,
    _server: LocalSqs,
}

impl Queues {
    async fn new(suffix: &str) -> anyhow::Result<Self> {
        let server = sqs_tests::strict().start().await?;
        let client = server.client_builder().retry(fast_retries()).build()?;
        let (name, dead_name) = (format!("q{suffix}"), format!("dead{suffix}"));
        let dead = create(&client, &dead_name, None).await?;
        let redrive = RedrivePolicy::new(server.queue_arn(&dead_name), MAX_RECEIVES);
        let queue = create(&client, &name, Some(redrive)).await?;
        let extended = ExtendedClient::builder(client)
            .strategy(Strategy::Split)
            .segment_size(SEGMENT)
            .threshold(SEGMENT)
            .build()?;
        let view = |name: &str| server.queue(name).context("the queue exists");
        let (view, dead_view) = (view(&name)?, view(&dead_name)?);
        Ok(Self {
            extended,
            queue,
            dead,
            view,
            dead_view,
            _server: server,
        })
    }
}

async fn create(client: &Client, name: &str, redrive: Option<RedrivePolicy>) -> anyhow::Result<String> {
    let mut attributes = QueueAttributes::default();
    let fifo = name.ends_with(".fifo").then_some(true);
    attributes.fifo_queue = fifo;
    attributes.content_based_deduplication = fifo;
    attributes.redrive_policy = redrive;
    Ok(client.create_queue(name).attributes(attributes).await?.queue_url)
}

/// Consumes until `done` ends, and returns the payloads that were handled. With `poison_fails`, the poison's handler
/// fails.
async fn consume(
    extended: &ExtendedClient,
    queue: &str,
    poison_fails: bool,
    done: impl Future<Output = Outcome>,
) -> anyhow::Result<Vec<Payload>> {
    let handled: Arc<Mutex<Vec<Payload>>> = Arc::default();
    let seen = Arc::clone(&handled);
    let mut ended = None;
    extended
        .consumer(queue)
        .assembly_timeout(Duration::from_secs(2))
        .configure(|consumer| {
            consumer
                .visibility_timeout(Duration::from_secs(5))
                .wait_time(Duration::from_secs(1))
                .backoff(Duration::ZERO, Duration::ZERO)
        })
        .run(async { ended = Some(done.await) }, move |delivery| {
            let seen = Arc::clone(&seen);
            async move {
                let payload = Payload::received(&delivery).await?;
                seen.lock().expect("no handler panics here").push(payload);
                ensure!(!poison_fails || payload != POISON, "the payload is poison");
                Ok(())
            }
        })
        .await?;
    ended.context("the shutdown did not complete")??;
    let handled = handled.lock().expect("no handler panics here").clone();
    Ok(handled)
}
