//! What the large-payload layer costs a small message: sent, received and acknowledged by it and by the plain client,
//! against a server that answers at once. CPU time of the process, each contender in one of its own on one thread; they
//! take turns.
//!
//! ```sh
//! cd bench && cargo run --release --bin small -- --pairs 9
//! ```

use anyhow::Context as _;
use bench::figures::{Spread, cpu_time};
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
#[command(about = "What the large-payload layer costs a small message")]
struct Options {
    /// How many times each contender has its turn.
    #[arg(long, default_value_t = 9)]
    pairs: usize,
    /// Messages a turn.
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// Messages at a time.
    #[arg(long, default_value_t = 16)]
    tasks: usize,
    #[command(subcommand)]
    child: Option<Role>,
}

/// What the program is as a child of itself.
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
                Some(Role::Serve) => null_server::serve(answer()).await,
                Some(Role::Run(run)) => run.measure().await,
                None => compare(&options).await,
            }
        })
}

fn body() -> String {
    "one of many ".repeat(BODY_BYTES / 12 + 1)[..BODY_BYTES].to_owned()
}

/// To all three requests: each has members that the others skip.
fn answer() -> String {
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
        "a message of {BODY_BYTES} bytes sent, received and acknowledged, µs of CPU: plain {:.1}, extended {:.1}",
        Spread::of(&pairs, |pair| pair.0).median,
        Spread::of(&pairs, |pair| pair.1).median,
    );
    println!(
        "extended / plain = {}, median of {} pairs",
        Spread::of(&pairs, |pair| pair.1 / pair.0),
        options.pairs
    );
    Ok(())
}

impl Run {
    /// Prints the microseconds of CPU a message.
    async fn measure(&self) -> anyhow::Result<()> {
        let client = null_server::client(&self.address)?;
        let extended = ExtendedClient::builder(client.clone())
            .offload_to(InMemory::new(), BUCKET)
            .build()?;
        // Connects and warms up.
        self.messages(&client, &extended, self.messages / 10).await?;
        let before = cpu_time()?;
        self.messages(&client, &extended, self.messages).await?;
        let taken = cpu_time()? - before;
        println!("{}", taken.as_secs_f64() * 1e6 / self.messages as f64);
        Ok(())
    }

    async fn messages(&self, client: &Client, extended: &ExtendedClient, count: usize) -> anyhow::Result<()> {
        let body = body();
        let tasks = (0..self.tasks).map(|task| {
            let (body, share) = (&body, (task..count).step_by(self.tasks).len());
            async move {
                for _ in 0..share {
                    match self.contender {
                        Contender::Plain => plain(client, body).await?,
                        Contender::Extended => through(extended, body).await?,
                    }
                }
                anyhow::Ok(())
            }
        });
        try_join_all(tasks).await.map(drop)
    }
}

async fn plain(client: &Client, body: &str) -> anyhow::Result<()> {
    client.send_message(QUEUE_URL, body).await?;
    let received = client.receive_message(QUEUE_URL).await?;
    let message = received.messages.into_iter().next().context("a message")?;
    anyhow::ensure!(message.body.len() == body.len());
    client.delete_message(QUEUE_URL, message.receipt_handle).await?;
    Ok(())
}

async fn through(extended: &ExtendedClient, body: &str) -> anyhow::Result<()> {
    extended.send(QUEUE_URL, body).await?;
    let received = extended.receive(QUEUE_URL).await?;
    let delivery = received.into_iter().next().context("a message")??;
    anyhow::ensure!(delivery.text().await?.len() == body.len());
    delivery.ack().await?;
    Ok(())
}
