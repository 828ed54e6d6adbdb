//! The `tracing` span and the metrics of a request.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use crate::action::Purpose;
use crate::client::erased::Task;
use crate::error::Error;
use crate::queue_name::queue_name;
use crate::telemetry::{count, record};

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Acknowledge | Self::Settle => "settle",
            Self::Manage => "manage",
        }
    }

    /// Returns the name of the counter of messages.
    fn counter(self) -> Option<&'static str> {
        match self {
            Self::Send => Some("messaging.client.sent.messages"),
            Self::Receive => Some("messaging.client.consumed.messages"),
            Self::Acknowledge => Some("sqs.acknowledged.messages"),
            Self::Settle => Some("sqs.visibility.changes"),
            Self::Manage => None,
        }
    }
}

/// The span of a request, and the time of its start.
pub(super) struct RequestSpan {
    span: Span,
    begin: Instant,
}

impl RequestSpan {
    pub(super) fn begin(task: &dyn Task) -> Self {
        let purpose = task.purpose();
        let span = tracing::info_span!(
            "request",
            otel.name = task.name(),
            otel.kind = if purpose == Purpose::Send { "producer" } else { "client" },
            messaging.system = "aws_sqs",
            messaging.operation.name = task.name(),
            messaging.operation.type = purpose.as_str(),
            messaging.destination.name = destination(task),
            messaging.batch.message_count = Empty,
            error.type = Empty,
        );
        let begin = Instant::now();
        Self { span, begin }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Counts and times the request.
    pub(super) fn end(self, task: &dyn Task, result: &Result<(), Error>) {
        let queue = destination(task);
        let time = self.begin.elapsed().as_secs_f64();
        record("messaging.client.operation.duration", queue, time);
        match result {
            Ok(()) => {
                if let Some(counter) = task.purpose().counter() {
                    let messages = task.messages();
                    self.span.record("messaging.batch.message_count", messages);
                    count(counter, queue, messages);
                }
            }
            Err(error) => {
                let kind = format!("{:?}", error.kind());
                let code = error.code().map_or(kind.as_str(), |code| code.as_str());
                self.span.record("error.type", code);
                count("sqs.request.failures", queue, 1);
            }
        }
    }
}

/// Returns the name of the queue that the request is about, or an empty one.
fn destination(task: &dyn Task) -> &str {
    task.queue_url().map(queue_name).unwrap_or_default()
}

/// Logs and counts a retry.
pub(super) fn retrying(task: &dyn Task, pause: Duration, error: &Error) {
    tracing::debug!(?pause, %error, "retrying");
    count("sqs.request.retries", destination(task), 1);
}
