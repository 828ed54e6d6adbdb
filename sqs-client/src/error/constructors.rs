//! The constructors of [`Error`].

use std::error::Error as StdError;
use std::sync::Arc;

use super::code::ErrorCode;
use super::kind::ErrorKind;
use super::retry_hint::RetryHint;
use super::{Error, Inner, QueueContext, ServerName, Source};

/// The maximum length of a server's explanation. The rest is cut off.
const MAX_EXPLANATION_BYTES: usize = 4 * 1024;

/// The maximum length of a request id.
const MAX_REQUEST_ID_BYTES: usize = 256;

/// The maximum length of a queue's name in an error. SQS allows 80 characters.
const MAX_QUEUE_BYTES: usize = 256;

/// An error response, independent of the protocol.
#[derive(Debug)]
pub(crate) struct ServiceError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    pub(crate) sender_fault: bool,
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_hint: Option<RetryHint>,
}

impl QueueContext {
    /// Describes the queue of this name on this server. Returns `None` for an empty name.
    pub(crate) fn new(name: &str, server: &Arc<ServerName>) -> Option<Self> {
        let name = Some(name).filter(|name| !name.is_empty())?;
        Some(Self {
            name: cut(name.to_owned(), MAX_QUEUE_BYTES).into(),
            server: Arc::clone(server),
        })
    }
}

impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into().into(),
            operation: None,
            queue: None,
            lookup: None,
            code: None,
            sender_fault: false,
            status: None,
            request_id: None,
            retry_hint: None,
            may_have_been_sent: false,
            source: None,
        }))
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn credentials(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Credentials, message)
    }

    pub(crate) fn transport(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transport, message)
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// Reports an unreadable response to a successful request, which therefore took effect.
    pub(crate) fn response(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Response, message).sent(true)
    }

    /// Reports a response that is longer than the limit. The request took effect.
    pub(crate) fn response_too_long(limit: usize) -> Self {
        let message = format!("the response is longer than {limit} bytes; raise ClientBuilder::max_response_bytes");
        Self::response(message)
    }

    /// Reports a message body that the program cannot read. No request was involved.
    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Body, message)
    }

    /// Reports an MD5 that does not match. The request took effect.
    pub(crate) fn checksum(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Checksum, message).sent(true)
    }

    /// Reports a batcher that has ended. The caller adds whether the call was [`sent`](Self::sent).
    #[cfg(feature = "batcher")]
    pub(crate) fn closed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Closed, message)
    }

    pub(crate) fn service(error: ServiceError) -> Self {
        // A refusal had no effect. After an internal error, the effect is unknown.
        let sent = error.status >= 500 && !error.code.is_throttling();
        let mut this = Self::new(ErrorKind::Service, explanation(error.message)).sent(sent);
        this.0.code = Some(error.code);
        this.0.sender_fault = error.sender_fault;
        this.0.status = Some(error.status);
        this.0.request_id = error.request_id.map(|id| cut(id, MAX_REQUEST_ID_BYTES));
        this.0.retry_hint = error.retry_hint;
        this
    }

    /// Reports a failed entry of a batch.
    pub(crate) fn entry(code: ErrorCode, message: Option<&str>, sender_fault: bool) -> Self {
        let sent = !sender_fault && !code.is_throttling();
        let mut this = Self::new(ErrorKind::Service, message.unwrap_or("the entry failed")).sent(sent);
        this.0.code = Some(code);
        this.0.sender_fault = sender_fault;
        this
    }

    /// Reports a message that is not sent, because an earlier message of its group failed with this cause.
    pub(crate) fn held_back(cause: Source) -> Self {
        let mut this = Self::new(
            ErrorKind::HeldBack,
            "not sent, because an earlier message of its group failed; send both again in their order",
        );
        this.0.source = Some(cause);
        this
    }

    pub(crate) fn into_source(self) -> Source {
        Arc::new(self)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    pub(crate) fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// Names the queue that the request was about.
    pub(crate) fn with_queue(mut self, queue: Option<QueueContext>) -> Self {
        self.0.queue = queue;
        self
    }

    /// Marks the failure of a queue's lookup by its name, before the operation itself. The operation is certainly not sent.
    #[cfg(feature = "batcher")]
    pub(crate) fn in_lookup(mut self, name: &str) -> Self {
        self.0.lookup = Some(cut(name.to_owned(), MAX_QUEUE_BYTES).into());
        self.sent(false)
    }

    pub(crate) fn with_response(mut self, status: u16, request_id: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.request_id = request_id.map(|id| cut(id, MAX_REQUEST_ID_BYTES));
        self
    }

    pub(crate) fn sent(mut self, may_have_been_sent: bool) -> Self {
        self.0.may_have_been_sent = may_have_been_sent;
        self
    }
}

/// Cuts a server's explanation to its maximum length.
///
/// Line breaks and other control characters become spaces, so that a server cannot forge lines of a log.
pub(crate) fn explanation(text: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let text = match text.contains(breaks) {
        true => text.replace(breaks, " "),
        false => text,
    };
    cut(text, MAX_EXPLANATION_BYTES)
}

fn cut(text: String, bytes: usize) -> String {
    match text.get(..text.floor_char_boundary(bytes)) {
        Some(kept) if kept.len() < text.len() => format!("{kept}…"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_one_line() {
        let forged = "no\r\nERROR forged\u{1b}[2J\u{2028}end".to_owned();
        assert_eq!(explanation(forged), "no  ERROR forged [2J end");
        assert_eq!(explanation("plain text".to_owned()), "plain text");
    }

    #[test]
    fn text_is_cut_at_a_character_boundary() {
        assert_eq!(cut("aé".to_owned(), 2), "a…");
        assert_eq!(cut("aé".to_owned(), 3), "aé");
    }
}
