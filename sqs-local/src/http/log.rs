//! The log line of a request. It has neither bodies nor credentials.

use hyper::Response;
use tokio::time::Instant;
use tracing::Level;

use crate::protocol::error::Result;
use crate::protocol::input::Input;
use crate::protocol::schema::Action;

/// The maximum length of a queue's name. A request may contain a longer one.
const MAX_NAME: usize = 80;

/// The part of a log line that is known before the response.
pub(super) struct LogEntry {
    action: &'static str,
    queue: String,
    start: Instant,
}

impl LogEntry {
    /// Creates the entry of a request, or `None` if nobody reads the log.
    pub(super) fn of(action: &Result<Action>, input: &Result<Input>) -> Option<Self> {
        tracing::enabled!(Level::DEBUG).then(|| Self {
            action: action.as_ref().map_or("unknown", |action| action.name()),
            queue: input.as_ref().map(queue_name).unwrap_or_default(),
            start: Instant::now(),
        })
    }

    /// Writes the entry. Status 0 means that the connection was closed without a response.
    pub(super) fn write<B>(&self, response: Option<&Response<B>>) {
        let status = response.map_or(0, |response| response.status().as_u16());
        tracing::debug!(action = self.action, queue = self.queue, status, time = ?self.start.elapsed());
    }
}

/// Returns the name of the request's queue, or an empty string if the request names none.
fn queue_name(input: &Input) -> String {
    let url = input.opt_str("QueueUrl").or_else(|| input.opt_str("QueueName"));
    let name = url.and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    name.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name_in(input: serde_json::Value) -> String {
        queue_name(&Input::new(input).expect("an input"))
    }

    #[test]
    fn a_queue_is_named_by_its_url_or_its_name() {
        assert_eq!(
            name_in(json!({"QueueUrl": "http://127.0.0.1:1/000000000000/orders"})),
            "orders"
        );
        assert_eq!(name_in(json!({"QueueName": "orders"})), "orders");
        assert_eq!(name_in(json!({})), "");
        assert_eq!(name_in(json!({"QueueName": "x".repeat(1000)})).len(), MAX_NAME);
    }
}
