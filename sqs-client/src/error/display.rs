//! The texts of an [`Error`]: `Display` for logs, `Debug` for a `main` that returns it.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use super::code::ErrorCode;
use super::constructors::explanation;
use super::{Error, ErrorKind, QueueContext, ServerName};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(operation) = inner.operation {
            write!(f, "{operation}: ")?;
        }
        if let Some(name) = &inner.lookup {
            write!(f, "looking up the queue {name:?} failed: ")?;
        }
        let queue = inner.queue.as_ref().filter(|_| concerns_queue(inner.kind));
        match (&inner.code, queue) {
            (Some(ErrorCode::QueueDoesNotExist), Some(queue)) => {
                write_missing_queue(f, queue, &inner.message)?;
                return write_details(f, None, inner.status, inner.request_id.as_deref());
            }
            (Some(code), _) => write!(f, "{code}: {}", inner.message)?,
            (None, _) => f.write_str(&inner.message)?,
        }
        write_details(f, queue, inner.status, inner.request_id.as_deref())
    }
}

/// Returns `true` if the queue's name helps to understand errors of this kind.
fn concerns_queue(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Service | ErrorKind::Response | ErrorKind::Checksum | ErrorKind::Transport | ErrorKind::Timeout
    )
}

fn write_missing_queue(f: &mut fmt::Formatter<'_>, queue: &QueueContext, message: &str) -> fmt::Result {
    let name = &queue.name;
    let (server, setting) = match &*queue.server {
        ServerName::Region(region) => (format!("in region {region}"), "region"),
        ServerName::Endpoint(url) => (format!("at {url}"), "endpoint"),
    };
    write!(
        f,
        "queue {name:?} does not exist {server} (AWS.SimpleQueueService.NonExistentQueue); \
         create it or check the {setting}"
    )?;
    match says_more(message) {
        true => write!(f, ": {message}"),
        false => Ok(()),
    }
}

/// Returns `true` if a server's explanation adds something to the fact that the queue does not exist.
fn says_more(message: &str) -> bool {
    let message = message.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_stock_phrase = matches!(
        message.as_str(),
        "" | "queue does not exist"
            | "the specified queue does not exist"
            | "the specified queue does not exist for this wsdl version"
            | "queuedoesnotexist"
    );
    // ElasticMQ repeats the code. Without any explanation, the message says so.
    !is_stock_phrase && !message.ends_with("see the sqs docs") && !message.ends_with("no explanation")
}

fn write_details(
    f: &mut fmt::Formatter<'_>,
    queue: Option<&QueueContext>,
    status: Option<u16>,
    request_id: Option<&str>,
) -> fmt::Result {
    let queue = queue.map(|queue| format!("queue {:?}", queue.name));
    let status = status.map(|status| format!("status {status}"));
    let request_id = request_id.map(|id| format!("request id {id}"));
    let details: Vec<String> = [queue, status, request_id].into_iter().flatten().collect();
    match details.is_empty() {
        true => Ok(()),
        false => write!(f, " ({})", details.join(", ")),
    }
}

/// Formats one line of the kind, the text, and each cause that the line does not contain yet.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = format!("sqs_client::Error({:?}): {self}", self.kind());
        write_causes(&mut line, ": caused by: ", self.source());
        let lines = line.lines().map(str::trim).filter(|line| !line.is_empty());
        f.write_str(&lines.collect::<Vec<_>>().join(" "))
    }
}

/// Appends each cause whose text is not there yet, on one line and cut to the length of an explanation.
fn write_causes(text: &mut String, separator: &str, mut cause: Option<&(dyn StdError + 'static)>) {
    while let Some(error) = cause {
        let shown = explanation(error.to_string());
        if !text.contains(&shown) {
            let _ = write!(text, "{separator}{shown}");
        }
        cause = error.source();
    }
}

/// Returns the texts of an error and its causes, each once.
pub(crate) fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    write_causes(&mut text, ": ", error.source());
    text
}

