//! Transfers a payload of gigabytes up and down, each library in a process of its own. The libraries are raw
//! `object_store`, `sqs-extended` with digests, and AWS's for Python and Java. AWS's libraries keep the whole payload in
//! memory, which is limited. A library that fails is tried again with half the payload, until it succeeds.
//!
//! ```sh
//! cd bench && cargo run --release --bin giants -- --size-mib 4096 --pairs 3
//! ```

use std::time::Duration;

use anyhow::Context as _;
use bench::child;
use bench::measure::{Spread, peak_memory_mib};
use bench::transfer::{self, BUCKET, MIB, Shape, block, bucket, extended, ours, raw};
use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use sqs_local::{AccessKey, LocalSqs};
use sqs_tests::peers::{Attribute, Peer};
use sqs_tests::servers::{Server, Servers};
use tokio::process::Command;

#[derive(Parser)]
#[command(about = "Compares the transfer of a giant payload with raw object_store and AWS's libraries")]
struct Options {
    #[command(flatten)]
    shape: Shape,
    /// The number of pairs of raw object_store and sqs-extended
    #[arg(long, default_value_t = 3)]
    pairs: usize,
    /// The memory limit of AWS's libraries: Python's address space, Java's heap
    #[arg(long, default_value_t = 4096)]
    limit_mib: usize,
    #[command(subcommand)]
    child: Option<Role>,
}

/// The job of a child process.
#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Transfer(Transfer),
}

#[derive(clap::Args)]
struct Transfer {
    by: By,
    store: String,
    keys: Vec<String>,
    #[arg(long)]
    queues: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    Raw,
    Ours,
}

/// Transfer times, and the peak memory of the process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Measured {
    up: Duration,
    down: Duration,
    peak_mib: u64,
}

#[derive(Clone, Copy)]
enum Library {
    Python,
    Java,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match &options.child {
        Some(Role::Transfer(transfer)) => transfer.run(options.shape).await,
        None => compare(&options).await,
    }
}

impl Transfer {
    async fn run(&self, shape: Shape) -> anyhow::Result<()> {
        let [access_key, secret_key] = &self.keys[..] else {
            anyhow::bail!("expected an access key and a secret key");
        };
        let store = bucket(&self.store, access_key, secret_key)?;
        let block = block(shape.part_mib * MIB);
        let (up, down) = match self.by {
            By::Raw => raw(&store, &block, shape).await?,
            By::Ours => {
                let extended = extended(&self.queues, store, shape)?;
                let queue = extended.client().create_queue("ours").await?.queue_url;
                ours(&extended, &queue, &block, shape).await?
            }
        };
        let peak_mib = peak_memory_mib("self")?;
        child::report(&Measured { up, down, peak_mib })
    }
}

async fn compare(options: &Options) -> anyhow::Result<()> {
    let servers = Servers::new();
    let minio = servers.minio().map_err(Clone::clone)?;
    transfer::create_bucket(minio)?;
    let keys = AccessKey::new(minio.access_key(), minio.secret_key());
    let queues = sqs_tests::strict().access_key(keys).start().await?;
    let size = options.shape.size_mib;

    let mut pairs = Vec::new();
    for _ in 0..options.pairs {
        let raw = transfer_in_child("raw", minio, &queues, options.shape).await?;
        print("raw object_store", size, raw);
        let ours = transfer_in_child("ours", minio, &queues, options.shape).await?;
        print("ours", size, ours);
        pairs.push((raw, ours));
    }
    for (direction, time) in [("up", (|f| f.up) as fn(&Measured) -> Duration), ("down", |f| f.down)] {
        let ratio = Spread::over(&pairs, |(raw, ours)| time(raw).as_secs_f64() / time(ours).as_secs_f64());
        println!(
            "{direction}: ours / raw object_store = {ratio}, median of {}",
            options.pairs
        );
    }
    for (name, library) in [
        ("AWS's Python library", Library::Python),
        ("AWS's Java library", Library::Java),
    ] {
        let mut size = size;
        while size > 0 {
            match transfer_by_peer(library, &servers, minio, &queues, size, options.limit_mib).await {
                Ok(result) => {
                    print(name, size, result);
                    break;
                }
                Err(error) => println!(
                    "{name}: {size} MiB failed with {} MiB of memory: {error:#}",
                    options.limit_mib
                ),
            }
            size /= 2;
        }
    }
    Ok(())
}

fn print(name: &str, size_mib: usize, result: Measured) {
    let rate = |time: Duration| size_mib as f64 / time.as_secs_f64();
    println!(
        "{name}: {size_mib} MiB up at {:.0} and down at {:.0} MiB/s, {} MiB peak memory",
        rate(result.up),
        rate(result.down),
        result.peak_mib
    );
}

async fn transfer_in_child(by: &str, minio: &Server, queues: &LocalSqs, shape: Shape) -> anyhow::Result<Measured> {
    let mut transfer = child::command()?;
    transfer
        .args(["--size-mib", &shape.size_mib.to_string()])
        .args(["--part-mib", &shape.part_mib.to_string()])
        .args(["--concurrency", &shape.concurrency.to_string()])
        .args(["transfer", "--queues", &queues.endpoint(), by])
        .args([minio.endpoint(), minio.access_key(), minio.secret_key()]);
    child::run(transfer).await
}

/// Transfers a text by one of AWS's libraries, in a new process.
async fn transfer_by_peer(
    library: Library,
    servers: &Servers,
    minio: &Server,
    queues: &LocalSqs,
    size_mib: usize,
    limit_mib: usize,
) -> anyhow::Result<Measured> {
    let program = match library {
        Library::Java => {
            let jars = servers.java_extended_client().map_err(Clone::clone)?;
            Peer::java(jars, &[&format!("-Xmx{limit_mib}m")])
        }
        Library::Python => limited(
            &Peer::python(servers.python_extended_client().map_err(Clone::clone)?),
            limit_mib,
        ),
    };
    let queue = queues
        .client()?
        .create_queue(format!("peer-{}-{size_mib}", library as u8))
        .await?
        .queue_url;
    let mut peer = Peer::start(program, &queues.endpoint(), minio, BUCKET)?;
    let process = peer.id().context("the peer has ended")?.to_string();
    let text = "sixteen letters.".repeat(MIB / 16);
    let up = peer
        .send(Attribute::Current, &queue, &text, size_mib)
        .await
        .context("sending failed")?;
    let (down, received) = peer.receive(&queue).await.context("receiving failed")?;
    let message = received.first().context("no message was received")?;
    anyhow::ensure!(std::fs::metadata(&message.body)?.len() == (size_mib * MIB) as u64);
    let peak_mib = peak_memory_mib(&process)?;
    peer.delete(&queue, &message.handle).await?;
    Ok(Measured { up, down, peak_mib })
}

/// Wraps a program to limit its address space.
fn limited(program: &Command, mib: usize) -> Command {
    let program = program.as_std();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("ulimit -v {} && exec \"$@\"", mib * 1024), "sh"])
        .arg(program.get_program())
        .args(program.get_args());
    shell
}
