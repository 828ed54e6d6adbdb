//! Sends a payload of any size through a queue and gets it back: upload, pointer, download, verified digest,
//! acknowledgement.
//!
//! With nothing configured it runs on an embedded SQS server and a temporary folder:
//!
//! ```sh
//! cargo run --release --bin large_payload
//! cargo run --release --bin large_payload -- --endpoint http://localhost:9324 --s3-endpoint http://localhost:9000 \
//!     --bucket my-bucket --file backup.tar --output restored.tar
//! ```

mod generated;
mod options;
mod places;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sqs_extended::receive::PayloadOutcome;
use sqs_extended::{ExtendedClient, ExtendedDelivery, Payload};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use crate::generated::{Hashed, Source};
use crate::options::{Options, Wrong};
use crate::places::Places;
use crate::report::{Direction, Report};

/// How long the message stays ours: the download must be over by then.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);

/// How many messages of others are given back before we give up on finding ours.
const STRANGERS: u32 = 100;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(Wrong(line)) => return wrong(&line),
    };
    let source = match Source::open(&options).await {
        Ok(source) => source,
        Err(Wrong(line)) => return wrong(&line),
    };
    let places = match Places::open(&options).await {
        Ok(places) => places,
        Err(Wrong(line)) => return wrong(&line),
    };
    let outcome = tokio::select! {
        outcome = round_trip(&options, &places, source) => outcome,
        () = told_to_stop() => {
            eprintln!("\ninterrupted: clearing up; once more to leave it");
            tokio::select! {
                () = places.clear_up() => {}
                () = told_to_stop() => {}
            }
            return ExitCode::from(130);
        }
    };
    places.clear_up().await;
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C, or what asks a process to end.
async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler nothing can be waited for: the process just ends.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

fn wrong(line: &str) -> ExitCode {
    eprintln!("error: {line}");
    ExitCode::from(2)
}

/// An error and its causes on one line; a store's cause is as long as its answer.
fn chain(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| places::first_line(&cause)).collect();
    causes.join(": ")
}

async fn round_trip(options: &Options, places: &Places, source: Source) -> anyhow::Result<()> {
    let queue = places.queue().await?;
    println!("queue {queue}\nstore {}", places.store_name());
    let mut report = Report::default();

    let (sent_digest, message_id) = send(&places.extended, &queue, source, &mut report).await?;
    let delivery = receive(&places.extended, &queue, &message_id).await?;
    let received_digest = read(&delivery, options, &mut report).await?;
    ensure!(received_digest == sent_digest, "the digest of what came back differs");
    println!("digest {received_digest} (BLAKE3), the same at both ends");

    match delivery.ack().await? {
        PayloadOutcome::NoStoredPayload | PayloadOutcome::PayloadDeleted => {}
        kept => bail!("the payload was left in the store: {kept:?}"),
    }
    places.check_empty(&queue).await?;
    println!("queue and store are empty\n{report}");
    Ok(())
}

/// Sends the payload, and says its digest and the message's id.
async fn send(
    extended: &ExtendedClient,
    queue: &str,
    source: Source,
    report: &mut Report,
) -> anyhow::Result<(blake3::Hash, String)> {
    let size = source.size();
    let bar = report::bar(Direction::Send, size);
    let (hashed, digest) = Hashed::new(bar.wrap_async_read(source));
    let begin = Instant::now();
    let sent = extended.send(queue, Payload::from_reader(hashed, size)).await?;
    report.add(Direction::Send, size, begin.elapsed());
    bar.finish();
    Ok((digest.get()?, sent.message_id))
}

/// Receives our message; others that come first are given back.
async fn receive(extended: &ExtendedClient, queue: &str, message_id: &str) -> anyhow::Result<ExtendedDelivery> {
    let mut strangers = 0;
    while strangers < STRANGERS {
        let poll = extended.receive(queue).wait_time(Duration::from_secs(20));
        for received in poll.visibility_timeout(VISIBILITY_TIMEOUT).await? {
            let delivery = received.context("a message with a pointer that is refused")?;
            if delivery.message_id() == message_id {
                return Ok(delivery);
            }
            delivery.nack(Duration::ZERO).await?;
            strangers += 1;
        }
    }
    bail!("the queue is full of messages of others; name one of your own by --queue")
}

/// Reads the payload, to the output file if there is one, and says its digest.
async fn read(delivery: &ExtendedDelivery, options: &Options, report: &mut Report) -> anyhow::Result<blake3::Hash> {
    let size = delivery.size().context("the pointer says no size")?;
    let bar = report::bar(Direction::Receive, size);
    let begin = Instant::now();
    let digest = match &options.output {
        Some(path) => {
            // Ok only after length and digest were found right; hashed once more to be compared with what was sent.
            delivery.download_to(path).await?;
            report.add(Direction::Receive, size, begin.elapsed());
            bar.set_position(size);
            hash(tokio::fs::File::open(path).await?).await?
        }
        None => {
            let digest = hash(bar.wrap_async_read(delivery.reader().await?)).await?;
            report.add(Direction::Receive, size, begin.elapsed());
            digest
        }
    };
    bar.finish();
    Ok(digest)
}

async fn hash(reader: impl tokio::io::AsyncRead + Unpin) -> anyhow::Result<blake3::Hash> {
    let (mut hashed, digest) = Hashed::new(reader);
    let mut buffer = vec![0; 1024 * 1024];
    while hashed.read(&mut buffer).await? > 0 {}
    digest.get()
}