/// Returns the text of the innermost cause.
pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::service;
    use super::*;

    fn in_region(error: Error) -> Error {
        let server = Arc::new(ServerName::Region("eu-west-1".to_owned()));
        error
            .with_operation("SendMessage")
            .with_queue(QueueContext::new("orders", &server))
    }

    #[test]
    fn a_missing_queue_is_named_with_its_region() {
        let stock = "The specified queue does not exist for this wsdl version.";
        let error = in_region(service(ErrorCode::QueueDoesNotExist, 400, stock));
        let text = "SendMessage: queue \"orders\" does not exist in region eu-west-1 \
                    (AWS.SimpleQueueService.NonExistentQueue); create it or check the region";
        assert_eq!(error.to_string(), format!("{text} (status 400, request id id)"));
        assert_eq!(error.message(), stock);
        let more = "The specified queue does not exist or you do not have access to it.";
        let error = in_region(service(ErrorCode::QueueDoesNotExist, 400, more));
        assert_eq!(error.to_string(), format!("{text}: {more} (status 400, request id id)"));
    }

    #[test]
    fn a_missing_queue_is_named_with_its_endpoint() {
        let server = Arc::new(ServerName::Endpoint("http://localhost:9324".to_owned()));
        let error = service(
            ErrorCode::QueueDoesNotExist,
            400,
            "QueueDoesNotExist; see the SQS docs.",
        );
        assert_eq!(
            error.with_queue(QueueContext::new("orders", &server)).to_string(),
            "queue \"orders\" does not exist at http://localhost:9324 (AWS.SimpleQueueService.NonExistentQueue); \
             create it or check the endpoint (status 400, request id id)"
        );
    }

    #[cfg(feature = "batcher")]
    #[test]
    fn a_failed_lookup_names_the_queue_and_was_not_sent() {
        let error = Error::transport("the connection broke").sent(true).in_lookup("orders");
        assert!(!error.may_have_been_sent());
        assert_eq!(
            error.with_operation("SendMessageBatch").to_string(),
            "SendMessageBatch: looking up the queue \"orders\" failed: the connection broke"
        );
    }

    #[test]
    fn a_service_error_names_the_queue() {
        let error = in_region(service(ErrorCode::AccessDenied, 403, "no"));
        assert_eq!(
            error.to_string(),
            "SendMessage: AccessDenied: no (queue \"orders\", status 403, request id id)"
        );
        let error = in_region(Error::entry(ErrorCode::InvalidMessageContents, None, true));
        assert_eq!(
            error.to_string(),
            "SendMessage: InvalidMessageContents: the entry failed (queue \"orders\")"
        );
    }

    #[test]
    fn display_shows_its_own_layer_once() {
        let error = service(ErrorCode::QueueDoesNotExist, 400, "why").with_operation("SendMessage");
        assert_eq!(
            error.to_string(),
            "SendMessage: QueueDoesNotExist: why (status 400, request id id)"
        );
        let error = Error::transport("the connection broke").with_source("reset by peer");
        assert_eq!(error.to_string(), "the connection broke");
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("reset by peer")
        );
    }

    #[test]
    fn debug_is_one_readable_line_with_each_cause_once() {
        let cause = Error::transport("the connection broke: reset\nby peer").with_source("reset\nby peer");
        let error = Error::held_back(cause.into_source()).with_operation("SendMessageBatch");
        assert_eq!(
            format!("{error:?}"),
            "sqs_client::Error(HeldBack): SendMessageBatch: not sent, because an earlier message of its group failed; \
             send both again in their order: caused by: the connection broke: reset by peer"
        );
        assert_eq!(format!("{error:#?}"), format!("{error:?}"));
    }

    #[test]
    fn debug_cuts_a_cause_of_any_length() {
        let error = Error::credentials("the credentials provider failed").with_source("x".repeat(1024 * 1024));
        assert!(format!("{error:?}").len() < 5 * 1024);
    }
}
