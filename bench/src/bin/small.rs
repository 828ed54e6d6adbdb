//! Measures what the large-payload layer costs a small message. The layer and the plain client each send, receive and
//! acknowledge messages against a server that responds at once. Contenders take turns, each in a process of its own on
//! one thread. Results are CPU times of the process.
//!
//! ```sh
//! cd bench && cargo run --release --bin small -- --pairs 9
//! ```

use anyhow::Context as _;
use bench::child;
use bench::measure::{Spread, cpu_time};
use bench::null_server::{self, MESSAGE_ID, QUEUE_URL};
use bench::transfer::BUCKET;
use bench::turns::take_turns;
use clap::{Parser, Subcommand, ValueEnum};
use futures::future::try_join_all;
use md5::{Digest as _, Md5};
use object_store::memory::InMemory;
use serde_json::json;
use sqs_client::Client;
use sqs_extended::ExtendedClient;

const BODY_BYTES: usize = 1024;

#[derive(Parser)]
#[command(about = "Measures what the large-payload layer costs a small message")]
struct Options {
    /// The number of turns of each contender
    #[arg(long, default_value_t = 9)]
    pairs: usize,
    /// The number of messages in a turn
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// The number of concurrent tasks
    #[arg(long, default_value_t = 16)]
    tasks: usize,
    #[command(subcommand)]
    child: Option<Role>,
}

/// The job of a child process.
#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Serve,
    #[command(hide = true)]
    Run(Run),
}

#[derive(clap::Args)]
struct Run {
    contender: Contender,
    address: String,
    messages: usize,
    tasks: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Contender {
    Plain,
    Extended,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            match options.child {
                Some(Role::Serve) => null_server::serve(response()).await,
                Some(Role::Run(run)) => run.measure().await,
                None => compare(&options).await,
            }
        })
}

fn body() -> String {
    "one of many ".repeat(BODY_BYTES / 12 + 1)[..BODY_BYTES].to_owned()
}

/// Returns one response for all three requests. Each parser skips the members of the other two.
fn response() -> String {
    let (id, body) = (MESSAGE_ID, body());
    let digest = hex::encode(Md5::digest(&body));
    json!({
        "MessageId": id,
        "MD5OfMessageBody": digest,
        "Messages": [{"MessageId": id, "ReceiptHandle": "h".repeat(180), "MD5OfBody": digest, "Body": body}],
    })
    .to_string()
}

async fn compare(options: &Options) -> anyhow::Result<()> {
    let (_server, address) = null_server::start(&["serve"]).await?;
    let names = ["plain", "extended"];
    let turns: Vec<Vec<f64>> = take_turns(names.len(), options.pairs, |contender| {
        let (messages, tasks) = (options.messages.to_string(), options.tasks.to_string());
        vec![
            "run".to_owned(),
            names[contender].to_owned(),
            address.clone(),
            messages,
            tasks,
        ]
    })
    .await?;
    let pairs: Vec<(f64, f64)> = turns[0].iter().copied().zip(turns[1].iter().copied()).collect();
    println!(
        "µs of CPU to send, receive and acknowledge a message of {BODY_BYTES} bytes: plain {:.1}, extended {:.1}",
        Spread::over(&pairs, |pair| pair.0).median,
        Spread::over(&pairs, |pair| pair.1).median,
    );
    println!(
        "extended / plain = {}, median of {} pairs",
        Spread::over(&pairs, |pair| pair.1 / pair.0),
        options.pairs
    );
    Ok(())
}

impl Run {
    /// Reports the CPU time per message in microseconds.
    async fn measure(&self) -> anyhow::Result<()> {
        let client = null_server::client(&self.address)?;
        let extended = ExtendedClient::builder(client.clone())
            .offload_to(InMemory::new(), BUCKET)
            .build()?;
        // Open the connections and warm up.
        self.messages(&client, &extended, self.messages / 10).await?;
        let before = cpu_time()?;
        self.messages(&client, &extended, self.messages).await?;
        let used = cpu_time()? - before;
        child::report(&(used.as_secs_f64() * 1e6 / self.messages as f64))
    }

    async fn messages(&self, client: &Client, extended: &ExtendedClient, count: usize) -> anyhow::Result<()> {
        let body = body();
        let tasks = (0..self.tasks).map(|task| {
            let (body, share) = (&body, (task..count).step_by(self.tasks).len());
            async move {
                for _ in 0..share {
                    match self.contender {
                        Contender::Plain => plain_round_trip(client, body).await?,
                        Contender::Extended => extended_round_trip(extended, body).await?,
                    }
                }
                anyhow::Ok(())
            }
        });
        try_join_all(tasks).await.map(drop)
    }
}

async fn plain_round_trip(client: &Client, body: &str) -> anyhow::Result<()> {
    client.send_message(QUEUE_URL, body).await?;
    let received = client.receive_message(QUEUE_URL).await?;
    let message = received
        .messages
        .into_iter()
        .next()
        .context("no message was received")?;
    anyhow::ensure!(message.body.len() == body.len());
    client.delete_message(QUEUE_URL, message.receipt_handle).await?;
    Ok(())
}

async fn extended_round_trip(extended: &ExtendedClient, body: &str) -> anyhow::Result<()> {
    extended.send(QUEUE_URL, body).await?;
    let received = extended.receive(QUEUE_URL).await?;
    let delivery = received.into_iter().next().context("no message was received")??;
    anyhow::ensure!(delivery.text().await?.len() == body.len());
    delivery.ack().await?;
    Ok(())
}
