//! Tests a consumer that is killed and restarted, on a faulty server: nothing is lost, and groups stay in order.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::types::QueueAttributeName;
use sqs_client::{Client, QueueAttributes};
use sqs_local::{Action, Fault, FaultKind};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::child::{CONCURRENCY, PREFETCH, TEST, VISIBILITY_TIMEOUT};
use super::{fast_retries, grouped, numbered, send};
use crate::child::Orders;
use crate::harness::{Harness, Outcome, client_of, name_of, unique};

/// The environment variable with the number of messages that each test sends to a standard and a FIFO queue together.
const MESSAGES: &str = "SQS_TEST_CONSUMER_MESSAGES";
const KILLS: usize = 5;
const GROUPS: usize = 100;
/// The consumer counts as stuck if it handles no message for this long.
const STUCK: Duration = Duration::from_secs(60);

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let name = name_of(&a_killed_consumer_loses_nothing);
    vec![
        harness.variant(&a_killed_consumer_loses_nothing, "sqs-local", on_a_faulty_server),
        harness.trial(format!("{name}::elasticmq"), |harness| {
            let server = harness.servers.elasticmq().map_err(Clone::clone)?;
            let client = client_of(server).build().expect("a client");
            let endpoint = server.endpoint().to_owned();
            Ok(Box::pin(a_killed_consumer_loses_nothing(
                client,
                endpoint,
                messages(1_000),
            )))
        }),
    ]
}

fn messages(default: usize) -> usize {
    let configured = std::env::var(MESSAGES).ok().and_then(|messages| messages.parse().ok());
    configured.unwrap_or(default)
}

async fn on_a_faulty_server() -> Outcome {
    let server = sqs_tests::strict().journal_capacity(0).start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    // A receive whose response is lost would hide messages from everybody, so its connections break before it.
    let lost_after = [Action::DeleteMessageBatch, Action::ChangeMessageVisibilityBatch];
    let faults = lost_after
        .map(|action| Fault::on(action, FaultKind::DropAfter))
        .into_iter()
        .chain(lost_after.map(|action| Fault::on(action, FaultKind::Throttle)))
        .chain(
            [FaultKind::DropBefore, FaultKind::Throttle, FaultKind::Duplicate]
                .map(|kind| Fault::on(Action::ReceiveMessage, kind)),
        );
    for fault in faults {
        server.faults().add(fault.probability(0.05));
    }
    a_killed_consumer_loses_nothing(client, server.endpoint(), messages(5_000)).await
}

async fn a_killed_consumer_loses_nothing(client: Client, endpoint: String, messages: usize) -> Outcome {
    let standard = client.create_queue(unique("killed")).await?.queue_url;
    let mut attributes = QueueAttributes::default();
    attributes.fifo_queue = Some(true);
    let name = format!("{}.fifo", unique("killed"));
    let fifo = client.create_queue(name).attributes(attributes).await?.queue_url;
    let each = messages / 2 / GROUPS;
    let total = 2 * each * GROUPS;
    send(&client, &standard, numbered(total / 2)).await?;
    send(&client, &fifo, grouped(GROUPS, each)).await?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let orders = Orders {
        test: TEST,
        endpoint,
        report_to: listener.local_addr()?.to_string(),
        queues: vec![standard, fifo],
    };
    let mut ledger = Ledger::default();
    let mut flight = Flight::default();
    let mut kills = 0;
    let begin = Instant::now();
    while kills <= KILLS {
        let last = kills == KILLS;
        let goal = if last { total } else { total * (kills + 1) / (KILLS + 1) };
        let mut child = orders.start()?;
        let (connection, _) = tokio::time::timeout(STUCK, listener.accept()).await??;
        let mut lines = BufReader::new(connection).lines();
        let mut open = HashMap::new();
        while ledger.handled() < goal {
            let line = tokio::time::timeout(STUCK, lines.next_line()).await??;
            ledger.note(&line.context("the child ended by itself")?, &mut open)?;
            flight.check(&client, &orders.queues).await?;
        }
        if last {
            empty(&client, &orders.queues, &mut lines).await?;
        }
        child.kill()?;
        flight.killed();
        // Lines that it reported before its end count.
        while let Ok(Some(line)) = lines.next_line().await {
            ledger.note(&line, &mut open)?;
        }
        kills += 1;
    }
    ledger.check(total / 2, each)?;
    eprintln!(
        "{total} messages handled {} times in {:?}; at most {} of {} in flight without a recent kill",
        ledger.times,
        begin.elapsed(),
        flight.most,
        CONCURRENCY + PREFETCH,
    );
    Ok(())
}

