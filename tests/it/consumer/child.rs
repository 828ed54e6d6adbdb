//! The consumer in the child process that is killed. See [`crate::child`].

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use futures::future::try_join_all;
use sqs_client::{Client, Delivery};

use crate::child::Report;

pub const TEST: &str = "messages";

/// The concurrency of each queue's consumer.
pub const CONCURRENCY: usize = 24;
/// The prefetch of each queue's consumer.
pub const PREFETCH: usize = 20;
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3);

pub async fn consume(client: Client, queues: &[&str], report: Report) -> anyhow::Result<()> {
    try_join_all(queues.iter().enumerate().map(|(number, queue)| {
        let report = report.clone();
        client
            .consumer(*queue)
            .concurrency(CONCURRENCY)
            .prefetch(PREFETCH)
            .visibility_timeout(VISIBILITY_TIMEOUT)
            .backoff(Duration::ZERO, Duration::ZERO)
            .run(std::future::pending::<()>(), move |delivery| {
                handle(number, delivery, report.clone())
            })
    }))
    .await?;
    Ok(())
}

/// One handling in twenty fails.
async fn handle(queue: usize, delivery: Delivery, report: Report) -> Result<(), ()> {
    let message = delivery.message();
    let group = message.attributes.message_group_id().unwrap_or("-");
    let report_step = |step: char| report.send(&format!("{step} {queue} {group} {}", message.body));
    report_step('b');
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut hasher = DefaultHasher::new();
    (&message.receipt_handle, delivery.handling_count()).hash(&mut hasher);
    let fails = hasher.finish().is_multiple_of(20);
    report_step(if fails { 'f' } else { 'h' });
    if fails { Err(()) } else { Ok(()) }
}
