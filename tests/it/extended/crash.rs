//! Kills a sender, consumer or sweep at each of its steps. No message loses its payload and no message is lost. Only
//! orphaned payloads remain, and a sweep removes them.

pub mod child;
mod gate;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use sqs_client::Client;
use sqs_extended::ExtendedClient;
use sqs_extended::pointer::Pointer;
use sqs_extended::sweep::Sweep;
use sqs_local::{Action, Fault, FaultKind, LocalSqs, QueueView};
use tempfile::TempDir;

use self::child::{Orders, PART, Task, payload};
use self::gate::Gate;
use super::store::{Bucket, extended, keys};
use crate::harness::{Harness, Outcome, name_of, unique};

/// The environment variable with the number of kills at each step.
const ROUNDS: &str = "SQS_TEST_CRASH_ROUNDS";
const DEFAULT_ROUNDS: usize = 4;

const SMALL: usize = 300_000;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let cases = [
        ("send_in_one_piece", Scenario::Send(SMALL)),
        ("send_in_parts", Scenario::Send(2 * PART + SMALL)),
        ("receive_and_ack", Scenario::Consume),
        ("sweep", Scenario::Sweep),
    ];
    let trials = cases.map(|(name, scenario)| {
        let name = format!("{}::{name}", name_of(&a_kill_at_any_step_loses_nothing));
        harness.trial(name, move |harness| {
            let minio = harness.servers.minio().map_err(Clone::clone)?;
            let bucket = Bucket::new(minio).expect("a bucket");
            Ok(Box::pin(a_kill_at_any_step_loses_nothing(bucket, scenario)))
        })
    });
    trials.into()
}

#[derive(Clone, Copy)]
enum Scenario {
    /// Sends a payload of this size.
    Send(usize),
    Consume,
    Sweep,
}

/// The number of old orphans before each sweep.
const ORPHANS: usize = 3;

async fn a_kill_at_any_step_loses_nothing(bucket: Bucket, scenario: Scenario) -> Outcome {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok());
    let rounds = rounds.unwrap_or(DEFAULT_ROUNDS);
    let mut crashes = Crashes::new(bucket, scenario).await?;
    let steps = crashes.round(None).await.context("not killed")?;
    for step in 0..steps.len() {
        for round in 0..rounds {
            let kill = Kill { step, round };
            crashes
                .round(Some(kill))
                .await
                .with_context(|| format!("killed at {:?}, step {step} of {steps:?}, round {round}", steps[step]))?;
        }
    }
    if let Scenario::Sweep = scenario {
        // The next sweep finds what the killed ones did not remove.
        crashes.round(None).await.context("not killed")?;
        let remaining = keys(&crashes.store, &crashes.prefix).await?;
        ensure!(
            !remaining.iter().any(|key| child::is_old(key)),
            "old payloads remain: {remaining:?}"
        );
    }
    let orphans = crashes.sweep().await?;
    crashes.drain().await?;
    eprintln!(
        "{} kills at {} steps; {orphans} orphans were swept; steps: {}",
        steps.len() * rounds,
        steps.len(),
        steps.join(", "),
    );
    Ok(())
}

/// The time of a kill.
#[derive(Clone, Copy)]
struct Kill {
    step: usize,
    round: usize,
}

impl Kill {
    /// Returns the delay of the kill. Every other time the process continues and is killed a little later.
    fn delay(self) -> Option<Duration> {
        let micros = u64::try_from(self.round).ok()?.checked_mul(431)? % 6_000;
        (self.round % 2 == 1).then_some(Duration::from_micros(micros))
    }

    /// Returns `true` in two of four rounds, in which the queue delivers the message twice.
    fn is_duplicated(self) -> bool {
        self.round / 2 % 2 == 1
    }
}

struct Crashes {
    server: LocalSqs,
    client: Client,
    gate: Gate,
    bucket: Bucket,
    store: AmazonS3,
    prefix: String,
    scenario: Scenario,
    queues: Vec<Queue>,
    files: TempDir,
}

/// The queue of one round, with one message.
struct Queue {
    name: String,
    size: usize,
    /// The number of messages before any is acknowledged: one, or two with its duplicate.
    sent: usize,
    downloaded: bool,
}

impl Crashes {
    async fn new(bucket: Bucket, scenario: Scenario) -> anyhow::Result<Self> {
        let server = sqs_tests::strict().start().await?;
        Ok(Self {
            client: server.client()?,
            gate: Gate::before(server.endpoint()).await?,
            server,
            store: bucket.store()?,
            bucket,
            prefix: format!("{}/", unique("crash")),
            scenario,
            queues: Vec::new(),
            files: TempDir::new()?,
        })
    }

