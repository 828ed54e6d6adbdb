//! Payloads sent in segments beside the same bytes cut by hand and sent by the plain client's batches, against a server that
//! answers at once: goodput, CPU time and the most memory. Each contender runs in a process of its own on one thread; they
//! take turns.
//!
//! ```sh
//! cd bench && cargo run --release --bin split -- --pairs 5
//! ```

use std::process::Stdio;

use anyhow::Context as _;
use bench::figures::{Spread, cpu_time, peak_memory};
use bench::null_server;
use bytes::Bytes;
use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqs_client::{Client, Credentials, MessageAttributeValue, OutgoingMessage};
use sqs_extended::{ExtendedClient, Strategy};
use tokio::process::Command;
use tokio::time::Instant;

const QUEUE_URL: &str = "http://127.0.0.1/000000000000/bench";
/// What fits into a message of 256 KiB beside a segment's header.
const PIECE: usize = 261_000;
/// So many pieces fit into a batch, and a payload is so many batches, all alike: the server knows one answer.
const BATCH: usize = 4;
const BATCHES: usize = 8;
const PAYLOAD_BYTES: usize = PIECE * BATCH * BATCHES;
const PAYLOAD_MIB: f64 = PAYLOAD_BYTES as f64 / 1024.0 / 1024.0;

#[derive(Parser)]
struct Options {
    /// How many times each contender has its turn.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Payloads a turn, one after the other.
    #[arg(long, default_value_t = 100)]
    payloads: usize,
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
    kind: Kind,
    address: String,
    payloads: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Contender {
    Split,
    ByHand,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Text,
    Binary,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Figures {
    /// MiB a second.
    goodput: f64,
    /// Milliseconds of CPU for a MiB.
    cpu: f64,
    /// MiB.
    peak: u64,
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

/// To every batch.
fn answer() -> String {
    let entry = |id: usize| json!({"Id": id.to_string(), "MessageId": "5fea7756-0ea4-451a-a703-a558b933e274"});
    json!({"Successful": (0..BATCH).map(entry).collect::<Vec<_>>(), "Failed": []}).to_string()
}

async fn compare(options: &Options) -> anyhow::Result<()> {
    let (_server, address) = null_server::start(&["serve"]).await?;
    for kind in ["text", "binary"] {
        let mut pairs = Vec::new();
        for turn in 0..=options.pairs {
            // Nobody is always first.
            let pair = if turn % 2 == 0 {
                let split = take_turn("split", kind, &address, options).await?;
                (split, take_turn("by-hand", kind, &address, options).await?)
            } else {
                let by_hand = take_turn("by-hand", kind, &address, options).await?;
                (take_turn("split", kind, &address, options).await?, by_hand)
            };
            // The first pair warms up.
            if turn > 0 {
                pairs.push(pair);
            }
        }
        println!(
            "{kind}: {} turns of {} payloads of {:.1} MiB",
            options.pairs, options.payloads, PAYLOAD_MIB
        );
        let (split, by_hand): (Vec<Figures>, Vec<Figures>) = pairs.iter().copied().unzip();
        for (name, figures) in [("split", split), ("by hand", by_hand)] {
            println!(
                "  {name:<8} {:>6.0} MiB/s, {:.3} ms of CPU a MiB, {:.0} MiB at the most",
                Spread::of(&figures, |figures| figures.goodput).median,
                Spread::of(&figures, |figures| figures.cpu).median,
                Spread::of(&figures, |figures| figures.peak as f64).max,
            );
        }
        let ratio =
            |figure: fn(&Figures) -> f64| Spread::of(&pairs, |(split, by_hand)| figure(split) / figure(by_hand));
        println!(
            "  split / by hand: goodput {}, CPU {}",
            ratio(|figures| figures.goodput),
            ratio(|figures| figures.cpu)
        );
    }
    Ok(())
}

async fn take_turn(contender: &str, kind: &str, address: &str, options: &Options) -> anyhow::Result<Figures> {
    let output = Command::new(std::env::current_exe()?)
        .args(["run", contender, kind, address])
        .args([options.payloads.to_string()])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "{contender} failed: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl Run {
    async fn measure(&self) -> anyhow::Result<()> {
        let client = Client::builder()
            .endpoint_url(&self.address)
            .credentials(Credentials::new("test", "test"))
            .build()?;
        let extended = ExtendedClient::builder(client.clone())
            .strategy(Strategy::Split)
            .build()?;
        let payload = self.payload();
        let (cpu, begin) = (cpu_time()?, Instant::now());
        for _ in 0..self.payloads {
            match self.contender {
                Contender::Split => drop(extended.send(QUEUE_URL, payload.clone()).await?),
                Contender::ByHand => {
                    for sent in client.send_messages(QUEUE_URL, self.cut(&payload)?).await {
                        sent?;
                    }
                }
            }
        }
        let (cpu, elapsed) = (cpu_time()? - cpu, begin.elapsed());
        let mib = self.payloads as f64 * PAYLOAD_MIB;
        let figures = Figures {
            goodput: mib / elapsed.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e3 / mib,
            peak: peak_memory("self")?,
        };
        println!("{}", serde_json::to_string(&figures)?);
        Ok(())
    }

    fn payload(&self) -> Bytes {
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        let bytes = (0..PAYLOAD_BYTES).map(byte);
        match self.kind {
            Kind::Text => bytes.map(|byte| b'a' + byte % 26).collect(),
            Kind::Binary => bytes.collect(),
        }
    }

    /// As a program would that does without headers.
    fn cut(&self, payload: &Bytes) -> anyhow::Result<Vec<OutgoingMessage>> {
        let pieces = (0..payload.len()).step_by(PIECE);
        let pieces = pieces.map(|at| payload.slice(at..payload.len().min(at + PIECE)));
        pieces
            .map(|piece| match self.kind {
                Kind::Text => Ok(OutgoingMessage::new(std::str::from_utf8(&piece).context("it is text")?)),
                Kind::Binary => {
                    Ok(OutgoingMessage::new("-").message_attribute("bytes", MessageAttributeValue::binary(piece)))
                }
            })
            .collect()
    }
}
