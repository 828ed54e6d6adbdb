//! Sends a payload of any size through a queue and receives it: upload, pointer, download, verified digest and
//! acknowledgement.
//!
//! Uses sqs-local in its own process and a temporary folder by default:
//!
//! ```sh
//! cargo run --release --bin large_payload
//! cargo run --release --bin large_payload -- --endpoint http://localhost:9324 --s3-endpoint http://localhost:9000 \
//!     --bucket my-bucket --file backup.tar --output restored.tar
//! ```

mod options;
mod report;
mod resources;
mod source;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sqs_extended::receive::PayloadOutcome;
use sqs_extended::{ExtendedClient, ExtendedDelivery, Payload};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use crate::options::{InvalidInput, Options};
use crate::report::{Direction, Report};
use crate::resources::Resources;
use crate::source::{Hashed, Source};

/// The message's visibility timeout, in which the download must finish.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);

/// The number of other messages to return to the queue before giving up.
const MAX_OTHER_MESSAGES: u32 = 100;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(InvalidInput(line)) => return invalid_input(&line),
    };
    let source = match Source::open(&options).await {
        Ok(source) => source,
        Err(InvalidInput(line)) => return invalid_input(&line),
    };
    let resources = match Resources::open(&options).await {
        Ok(resources) => resources,
        Err(InvalidInput(line)) => return invalid_input(&line),
    };
    let outcome = tokio::select! {
        outcome = round_trip(&options, &resources, source) => outcome,
        () = stop_signal() => {
            eprintln!("\ninterrupted, cleaning up; interrupt again to skip that");
            tokio::select! {
                () = resources.clean_up() => {}
                () = stop_signal() => {}
            }
            return ExitCode::from(130);
        }
    };
    resources.clean_up().await;
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Waits for Ctrl-C or, on Unix, SIGTERM.
async fn stop_signal() {
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
    // Without a handler the signal ends the process, so there is nothing to wait for.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

fn invalid_input(line: &str) -> ExitCode {
    eprintln!("error: {line}");
    ExitCode::from(2)
}

/// Returns an error and its causes on one line. A store's error can be as long as the store's response.
fn chain(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| resources::first_line(&cause)).collect();
    causes.join(": ")
}

async fn round_trip(options: &Options, resources: &Resources, source: Source) -> anyhow::Result<()> {
    let queue = resources.queue().await?;
    println!("queue {queue}\nstore {}", resources.store_name());
    let mut report = Report::default();

    let (sent_digest, message_id) = send(&resources.extended, &queue, source, &mut report).await?;
    let delivery = receive(&resources.extended, &queue, &message_id).await?;
    let received_digest = read(&delivery, options, &mut report).await?;
    ensure!(
        received_digest == sent_digest,
        "the received payload has the digest {received_digest}, the sent one {sent_digest}"
    );
    println!("digest {received_digest} (BLAKE3), the same at both ends");

    match delivery.ack().await? {
        PayloadOutcome::NoStoredPayload | PayloadOutcome::PayloadDeleted => {}
        outcome => bail!("the payload was not deleted from the store: {outcome:?}"),
    }
    resources.check_empty(&queue).await?;
    println!("queue and store are empty\n{report}");
    Ok(())
}

/// Sends the payload, and returns its digest and the message id.
async fn send(
    extended: &ExtendedClient,
    queue: &str,
    source: Source,
    report: &mut Report,
) -> anyhow::Result<(blake3::Hash, String)> {
    let size = source.size();
    let bar = report::bar(Direction::Send, size);
    let (hashed, digest) = Hashed::new(source);
    let begin = Instant::now();
    let sent = extended
        .send(queue, Payload::from_reader(hashed, size))
        .on_progress(report::moves(&bar))
        .await?;
    report.add(Direction::Send, size, begin.elapsed());
    bar.finish();
    Ok((digest.get()?, sent.message_id))
}

/// Receives our message, and returns other messages to the queue.
async fn receive(extended: &ExtendedClient, queue: &str, message_id: &str) -> anyhow::Result<ExtendedDelivery> {
    let mut others = 0;
    while others < MAX_OTHER_MESSAGES {
        let poll = extended.receive(queue).wait_time(Duration::from_secs(20));
        for received in poll.visibility_timeout(VISIBILITY_TIMEOUT).await? {
            let delivery = received.context("received a message whose pointer is refused")?;
            if delivery.message_id() == message_id {
                return Ok(delivery);
            }
            delivery.nack(Duration::ZERO).await?;
            others += 1;
        }
    }
    bail!("received {others} other messages from the queue; name an empty queue with --queue")
}

/// Reads the payload, into the output file if there is one, and returns its digest.
async fn read(delivery: &ExtendedDelivery, options: &Options, report: &mut Report) -> anyhow::Result<blake3::Hash> {
    let size = delivery.size().context("the pointer has no size")?;
    let bar = report::bar(Direction::Receive, size);
    let begin = Instant::now();
    let digest = match &options.output {
        Some(path) => {
            // Returns Ok only if length and digest are right. We hash the file again to compare it with the sent payload.
            delivery.download_to(path).on_progress(report::moves(&bar)).await?;
            report.add(Direction::Receive, size, begin.elapsed());
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
