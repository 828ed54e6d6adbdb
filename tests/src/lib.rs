//! Test equipment: SQS- and S3-compatible servers on demand, AWS's own extended clients, and programs of AWS's SDKs.

use std::time::Duration;

pub mod peers;
pub mod sdks;
pub mod servers;

/// Returns the builder of an [`sqs_local::LocalSqs`] that is as strict as AWS, so that a test of a client finds its mistakes.
/// Only the name of a deleted queue is free at once, because tests create queues again.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = sqs_tests::strict().start().await?;
/// server.create_queue("orders")?;
/// # Ok(()) }
/// ```
pub fn strict() -> sqs_local::Builder {
    sqs_local::LocalSqs::builder()
        .strict(true)
        .recreate_delay(Duration::ZERO)
}