/// Waits until the queues are empty. Reads the child's reports meanwhile, so that it can continue.
async fn empty(client: &Client, queues: &[String], lines: &mut Lines<BufReader<TcpStream>>) -> Outcome {
    let reports = async { while let Ok(Some(_)) = lines.next_line().await {} };
    let emptied = async {
        for queue in queues {
            while in_queue(client, queue).await?.iter().sum::<u64>() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        () = reports => anyhow::bail!("the child ended by itself"),
        emptied = tokio::time::timeout(STUCK, emptied) => emptied.context("messages remain")?,
    }
}

/// Returns the numbers of visible and in-flight messages.
async fn in_queue(client: &Client, queue: &str) -> anyhow::Result<[u64; 2]> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let attributes = client.get_queue_attributes(queue, names).await?.attributes;
    let count = |count: Option<u64>| count.context("a count");
    Ok([
        count(attributes.approximate_number_of_messages)?,
        count(attributes.approximate_number_of_messages_not_visible)?,
    ])
}

/// The number of in-flight messages, as the server reports it.
#[derive(Default)]
struct Flight {
    kills: Vec<Instant>,
    checked: Option<Instant>,
    /// The maximum while no killed consumer's messages were hidden.
    most: u64,
}

impl Flight {
    fn killed(&mut self) {
        self.kills.push(Instant::now());
    }

    /// Checks the numbers, at most every 10 ms.
    async fn check(&mut self, client: &Client, queues: &[String]) -> Outcome {
        if self
            .checked
            .is_some_and(|checked| checked.elapsed() < Duration::from_millis(10))
        {
            return Ok(());
        }
        // Messages of a killed consumer stay hidden for the visibility timeout after their last extension.
        let hidden = VISIBILITY_TIMEOUT + Duration::from_secs(1);
        let recent_kills = self.kills.iter().filter(|kill| kill.elapsed() < hidden).count();
        for queue in queues {
            let [_, in_flight] = in_queue(client, queue).await?;
            let bound = (CONCURRENCY + PREFETCH) * (1 + recent_kills);
            ensure!(
                in_flight <= bound as u64,
                "{in_flight} in flight, including those of {recent_kills} killed consumers"
            );
            if recent_kills == 0 {
                self.most = self.most.max(in_flight);
            }
        }
        self.checked = Some(Instant::now());
        Ok(())
    }
}

/// The messages that the children handled.
#[derive(Default)]
struct Ledger {
    /// The number of handlings by queue, group and body.
    handled: HashMap<(usize, String, usize), u32>,
    times: u32,
    /// The number of consecutive messages that were handled, by group.
    groups: HashMap<String, usize>,
}

impl Ledger {
    fn handled(&self) -> usize {
        self.handled.len()
    }

    /// Notes a report. `open` contains the groups of which this child is handling a message.
    fn note(&mut self, line: &str, open: &mut HashMap<String, usize>) -> Outcome {
        let words: Vec<&str> = line.split(' ').collect();
        let [step, queue, group, number] = words[..] else {
            // The kill cut the line off.
            return Ok(());
        };
        let (queue, number): (usize, usize) = (queue.parse()?, number.parse()?);
        let in_order = queue == 1;
        if in_order && step == "b" {
            let other = open.insert(group.to_owned(), number);
            ensure!(other.is_none(), "{group}: {number} began during {other:?}");
        } else if in_order {
            ensure!(
                open.remove(group) == Some(number),
                "{group}: {number} ended before it began"
            );
        }
        if step == "h" {
            self.times += 1;
            *self.handled.entry((queue, group.to_owned(), number)).or_default() += 1;
        }
        if in_order && step == "h" {
            let next = self.groups.entry(group.to_owned()).or_default();
            ensure!(number <= *next, "{group}: {number} was handled when {next} was next");
            *next = (*next).max(number + 1);
        }
        Ok(())
    }

    fn check(&self, standard: usize, each: usize) -> Outcome {
        let of_standard = self.handled.keys().filter(|(queue, ..)| *queue == 0).count();
        ensure!(of_standard == standard, "{of_standard} of {standard}");
        ensure!(self.groups.len() == GROUPS && self.groups.values().all(|handled| *handled == each));
        Ok(())
    }
}
