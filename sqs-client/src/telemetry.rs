//! What can be seen from outside: a `tracing` span for each request and, with the feature `metrics`, figures of what
//! goes on. Names are those of OpenTelemetry's semantic conventions for messaging where it has one. Nothing secret
//! and no message body is ever recorded.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use crate::client::erased::Task;
use crate::error::Error;

/// What an action does to messages: `messaging.operation.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sends them.
    Send,
    /// Receives them.
    Receive,
    /// Deletes them: they were handled.
    Acknowledge,
    /// Says when others may receive them.
    Settle,
    /// Nothing: it is about queues.
    Manage,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Acknowledge | Self::Settle => "settle",
            Self::Manage => "manage",
        }
    }

    /// What counts the messages.
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

/// A request under way: its span, and when it began.
pub(crate) struct Seen {
    span: Span,
    begin: Instant,
}

impl Seen {
    pub(crate) fn begin(task: &dyn Task) -> Self {
        let purpose = task.purpose();
        let span = tracing::info_span!(
            "request",
            otel.name = task.name(),
            otel.kind = if purpose == Purpose::Send { "producer" } else { "client" },
            messaging.system = "aws_sqs",
            messaging.operation.name = task.name(),
            messaging.operation.type = purpose.as_str(),
            messaging.destination.name = queue_name(task.queue_url()),
            messaging.batch.message_count = Empty,
            error.type = Empty,
        );
        let begin = Instant::now();
        Self { span, begin }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Counts and times it.
    pub(crate) fn end(self, task: &dyn Task, result: &Result<(), Error>) {
        let queue = queue_name(task.queue_url());
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

/// A request is tried again after this pause.
pub(crate) fn retried(task: &dyn Task, pause: Duration, error: &Error) {
    tracing::debug!(?pause, %error, "retrying");
    count("sqs.request.retries", queue_name(task.queue_url()), 1);
}

/// The last part of a queue's URL: `messaging.destination.name`.
pub(crate) fn queue_name(url: Option<&str>) -> &str {
    url.and_then(|url| url.rsplit('/').next()).unwrap_or_default()
}

/// Adds to a counter of this queue.
pub(crate) fn count(name: &'static str, queue: &str, by: usize) {
    #[cfg(feature = "metrics")]
    metrics::counter!(name, QUEUE => queue.to_owned()).increment(u64::try_from(by).unwrap_or(u64::MAX));
    #[cfg(not(feature = "metrics"))]
    let _ = (name, queue, by);
}

/// Adds a value to a histogram of this queue.
pub(crate) fn record(name: &'static str, queue: &str, value: f64) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(name, QUEUE => queue.to_owned()).record(value);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, queue, value);
}

/// Sets a gauge of this queue.
#[cfg(feature = "consumer")]
pub(crate) fn set(name: &'static str, queue: &str, value: usize) {
    #[cfg(feature = "metrics")]
    metrics::gauge!(name, QUEUE => queue.to_owned()).set(value as f64);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, queue, value);
}

#[cfg(feature = "metrics")]
const QUEUE: &str = "messaging.destination.name";