    /// Runs one process to its end and returns its steps.
    async fn round(&mut self, kill: Option<Kill>) -> anyhow::Result<Vec<String>> {
        let name = format!("round-{}", self.queues.len());
        let url = self.client.create_queue(&name).await?.queue_url;
        let mut queue = Queue {
            name,
            size: match self.scenario {
                Scenario::Send(size) => size,
                Scenario::Consume | Scenario::Sweep => SMALL,
            },
            sent: 1,
            downloaded: false,
        };
        self.server.faults().clear();
        if kill.is_some_and(Kill::is_duplicated) {
            let twice = Fault::on(Action::SendMessage, FaultKind::Duplicate);
            self.server.faults().add(twice);
            queue.sent = 2;
        }
        let file = self.files.path().join(&queue.name);
        let task = match self.scenario {
            Scenario::Send(size) => Task::Send(size),
            Scenario::Consume => {
                self.extended().send(&url, payload(queue.size)).await?;
                Task::Consume(file.clone())
            }
            Scenario::Sweep => {
                self.extended().send(&url, payload(queue.size)).await?;
                for number in 0..ORPHANS {
                    let key = child::old_key(&self.prefix, &queue.name, number);
                    self.store.put(&key, "an orphan".into()).await?;
                }
                Task::Sweep
            }
        };
        let orders = Orders {
            endpoint: self.gate.endpoint.clone(),
            queue: url.clone(),
            gate: self.gate.address.clone(),
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            task,
        };
        let steps = self.follow(&orders, &mut queue, kill).await?;
        for handle in self.gate.clear() {
            // Make the remaining messages visible. For deleted messages this fails.
            let _ = self
                .client
                .change_message_visibility(&url, handle, Duration::ZERO)
                .await;
        }
        self.check(&queue).await?;
        if file.exists() {
            let whole = std::fs::read_to_string(&file)? == payload(queue.size);
            ensure!(whole, "a file with the payload's name has other content");
        }
        self.queues.push(queue);
        Ok(steps)
    }

    async fn follow(&mut self, orders: &Orders, queue: &mut Queue, kill: Option<Kill>) -> anyhow::Result<Vec<String>> {
        let mut child = orders.start()?;
        let mut steps = Vec::new();
        loop {
            let step = tokio::select! {
                step = self.gate.step() => step?,
                ended = child.wait() => {
                    ensure!(ended?.success(), "the process failed by itself");
                                        // A kill may be too late for the last step, but not for the one it was meant for.
                    ensure!(kill.is_none_or(|kill| kill.step < steps.len()), "the process took fewer steps");
                    return Ok(steps);
                }
            };
            queue.downloaded |= step.name == "downloaded";
            if step.name == "before delete" && !matches!(self.scenario, Scenario::Sweep) {
                let remaining = self.view(queue)?.len();
                ensure!(remaining < queue.sent, "the payload is deleted before its message");
            }
            steps.push(step.name.clone());
            if let Some(kill) = kill
                && steps.len() > kill.step
            {
                if let Some(delay) = kill.delay() {
                    step.pass();
                    tokio::time::sleep(delay).await;
                    child.kill().await?;
                } else {
                    child.kill().await?;
                    drop(step);
                }
                return Ok(steps);
            }
            step.pass();
        }
    }

    /// Checks the invariants that hold whenever the process ended.
    async fn check(&self, queue: &Queue) -> Outcome {
        let pointers = self.pointers(queue)?;
        let is_untouched = match self.scenario {
            Scenario::Send(_) => false,
            Scenario::Consume => !queue.downloaded,
            Scenario::Sweep => true,
        };
        if is_untouched {
            ensure!(pointers.len() == queue.sent, "a message is lost");
        }
        let duplicate_of_acknowledged = matches!(self.scenario, Scenario::Consume) && pointers.len() < queue.sent;
        for pointer in pointers {
            let object = self.store.head(&Path::from(pointer.key)).await;
            ensure!(
                object.is_ok() || duplicate_of_acknowledged,
                "a message without its payload: {object:?}"
            );
        }
        Ok(())
    }

    /// Removes the orphans and returns their number.
    async fn sweep(&self) -> anyhow::Result<u64> {
        let pointed_to = self.queues.iter().map(|queue| self.pointers(queue));
        let pointed_to: Vec<Vec<Pointer>> = pointed_to.collect::<Result<_, _>>()?;
        let pointed_to: BTreeSet<String> = pointed_to.into_iter().flatten().map(|pointer| pointer.key).collect();
        let stored: BTreeSet<String> = keys(&self.store, &self.prefix).await?.into_iter().collect();
        let orphans = stored.difference(&pointed_to).count();
        // The store's clock has a resolution of one second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let sweep = Sweep::new(self.store.clone(), &*self.prefix, Duration::ZERO)?
            .keep(move |object| pointed_to.contains(object.location.as_ref()));
        let report = sweep.remove().await?;
        ensure!(
            report.removed.objects == orphans as u64,
            "{report:?} for {orphans} orphans"
        );
        Ok(report.removed.objects)
    }

    /// Consumes all messages. Each has its whole payload, except for duplicates of acknowledged messages. Afterwards
    /// the store is empty.
    async fn drain(&self) -> Outcome {
        let extended = self.extended();
        for queue in &self.queues {
            let mut acknowledged = queue.sent - self.view(queue)?.len().min(queue.sent);
            let url = self.server.queue_url(&queue.name);
            while !self.view(queue)?.is_empty() {
                let received = extended.receive(&url).wait_time(2 * child::HIDDEN_FOR).await?;
                let delivery = received.into_iter().next().context("a message is hidden")??;
                match delivery.text().await {
                    Ok(text) => ensure!(text == payload(queue.size), "a payload has changed"),
                    Err(error) => ensure!(error.is_missing_payload() && acknowledged > 0, "{error:?}"),
                }
                delivery.ack().await?;
                acknowledged += 1;
            }
        }
        ensure!(keys(&self.store, &self.prefix).await?.is_empty(), "payloads remain");
        Ok(())
    }

    fn extended(&self) -> ExtendedClient {
        extended(self.client.clone(), self.store.clone(), &self.prefix)
    }

    fn view(&self, queue: &Queue) -> anyhow::Result<QueueView> {
        self.server.queue(&queue.name).context("the queue")
    }

    /// Returns the pointers of the messages in the queue.
    fn pointers(&self, queue: &Queue) -> anyhow::Result<Vec<Pointer>> {
        let messages = self.view(queue)?.messages();
        let pointers = messages.iter().map(|message| Ok(message.body.parse()?));
        pointers.collect()
    }
}
