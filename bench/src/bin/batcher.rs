//! Compares the batcher with single sends of aws-sdk-sqs, in pairs that take turns. The same number of tasks send the same
//! messages to the same server. sqs-local runs on a runtime of its own and checks no signatures, so that
//! it uses as little of the time as possible.
//!
//! ```sh
//! cd bench && cargo run --release --bin batcher -- --messages 20000 --pairs 5
//! ```

use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials as SdkCredentials, Region};
use bench::measure::Spread;
use clap::Parser;
use futures::future;
use sqs_client::Client;
use sqs_local::{ACCESS_KEY_ID, Action, DEFAULT_REGION, LocalSqs, SECRET_ACCESS_KEY};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

#[derive(Clone, Copy, Parser)]
#[command(about = "Compares the batcher with single sends of aws-sdk-sqs")]
struct Options {
    /// The number of messages in a run
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// The number of concurrent tasks
    #[arg(long, default_value_t = 64)]
    tasks: usize,
    /// The size of a message's body in bytes
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// The number of measured pairs
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

/// The time and the requests for all messages.
struct Run {
    time: Duration,
    requests: u64,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let server_runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = LocalSqs::builder().verify_signatures(false).journal_capacity(0);
    let server = server_runtime.block_on(server.start())?;
    Runtime::new()?.block_on(compare(&server, options))
}

async fn compare(server: &LocalSqs, options: Options) -> anyhow::Result<()> {
    let client = server.client()?;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(DEFAULT_REGION))
        .endpoint_url(server.endpoint())
        .credentials_provider(SdkCredentials::new(
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            None,
            None,
            "static",
        ))
        .build();
    let sdk = aws_sdk_sqs::Client::from_conf(config);

    let (mut rates, mut requests, mut fills) = (Vec::new(), Vec::new(), Vec::new());
    // Pair 0 warms up.
    for pair in 0..=options.pairs {
        let theirs = singles(server, &client, &sdk, options).await?;
        let ours = batched(server, &client, options).await?;
        let rate = |run: &Run| options.messages as f64 / run.time.as_secs_f64();
        let fill = options.messages as f64 / ours.requests as f64;
        println!(
            "pair {pair}: aws-sdk-sqs {:.0} messages/s in {} requests, batcher {:.0} in {} ({fill:.2} per batch){}",
            rate(&theirs),
            theirs.requests,
            rate(&ours),
            ours.requests,
            if pair == 0 { " (warm-up, not counted)" } else { "" }
        );
        if pair > 0 {
            rates.push(rate(&ours) / rate(&theirs));
            requests.push(theirs.requests as f64 / ours.requests as f64);
            fills.push(fill);
        }
    }
    print("messages/s, batcher / aws-sdk-sqs", &rates);
    print("requests, aws-sdk-sqs / batcher", &requests);
    print("entries per batch", &fills);
    Ok(())
}

fn print(metric: &str, values: &[f64]) {
    let spread = Spread::over(values, |value| *value);
    println!("{metric} = {spread}, median of {}", values.len());
}

async fn singles(
    server: &LocalSqs,
    client: &Client,
    sdk: &aws_sdk_sqs::Client,
    options: Options,
) -> anyhow::Result<Run> {
    let sdk = sdk.clone();
    run(server, client, Action::SendMessage, options, move |queue, body| {
        let sdk = sdk.clone();
        async move {
            let sent = sdk.send_message().queue_url(queue).message_body(body).send().await?;
            anyhow::ensure!(sent.message_id().is_some());
            Ok(())
        }
    })
    .await
}

async fn batched(server: &LocalSqs, client: &Client, options: Options) -> anyhow::Result<Run> {
    let batcher = client.batcher(server.queue_url("bench")).build();
    run(server, client, Action::SendMessageBatch, options, move |_, body| {
        let batcher = batcher.clone();
        async move {
            batcher.send(body).await?;
            Ok(())
        }
    })
    .await
}

/// Creates a queue, and sends all messages to it. Each task sends its share, one message at a time.
async fn run<F>(
    server: &LocalSqs,
    client: &Client,
    action: Action,
    options: Options,
    send: impl Fn(String, String) -> F + Clone + Send + 'static,
) -> anyhow::Result<Run>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let queue = client.create_queue("bench").await?.queue_url;
    server.forget_requests();
    let begin = Instant::now();
    let tasks = (0..options.tasks).map(|task| {
        let (send, queue) = (send.clone(), queue.clone());
        tokio::spawn(async move {
            for _ in (task..options.messages).step_by(options.tasks) {
                send(queue.clone(), "x".repeat(options.bytes)).await?;
            }
            anyhow::Ok(())
        })
    });
    for ended in future::join_all(tasks.collect::<Vec<_>>()).await {
        ended??;
    }
    let time = begin.elapsed();
    let arrived = server.queue("bench").map(|queue| queue.len());
    anyhow::ensure!(arrived == Some(options.messages), "{arrived:?} messages arrived");
    client.delete_queue(queue).await?;
    let requests = server.count(action);
    Ok(Run { time, requests })
}
