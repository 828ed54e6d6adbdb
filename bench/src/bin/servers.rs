//! Compares sqs-local with ElasticMQ, moto and GoAws: messages per second, start-up time and memory.
//!
//! In each round, each server is started, warmed up and measured in turn. The same client sends, receives and deletes messages
//! in 16 tasks. It runs on the same machine, so the rates include its own work.
//!
//! ```sh
//! cd bench && cargo run --release --bin servers -- --rounds 5
//! ```

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bench::measure::{Spread, peak_memory_mib};
use clap::Parser;
use futures::future;
use sqs_client::{Client, Credentials, Protocol};
use sqs_tests::servers::{Server, Servers, Unavailable};
use tokio::time::Instant;

#[derive(Clone, Copy, Parser)]
#[command(about = "Compares sqs-local with other SQS servers")]
struct Options {
    /// The number of measured rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The measured time of each server in a round, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The time before that in which the server is used but not measured, in seconds
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// The number of concurrent tasks
    #[arg(long, default_value_t = 16)]
    tasks: usize,
    /// The size of a message's body in bytes
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
}

type Start = fn(&Servers) -> Result<&Server, &Unavailable>;

/// The contenders. The first is ours.
const CONTENDERS: [(&str, Start); 4] = [
    ("sqs-local", Servers::sqs_local_release),
    ("ElasticMQ", Servers::elasticmq),
    ("moto", Servers::moto),
    ("GoAws", Servers::goaws),
];

/// The results of one server in one round.
struct Run {
    messages_per_second: f64,
    start_ms: f64,
    memory_mib: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut runs: [Vec<Run>; CONTENDERS.len()] = Default::default();
    for round in 0..options.rounds {
        for position in 0..CONTENDERS.len() {
            // The order rotates, so that no contender is always first.
            let contender = (round + position) % CONTENDERS.len();
            let run = measure(CONTENDERS[contender].1, options).await?;
            println!(
                "round {round}: {} {:.0} messages/s, start {:.0} ms, memory {} MiB",
                CONTENDERS[contender].0, run.messages_per_second, run.start_ms, run.memory_mib
            );
            runs[contender].push(run);
        }
    }
    for ((name, _), runs) in CONTENDERS.iter().zip(&runs) {
        println!(
            "{name} messages/s: {}",
            Spread::over(runs, |run| run.messages_per_second)
        );
        println!("{name} start ms: {}", Spread::over(runs, |run| run.start_ms));
        println!("{name} memory MiB: {}", Spread::over(runs, |run| run.memory_mib as f64));
    }
    let [ours, others @ ..] = &runs;
    for ((name, _), theirs) in CONTENDERS.iter().skip(1).zip(others) {
        let pairs = ours.iter().zip(theirs);
        let ratios: Vec<f64> = pairs
            .map(|(our, their)| our.messages_per_second / their.messages_per_second)
            .collect();
        println!(
            "messages/s, sqs-local over {name}: {}",
            Spread::over(&ratios, |ratio| *ratio)
        );
    }
    Ok(())
}

/// Starts a server, and measures it.
async fn measure(start: Start, options: Options) -> anyhow::Result<Run> {
    // A set of its own, so that each round starts a new process.
    let servers = Servers::new();
    let server = tokio::task::block_in_place(|| start(&servers).map_err(Clone::clone))?;
    let start_time = server.start_time().context("the server was not started here")?;
    let process = server.process_id().context("the server was not started here")?;
    let client = Client::builder()
        .endpoint_url(server.endpoint())
        .region(server.region())
        .credentials(Credentials::new(server.access_key(), server.secret_key()))
        .protocol(Protocol::Auto)
        .build()?;
    let queue = client.create_queue("bench").await?.queue_url;
    work(&client, &queue, options, options.warm_up).await?;
    let begin = Instant::now();
    let messages = work(&client, &queue, options, options.seconds).await?;
    Ok(Run {
        messages_per_second: messages as f64 / begin.elapsed().as_secs_f64(),
        start_ms: start_time.as_secs_f64() * 1000.0,
        memory_mib: peak_memory_mib(&process.to_string())?,
    })
}

/// Sends, receives and deletes messages for this time, and returns their number.
async fn work(client: &Client, queue: &str, options: Options, seconds: u64) -> anyhow::Result<u64> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let tasks = (0..options.tasks).map(|_| {
        let (client, queue, body) = (client.clone(), queue.to_owned(), "x".repeat(options.bytes));
        tokio::spawn(async move {
            let mut messages = 0;
            while Instant::now() < end {
                client.send_message(&queue, body.as_str()).await?;
                messages += settle_one(&client, &queue, body.len()).await?;
            }
            anyhow::Ok(messages)
        })
    });
    let mut messages = 0;
    for counted in future::join_all(tasks).await {
        messages += counted??;
    }
    Ok(messages)
}

/// Receives and deletes a message. Returns the number of messages, which is 0 if another task was faster.
async fn settle_one(client: &Client, queue: &str, bytes: usize) -> anyhow::Result<u64> {
    let received = client.receive_message(queue).await?.messages;
    for message in &received {
        ensure!(message.body.len() == bytes, "another message arrived");
        client.delete_message(queue, &message.receipt_handle).await?;
    }
    Ok(received.len() as u64)
}
