//! Tests consumers in child processes that compete for the segments of a standard queue and are killed in turn. All
//! payloads arrive unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use libtest_mimic::Trial;
use sqs_client::Client;
use tokio::time::Instant;

use super::payloads::{Payload, encoding, send_all};
use crate::child::{ChildProcess, Orders, Report};
use crate::consumer::fast_retries;
use crate::harness::{Harness, Outcome};

pub const TEST: &str = "segments";

const CONSUMERS: usize = 4;
/// The environment variable with the number of payloads.
const PAYLOADS: &str = "SQS_TEST_COMPETING_PAYLOADS";
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(4);
/// The least time between kills.
const KILL_INTERVAL: Duration = Duration::from_secs(5);
/// The least number of payloads between kills. A busy machine would otherwise spend its time on killed work.
const PAYLOADS_PER_KILL: usize = 4;
/// The consumers count as stuck if no payload arrives for this long.
const STUCK: Duration = Duration::from_secs(120);

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![harness.test(killed_consumers_lose_no_payload)]
}

/// Consumes in a child, and reports every received message and every complete payload.
pub async fn consume(client: Client, queues: &[&str], report: Report) -> Outcome {
    let queue = *queues.first().context("a queue")?;
    let receives_report = report.clone();
    encoding(client)?
        .consumer(queue)
        .competing_consumers(u32::try_from(CONSUMERS)?)
        .configure(|consumer| {
            consumer
                .visibility_timeout(VISIBILITY_TIMEOUT)
                .wait_time(Duration::from_secs(1))
                .backoff(Duration::ZERO, Duration::ZERO)
                .wrap_handler(move |delivery, handling| {
                    receives_report.send(&format!(
                        "received {} {}",
                        delivery.message().message_id,
                        delivery.receive_count()
                    ));
                    handling
                })
        })
        .run(std::future::pending::<()>(), move |delivery| {
            let report = report.clone();
            async move {
                match Payload::received(&delivery).await {
                    Ok(payload) => report.send(&format!("payload {} {}", payload.number, payload.size)),
                    Err(error) => report.send(&format!("changed {error:#}")),
                }
                Ok::<(), std::convert::Infallible>(())
            }
        })
        .await?;
    Ok(())
}

async fn killed_consumers_lose_no_payload() -> Outcome {
    let count = std::env::var(PAYLOADS).ok().and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(30);
    let server = sqs_tests::strict().journal_capacity(0).start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    let payloads = Payload::several(count, 300 * 1024, 8192 * 1024);
    send_all(&client, &queue, &payloads).await?;
    let view = server.queue("q").context("the queue exists")?;
    let segments = view.len();

    let (orders, mut lines) = Orders::with_reports(TEST, server.endpoint(), queue).await?;
    let begin = Instant::now();
    let mut ledger = Ledger::default();
    let mut children: Vec<ChildProcess> = (0..CONSUMERS).map(|_| orders.start()).collect::<anyhow::Result<_>>()?;
    let (mut kills, mut last_kill, mut last_news) = (0, begin, begin);
    let mut next_kill_at = 0;
    while !view.is_empty() {
        while let Ok(line) = lines.try_recv() {
            if ledger.note(&line)? {
                last_news = Instant::now();
            }
        }
        ensure!(
            last_news.elapsed() < STUCK,
            "{} of {count} arrived; {} messages remain",
            ledger.arrived.len(),
            view.len()
        );
        if last_kill.elapsed() > KILL_INTERVAL && ledger.arrived.len() >= next_kill_at {
            let child = &mut children[kills % CONSUMERS];
            child.kill()?;
            *child = orders.start()?;
            (kills, last_kill) = (kills + 1, Instant::now());
            next_kill_at = ledger.arrived.len() + PAYLOADS_PER_KILL;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(children);
    // Lines that the children reported before their ends count.
    drop(orders);
    while let Ok(Some(line)) = tokio::time::timeout(Duration::from_secs(1), lines.recv()).await {
        ledger.note(&line)?;
    }
    let sent: BTreeSet<Payload> = payloads.iter().copied().collect();
    ensure!(ledger.arrived.keys().copied().collect::<BTreeSet<_>>() == sent);
    let mut receives: Vec<u32> = ledger.receives.values().copied().collect();
    receives.sort_unstable();
    ensure!(receives.len() == segments, "a segment was never received");
    let (least, median, most) = (receives[0], receives[segments / 2], receives[segments - 1]);
    eprintln!(
        "{count} payloads in {segments} segments handled {} times by {CONSUMERS} consumers in {:?}, {kills} kills; \
         receives of a segment: at least {least}, median {median}, at most {most}",
        ledger.arrived.values().sum::<u32>(),
        begin.elapsed()
    );
    ensure!(kills > 0, "no consumer was killed");
    // A kill hides segments for a while. Meanwhile the consumers receive and return the rest of their payloads.
    ensure!(
        median <= 8 && most as usize <= (30 + 3 * kills).min(60),
        "segments are received too often: median {median}, at most {most}"
    );
    Ok(())
}

#[derive(Default)]
struct Ledger {
    /// The number of handlings of each payload.
    arrived: BTreeMap<Payload, u32>,
    /// The highest receive count of each message, by id.
    receives: BTreeMap<String, u32>,
}

impl Ledger {
    /// Notes a report. Returns `true` if a payload arrived for the first time.
    fn note(&mut self, line: &str) -> anyhow::Result<bool> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["received", id, count] => {
                let most = self.receives.entry(id.to_owned()).or_default();
                *most = count.parse::<u32>().unwrap_or(0).max(*most);
                Ok(false)
            }
            ["payload", number, size] => {
                let payload = format!("{number} {size}").parse()?;
                let times = self.arrived.entry(payload).or_default();
                *times += 1;
                Ok(*times == 1)
            }
            ["changed", ..] => bail!("{line}"),
            // The kill cut the line off.
            _ => Ok(false),
        }
    }
}
