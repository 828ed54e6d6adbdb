//! The consumer beside a loop written by hand: receive 10, handle them, delete them in one batch. Both handle the same
//! messages from the same server, which is a process of its own, in pairs that take turns. Both ask for the same
//! attributes: a loop of a real program needs to know how often a message was received, too. Ratios are of CPU time a
//! message, the consumer's over the loop's.
//!
//! ```sh
//! cd bench && cargo run --release --bin consumer -- --messages 50000 --pairs 7
//! cd bench && cargo run --release --bin consumer -- --soak-minutes 10
//! ```

mod soak;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use sqs_client::types::MessageSystemAttributeName;
use sqs_client::{Client, Consumer};
use sqs_tests::embedded::{self, EmbeddedServer, Fault, FaultKind};
use tokio::sync::Notify;

#[derive(Clone, Copy, Parser)]
struct Options {
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// The consumer's; the loop handles 10 at a time.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Instead of the pairs: steady load for so long, with 2% each of throttles, resets and duplicates.
    #[arg(long)]
    soak_minutes: Option<u64>,
    /// All on one thread.
    #[arg(long)]
    current_thread: bool,
    /// Is the server.
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
        let server = EmbeddedServer::builder().journal_capacity(0).start().await?;
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
        println!("{}", server.endpoint());
        std::io::stdin().read_to_end(&mut Vec::new())?;
        return Ok(());
    }
    let (_server, endpoint) = start_server()?;
    let client = embedded::client_builder(endpoint).build()?;
    let queue = client.create_queue("bench").await?.queue_url;
    if let Some(minutes) = options.soak_minutes {
        return soak::run(&client, &queue, minutes, options.bytes, options.concurrency).await;
    }
    let mut ratios = Vec::new();
    // The first pair warms up.
    for pair in 0..=options.pairs {
        fill(&client, &queue, options).await?;
        let by_hand = cpu(by_hand(&client, &queue, options.messages)).await?;
        fill(&client, &queue, options).await?;
        let consumer = cpu(consumer(&client, &queue, options)).await?;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / options.messages as f64;
        println!(
            "pair {pair}: by hand {:.2} µs, consumer {:.2} µs of CPU a message{}",
            each(by_hand),
            each(consumer),
            if pair == 0 { " (not counted)" } else { "" }
        );
        if pair > 0 {
            ratios.push(each(consumer) / each(by_hand));
        }
    }
    ratios.sort_by(f64::total_cmp);
    let (min, median, max) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    println!(
        "consumer / by hand = {median:.3} (median of {}; {min:.3} to {max:.3})",
        ratios.len()
    );
    Ok(())
}

fn start_server() -> anyhow::Result<(Child, String)> {
    let mut server = Command::new(std::env::current_exe()?)
        .args(std::env::args().skip(1))
        .arg("--serve")
        .stdin(Stdio::piped()) // it ends with this process
        .stdout(Stdio::piped())
        .spawn()?;
    let mut endpoint = String::new();
    BufReader::new(server.stdout.take().context("piped")?).read_line(&mut endpoint)?;
    Ok((server, endpoint.trim().to_owned()))
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

/// This process's CPU time for it.
async fn cpu(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Duration> {
    let used = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        anyhow::Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
    };
    let before = used()?;
    work.await?;
    Ok(used()? - before)
}

async fn handle(body: &str) -> Result<(), std::io::Error> {
    std::hint::black_box(body.len());
    Ok(())
}

/// What the consumer asks for.
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
