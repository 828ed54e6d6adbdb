//! Compares the consumer with a hand-written loop that receives 10 messages, handles them and deletes them in one
//! batch. Both handle the same messages, in pairs that take turns. The server is a process of its own. Both request the
//! same attributes, because a real program's loop needs the receive count too. Ratios are of CPU time per message: the
//! consumer's over the loop's.
//!
//! ```sh
//! cd bench && cargo run --release --bin consumer -- --messages 50000 --pairs 7
//! cd bench && cargo run --release --bin consumer -- --soak-minutes 10
//! ```

mod soak;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bench::child;
use bench::measure::{Spread, cpu_time};
use clap::Parser;
use sqs_client::types::MessageSystemAttributeName;
use sqs_client::{Client, Consumer};
use sqs_local::{Fault, FaultKind};
use tokio::sync::Notify;

#[derive(Clone, Copy, Parser)]
#[command(about = "Compares the consumer with a hand-written loop")]
struct Options {
    /// The number of messages in a run
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// The number of measured pairs
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// The size of a message's body in bytes
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// The number of concurrent handlers of the consumer. The loop handles 10 messages per receive
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Runs a steady load for this many minutes instead of pairs, with 2% each of throttling, resets before and after
    /// processing, and duplicates
    #[arg(long)]
    soak_minutes: Option<u64>,
    /// Run on a single thread
    #[arg(long)]
    current_thread: bool,
    /// Run as the server
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut runtime = match options.current_thread && !options.serve {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<()> {
    if options.serve {
        let server = sqs_tests::strict().journal_capacity(0).start().await?;
        if options.soak_minutes.is_some() {
            let kinds = [
                FaultKind::Throttle,
                FaultKind::DropBefore,
                FaultKind::DropAfter,
                FaultKind::Duplicate,
            ];
            for kind in kinds {
                server.faults().add(Fault::any(kind).probability(0.02));
            }
        }
        child::announce(&server.endpoint());
        // The server runs until the parent ends.
        return std::future::pending().await;
    }
    let mut server = child::command()?;
    server.args(std::env::args().skip(1)).arg("--serve");
    let (_server, endpoint) = child::serve(server).await?;
    let client = sqs_local::client_builder(endpoint).build()?;
    let queue = client.create_queue("bench").await?.queue_url;
    if let Some(minutes) = options.soak_minutes {
        return soak::run(&client, &queue, minutes, options.bytes, options.concurrency).await;
    }
    let mut ratios = Vec::new();
    // Pair 0 warms up.
    for pair in 0..=options.pairs {
        fill(&client, &queue, options).await?;
        let by_hand = cpu(by_hand(&client, &queue, options.messages)).await?;
        fill(&client, &queue, options).await?;
        let consumer = cpu(consumer(&client, &queue, options)).await?;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / options.messages as f64;
        println!(
            "pair {pair}: by hand {:.2} µs, consumer {:.2} µs of CPU per message{}",
            each(by_hand),
            each(consumer),
            if pair == 0 { " (warm-up, not counted)" } else { "" }
        );
        if pair > 0 {
            ratios.push(each(consumer) / each(by_hand));
        }
    }
    let ratio = Spread::over(&ratios, |ratio| *ratio);
    println!("consumer / by hand = {ratio}, median of {}", ratios.len());
    Ok(())
}

async fn fill(client: &Client, queue: &str, options: Options) -> anyhow::Result<()> {
    let body = "x".repeat(options.bytes);
    let messages = (0..options.messages).map(move |_| body.clone());
    client
        .send_messages(queue, messages)
        .await
        .into_iter()
        .try_for_each(|sent| sent.map(drop))?;
    Ok(())
}

/// Returns the CPU time that this process uses for `work`.
async fn cpu(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Duration> {
    let before = cpu_time()?;
    work.await?;
    Ok(cpu_time()? - before)
}

async fn handle(body: &str) -> Result<(), std::io::Error> {
    std::hint::black_box(body.len());
    Ok(())
}

/// The system attributes that the consumer requests.
const SYSTEM_ATTRIBUTES: [MessageSystemAttributeName; 5] = [
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::SentTimestamp,
    MessageSystemAttributeName::MessageGroupId,
    MessageSystemAttributeName::MessageDeduplicationId,
    MessageSystemAttributeName::AwsTraceHeader,
];

async fn by_hand(client: &Client, queue: &str, messages: usize) -> anyhow::Result<()> {
    let mut deleted = 0;
    while deleted < messages {
        let received = client
            .receive_message(queue)
            .max_messages(10)
            .wait_time(Duration::from_secs(20))
            .visibility_timeout(Consumer::DEFAULT_VISIBILITY_TIMEOUT)
            .message_attribute_names(["All"])
            .message_system_attribute_names(SYSTEM_ATTRIBUTES)
            .await?;
        let mut handles = Vec::with_capacity(10);
        for message in received.messages {
            handle(&message.body).await?;
            handles.push(message.receipt_handle);
        }
        for result in client.delete_messages(queue, handles).await {
            result?;
            deleted += 1;
        }
    }
    Ok(())
}

async fn consumer(client: &Client, queue: &str, options: Options) -> anyhow::Result<()> {
    let handled = Arc::new(AtomicUsize::new(0));
    let all = Arc::new(Notify::new());
    let (count, done) = (handled.clone(), all.clone());
    let consumer = client
        .consumer(queue)
        .concurrency(options.concurrency)
        .wait_time(Duration::ZERO);
    consumer
        .run(all.notified(), move |delivery| {
            let (count, done) = (count.clone(), done.clone());
            async move {
                handle(&delivery.message().body).await?;
                if count.fetch_add(1, Ordering::Relaxed) + 1 == options.messages {
                    done.notify_one();
                }
                Ok::<_, std::io::Error>(())
            }
        })
        .await?;
    Ok(())
}
