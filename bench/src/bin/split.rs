//! Compares payloads sent in segments with the same bytes cut by hand and sent in batches. The plain client sends those
//! batches, and so do reqwest, aws-sigv4 and serde_json (the floor). The server responds at once. Contenders take turns, each in a
//! process of its own on one thread. Results are goodput, CPU time and peak memory.
//!
//! ```sh
//! cd bench && cargo run --release --bin split -- --pairs 5
//! ```

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench::by_hand::{ByHand, Entry, SendMessageBatch, SentBatch};
use bench::child;
use bench::measure::{Spread, cpu_time, peak_memory_mib};
use bench::null_server::{self, MESSAGE_ID, QUEUE_URL};
use bench::turns::take_turns;
use bytes::Bytes;
use clap::{Parser, Subcommand, ValueEnum};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Client, OutgoingMessage};
use sqs_extended::{ExtendedClient, Strategy};
use tokio::time::Instant;

/// The bytes that fit into a message of 256 KiB beside a segment's header.
const PIECE: usize = 261_000;
/// The pieces that fit into a batch.
const BATCH: usize = 4;
/// The batches in a payload. All have the same shape, because the server has only one response.
const BATCHES: usize = 8;
const PAYLOAD_BYTES: usize = PIECE * BATCH * BATCHES;
const PAYLOAD_MIB: f64 = PAYLOAD_BYTES as f64 / 1024.0 / 1024.0;

#[derive(Parser)]
#[command(about = "Compares payloads sent in segments with the same bytes sent by hand")]
struct Options {
    /// The number of turns of each contender
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// The number of payloads in a turn, sent one after another
    #[arg(long, default_value_t = 100)]
    payloads: usize,
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
    kind: Kind,
    address: String,
    payloads: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Contender {
    Split,
    ByHand,
    PlainClient,
}

/// The contenders' names. The first is compared with each of the others.
const CONTENDERS: [&str; 3] = ["split", "by-hand", "plain-client"];

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Text,
    Binary,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Measured {
    /// MiB per second.
    goodput: f64,
    /// Milliseconds of CPU per MiB.
    cpu: f64,
    /// Peak resident memory in MiB.
    peak: u64,
}

/// A message of the hand-written contender.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'a> {
    message_body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_attributes: Option<Attributes>,
}

#[derive(Serialize)]
struct Attributes {
    bytes: Binary,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Binary {
    data_type: &'static str,
    binary_value: String,
}

impl<'a> Message<'a> {
    fn text(message_body: &'a str) -> Self {
        Self {
            message_body,
            message_attributes: None,
        }
    }

