//! What can be seen of a consumer from outside.

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::telemetry::{queue_name, record};
use crate::types::Message;

/// How many messages a consumer holds.
pub(super) const IN_FLIGHT: &str = "sqs.consumer.in_flight";
/// How old messages are when a consumer receives them, in seconds.
pub(super) const AGE: &str = "sqs.message.age";
/// Extensions of visibility that failed, and leases that were lost.
pub(super) const HEARTBEAT_FAILURES: &str = "sqs.heartbeat.failures";

/// The handling of a message, within its span and timed from now; `failed` says what went wrong, if anything did.
///
/// Not an `async fn`, which would have room for the handling twice.
pub(super) fn process<T>(
    queue_url: &str,
    message: &Message,
    handling: impl Future<Output = T>,
    failed: impl FnOnce(&T) -> Option<&'static str>,
) -> impl Future<Output = T> {
    let queue = queue_name(Some(queue_url));
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
