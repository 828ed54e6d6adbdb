//! A consumer's metrics and spans.

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::queue_name::queue_name;
use crate::telemetry::record;
use crate::types::Message;

/// The number of messages in flight.
pub(super) const IN_FLIGHT: &str = "sqs.consumer.in_flight";
/// The age of messages when the consumer receives them, in seconds.
pub(super) const AGE: &str = "sqs.message.age";
/// The number of failed visibility extensions and of lost leases.
pub(super) const HEARTBEAT_FAILURES: &str = "sqs.heartbeat.failures";

/// Handles a message within a span, and records the time from now. `failed` returns the span's `error.type` after a failure.
///
/// An `async fn` would reserve space for the handling twice.
pub(super) fn process<T>(
    queue_url: &str,
    message: &Message,
    handling: impl Future<Output = T>,
    failed: impl FnOnce(&T) -> Option<&'static str>,
) -> impl Future<Output = T> {
    let queue = queue_name(queue_url);
    let span = tracing::info_span!(
        "process",
        otel.name = "process",
        otel.kind = "consumer",
        messaging.system = "aws_sqs",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = queue,
        messaging.message.id = message.message_id,
        error.type = Empty,
    );
    let begin = Instant::now();
    handling.instrument(span.clone()).inspect(move |handled| {
        record("messaging.process.duration", queue, begin.elapsed().as_secs_f64());
        if let Some(why) = failed(handled) {
            span.record("error.type", why);
        }
    })
}
