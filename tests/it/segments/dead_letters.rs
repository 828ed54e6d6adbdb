//! A payload that can never be handled: all of it comes to the dead-letter queue, and is whole there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::{Client, QueueAttributes, RedrivePolicy};
use sqs_extended::{ExtendedClient, Strategy};
use sqs_tests::embedded::EmbeddedServer;

use super::payloads::Payload;
use super::test;
use crate::bench::{Bench, Outcome, client_of_embedded};
use crate::consumer::{quick, until};

/// The smallest segments that there are.
const SEGMENT: usize = 4096;
const MAX_RECEIVES: u32 = 3;

/// No handler can make anything of this one.
const POISON: Payload = Payload {
    number: 0,
    size: 20_000,
};

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    ["", ".fifo"]
        .map(|suffix| {
            let kind = if suffix.is_empty() { "standard" } else { "fifo" };
            let name = format!("dead_letters::poison_of_a_{kind}_queue_is_whole_there");
            test(bench, &name, move || poison(suffix))
        })
        .into()
}

async fn poison(suffix: &str) -> Outcome {
    let server = EmbeddedServer::start().await?;
    let client = client_of_embedded(&server).retry(quick()).build()?;
    let (name, dead_name) = (format!("q{suffix}"), format!("dead{suffix}"));
    let dead = create(&client, &dead_name, None).await?;
    let redrive = RedrivePolicy::new(server.queue_arn(&dead_name), MAX_RECEIVES);
    let queue = create(&client, &name, Some(redrive)).await?;
    let extended = ExtendedClient::builder(client)
        .strategy(Strategy::Split)
        .segment_size(SEGMENT)
        .threshold(SEGMENT)
        .build()?;
    let view = |name: &str| server.queue(name).context("it was created");
    let (view, dead_view) = (view(&name)?, view(&dead_name)?);

    let others: Vec<Payload> = (1..4).map(|number| Payload { number, size: 12_000 }).collect();
    let mut segments = None;
    for payload in [POISON].iter().chain(&others) {
        let mut message = payload.message();
        if !suffix.is_empty() {
            message = message.message_group_id(payload.number.to_string());
        }
        let sent = extended.send(&queue, message).await?;
        segments.get_or_insert(sent.segments);
    }

    let handled = consume(&extended, &queue, true, until(|| view.is_empty())).await?;
    let (poison, mut rest): (Vec<_>, Vec<_>) = handled.into_iter().partition(|payload| *payload == POISON);
    rest.sort();
    ensure!(rest == others, "{rest:?}");
    ensure!(
        (1..=MAX_RECEIVES as usize).contains(&poison.len()),
        "it was handled {} times",
        poison.len()
    );
    ensure!(
        Some(dead_view.len()) == segments,
        "{} of {segments:?} are there",
        dead_view.len()
    );

    let handled = consume(&extended, &dead, false, until(|| dead_view.is_empty())).await?;
    ensure!(handled == [POISON], "{handled:?}");
    Ok(())
}

async fn create(client: &Client, name: &str, redrive: Option<RedrivePolicy>) -> anyhow::Result<String> {
    let mut attributes = QueueAttributes::default();
    let fifo = name.ends_with(".fifo").then_some(true);
    attributes.fifo_queue = fifo;
    attributes.content_based_deduplication = fifo;
    attributes.redrive_policy = redrive;
    Ok(client.create_queue(name).attributes(attributes).await?.queue_url)
}

/// The payloads that were handled until then; the poison's handlers fail, if they are to.
async fn consume(
    extended: &ExtendedClient,
    queue: &str,
    poison_fails: bool,
    done: impl Future<Output = Outcome>,
) -> anyhow::Result<Vec<Payload>> {
    let handled: Arc<Mutex<Vec<Payload>>> = Arc::default();
    let seen = Arc::clone(&handled);
    let mut ended = None;
    extended
        .consumer(queue)
        .incomplete_after(Duration::from_secs(2))
        .configure(|consumer| {
            consumer
                .visibility_timeout(Duration::from_secs(5))
                .wait_time(Duration::from_secs(1))
                .backoff(Duration::ZERO, Duration::ZERO)
        })
        .run(async { ended = Some(done.await) }, move |delivery| {
            let seen = Arc::clone(&seen);
            async move {
                let payload = Payload::received(&delivery).await?;
                seen.lock().expect("no handler panics here").push(payload);
                ensure!(!poison_fails || payload != POISON, "it is poison");
                Ok(())
            }
        })
        .await?;
    ended.context("it was waited for")??;
    let handled = handled.lock().expect("no handler panics here").clone();
    Ok(handled)
}
