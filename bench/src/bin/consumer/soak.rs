//! Runs the consumer under a steady load for minutes, on a server with faults, and prints its memory every ten seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bench::measure::resident_memory_kib;
use sqs_client::{Client, Delivery};
use tokio::time::{Instant, interval};

const BATCH: usize = 100;
/// The number of unhandled messages at which sending pauses.
const BACKLOG: u64 = 2_000;

pub async fn run(client: &Client, queue: &str, minutes: u64, bytes: usize, concurrency: usize) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let handled = Arc::new(AtomicU64::new(0));
    let count = handled.clone();
    let consumer = client
        .consumer(queue)
        .concurrency(concurrency)
        .visibility_timeout(Duration::from_secs(4))
        .backoff(Duration::ZERO, Duration::ZERO);
    let consuming = consumer.run(tokio::time::sleep_until(end), move |delivery| {
        handle(delivery, count.clone())
    });
    let producing = async {
        let body = "x".repeat(bytes);
        let mut sent = 0;
        while Instant::now() < end {
            if sent > handled.load(Ordering::Relaxed) + BACKLOG {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            let results = client.send_messages(queue, vec![body.clone(); BATCH]).await;
            sent += results.iter().filter(|result| result.is_ok()).count() as u64;
        }
    };
    let watching = async {
        let mut ticks = interval(Duration::from_secs(10));
        let mut resident = Vec::new();
        while Instant::now() < end {
            ticks.tick().await;
            let kib = resident_memory_kib()?;
            println!("{} handled, {kib} KiB resident", handled.load(Ordering::Relaxed));
            resident.push(kib);
        }
        anyhow::Ok(resident)
    };
    let (consumed, (), resident) = tokio::join!(consuming, producing, watching);
    consumed?;
    // Pools and caches fill in the first minute.
    let resident = resident?;
    let steady = resident
        .get(6..)
        .filter(|steady| !steady.is_empty())
        .unwrap_or(&resident);
    println!(
        "{} handled; resident {} to {} KiB after the first minute",
        handled.load(Ordering::Relaxed),
        steady.iter().min().context("the memory was never measured")?,
        steady.iter().max().context("the memory was never measured")?,
    );
    Ok(())
}

/// Handles most messages at once. One in twenty fails, and one in a hundred outlasts two visibility timeouts.
async fn handle(delivery: Delivery, handled: Arc<AtomicU64>) -> Result<(), ()> {
    let number = handled.fetch_add(1, Ordering::Relaxed);
    if number.is_multiple_of(100) {
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
    if number % 20 == 1 && delivery.receive_count() == 1 {
        return Err(());
    }
    Ok(())
}