    fn binary(bytes: &[u8]) -> Self {
        let bytes = Binary {
            data_type: "Binary",
            binary_value: STANDARD.encode(bytes),
        };
        Self {
            message_body: "-",
            message_attributes: Some(Attributes { bytes }),
        }
    }
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

/// Returns the response to every batch.
fn response() -> String {
    let entry = |id: usize| json!({"Id": id.to_string(), "MessageId": MESSAGE_ID});
    json!({"Successful": (0..BATCH).map(entry).collect::<Vec<_>>(), "Failed": []}).to_string()
}

async fn compare(options: &Options) -> anyhow::Result<()> {
    let (_server, address) = null_server::start(&["serve"]).await?;
    for kind in ["text", "binary"] {
        let turns: Vec<Vec<Measured>> = take_turns(CONTENDERS.len(), options.pairs, |contender| {
            let payloads = options.payloads.to_string();
            ["run", CONTENDERS[contender], kind, &address, &payloads]
                .map(str::to_owned)
                .to_vec()
        })
        .await?;
        println!(
            "{kind}: {} turns of {} payloads of {:.1} MiB",
            options.pairs, options.payloads, PAYLOAD_MIB
        );
        for (name, results) in CONTENDERS.iter().zip(&turns) {
            println!(
                "  {name:<12} {:>6.0} MiB/s, {:.3} ms of CPU per MiB, {:.0} MiB peak",
                Spread::over(results, |result| result.goodput).median,
                Spread::over(results, |result| result.cpu).median,
                Spread::over(results, |result| result.peak as f64).max,
            );
        }
        for (name, theirs) in CONTENDERS.iter().zip(&turns).skip(1) {
            let pairs: Vec<(Measured, Measured)> = turns[0].iter().copied().zip(theirs.iter().copied()).collect();
            let ratio =
                |metric: fn(&Measured) -> f64| Spread::over(&pairs, |(split, theirs)| metric(split) / metric(theirs));
            println!(
                "  split / {name}: goodput {}, CPU {}",
                ratio(|result| result.goodput),
                ratio(|result| result.cpu)
            );
        }
    }
    Ok(())
}

impl Run {
    async fn measure(&self) -> anyhow::Result<()> {
        let client = null_server::client(&self.address)?;
        let extended = ExtendedClient::builder(client.clone())
            .strategy(Strategy::Split)
            .build()?;
        let by_hand = ByHand::new(&self.address)?;
        let payload = self.payload();
        let (cpu, begin) = (cpu_time()?, Instant::now());
        for _ in 0..self.payloads {
            match self.contender {
                Contender::Split => drop(extended.send(QUEUE_URL, payload.clone()).await?),
                Contender::ByHand => self.by_hand(&by_hand, &payload).await?,
                Contender::PlainClient => self.plain_client(&client, &payload).await?,
            }
        }
        let (cpu, elapsed) = (cpu_time()? - cpu, begin.elapsed());
        let mib = self.payloads as f64 * PAYLOAD_MIB;
        child::report(&Measured {
            goodput: mib / elapsed.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e3 / mib,
            peak: peak_memory_mib("self")?,
        })
    }

    fn payload(&self) -> Bytes {
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        let bytes = (0..PAYLOAD_BYTES).map(byte);
        match self.kind {
            Kind::Text => bytes.map(|byte| b'a' + byte % 26).collect(),
            Kind::Binary => bytes.collect(),
        }
    }

    /// Sends the payload as a program would that has neither segment headers nor a client, with a client's concurrency.
    async fn by_hand(&self, by_hand: &ByHand, payload: &Bytes) -> anyhow::Result<()> {
        let batches = (0..payload.len()).step_by(BATCH * PIECE);
        stream::iter(batches.map(|at| payload.slice(at..payload.len().min(at + BATCH * PIECE))))
            .map(|batch| async move {
                let pieces = batch.chunks(PIECE).enumerate();
                let entries: Vec<Entry<Message>> = pieces
                    .map(|(id, piece)| {
                        Ok(Entry {
                            id: id.to_string(),
                            message: self.message(piece)?,
                        })
                    })
                    .collect::<anyhow::Result<_>>()?;
                let input = SendMessageBatch {
                    queue_url: QUEUE_URL,
                    entries,
                };
                let sent: SentBatch = by_hand.call("AmazonSQS.SendMessageBatch", &input).await?;
                anyhow::ensure!(sent.successful.len() == BATCH);
                Ok(())
            })
            .buffered(Client::DEFAULT_BATCH_CONCURRENCY)
            .try_collect()
            .await
    }

    fn message<'a>(&self, piece: &'a [u8]) -> anyhow::Result<Message<'a>> {
        Ok(match self.kind {
            Kind::Text => Message::text(std::str::from_utf8(piece).context("a piece is not text")?),
            Kind::Binary => Message::binary(piece),
        })
    }

    async fn plain_client(&self, client: &Client, payload: &Bytes) -> anyhow::Result<()> {
        let pieces = (0..payload.len()).step_by(PIECE);
        let pieces = pieces.map(|at| payload.slice(at..payload.len().min(at + PIECE)));
        let messages: Vec<OutgoingMessage> = pieces
            .map(|piece| match self.kind {
                Kind::Text => Ok(OutgoingMessage::new(
                    std::str::from_utf8(&piece).context("a piece is not text")?,
                )),
                Kind::Binary => {
                    Ok(OutgoingMessage::new("-").message_attribute("bytes", MessageAttributeValue::binary(piece)))
                }
            })
            .collect::<anyhow::Result<_>>()?;
        for sent in client.send_messages(QUEUE_URL, messages).await {
            sent?;
        }
        Ok(())
    }
}
