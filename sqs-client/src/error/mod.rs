//! The one error of the crate.

mod code;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::retry::RetryHint;
use crate::types::BatchResultErrorEntry;

pub use code::ErrorCode;

/// Most bytes of a server's explanation that are kept. The rest is cut off.
const MAX_EXPLANATION_BYTES: usize = 4 * 1024;

/// Longest id of a request that is kept.
const MAX_REQUEST_ID_BYTES: usize = 256;

pub(crate) type Source = Arc<dyn StdError + Send + Sync>;

/// What went wrong, and what can be done about it.
///
/// The type is opaque; ask it: [`kind`](Self::kind) for the layer that failed, [`code`](Self::code) for the server's
/// word, [`is_retryable`](Self::is_retryable) and [`may_have_been_sent`](Self::may_have_been_sent) for what to do.
/// Retries that the client's own policy allows have already been made.
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
/// use sqs_client::ErrorCode;
///
/// match client.send_message(queue, "hello").await {
///     Ok(sent) => println!("sent {}", sent.message_id),
///     Err(e) if e.code() == Some(&ErrorCode::QueueDoesNotExist) => println!("create the queue first"),
///     Err(e) if e.may_have_been_sent() => println!("perhaps sent: {e}"),
///     Err(e) => return Err(e),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    /// Shared by the clones for each entry of a batch.
    message: Arc<str>,
    operation: Option<&'static str>,
    code: Option<ErrorCode>,
    sender_fault: bool,
    status: Option<u16>,
    request_id: Option<String>,
    retry_hint: Option<RetryHint>,
    may_have_been_sent: bool,
    source: Option<Source>,
}

/// The layer that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client's settings cannot work together, or one is missing.
    Configuration,
    /// The input would be refused by any server; nothing was sent.
    InvalidInput,
    /// No credentials could be had; nothing was sent.
    Credentials,
    /// The connection failed, or broke before the whole answer was here.
    Transport,
    /// The time allowed was over.
    Timeout,
    /// The server answered with an error.
    Service,
    /// The server's answer could not be understood.
    Response,
    /// The body of a received message is not what the program expects, such as JSON of another type. The message itself
    /// was received.
    Body,
    /// The server's MD5 of what it stored or delivered is not that of what was sent or arrived.
    Checksum,
    /// The message was not sent, because an earlier one of its group failed. The error's source is that failure.
    HeldBack,
    /// The `Batcher` takes no more calls, or ended before it had the answer to this one.
    Closed,
}

/// What a server's error answer says, whichever protocol it was said in.
#[derive(Debug)]
pub(crate) struct ServiceError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    pub(crate) sender_fault: bool,
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_hint: Option<RetryHint>,
}

impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into().into(),
            operation: None,
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

    /// A success answer that cannot be read: the request took effect.
    pub(crate) fn response(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Response, message).sent(true)
    }

    /// A message body that is not what the program expects. Nothing was sent.
    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Body, message)
    }

    /// A digest that does not match: the request took effect.
    pub(crate) fn checksum(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Checksum, message).sent(true)
    }

    /// A batcher's end; whether it sent the call is to be added.
    #[cfg(feature = "batcher")]
    pub(crate) fn closed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Closed, message)
    }

    pub(crate) fn service(error: ServiceError) -> Self {
        // A definite refusal had no effect; after an internal error nobody knows.
        let sent = error.status >= 500 && !error.code.is_throttling();
        let mut this = Self::new(ErrorKind::Service, explanation(error.message)).sent(sent);
        this.0.code = Some(error.code);
        this.0.sender_fault = error.sender_fault;
        this.0.status = Some(error.status);
        this.0.request_id = error.request_id.map(|id| cut(id, MAX_REQUEST_ID_BYTES));
        this.0.retry_hint = error.retry_hint;
        this
    }

    /// A message that is not sent after an earlier one of its group failed for this reason.
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

    /// What the server said of one entry of a batch.
    pub(crate) fn entry(failed: &BatchResultErrorEntry) -> Self {
        let message = failed.message.as_deref().unwrap_or("the entry failed");
        let throttled = failed.code.is_throttling();
        let mut this = Self::new(ErrorKind::Service, message).sent(!failed.sender_fault && !throttled);
        this.0.code = Some(failed.code.clone());
        this.0.sender_fault = failed.sender_fault;
        this
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    pub(crate) fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = Some(operation);
        self
    }

    pub(crate) fn with_answer(mut self, status: u16, request_id: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.request_id = request_id.map(|id| cut(id, MAX_REQUEST_ID_BYTES));
        self
    }

    pub(crate) fn sent(mut self, may_have_been_sent: bool) -> Self {
        self.0.may_have_been_sent = may_have_been_sent;
        self
    }

    /// How long the server asked to wait before another try.
    pub(crate) fn retry_hint(&self) -> Option<RetryHint> {
        self.0.retry_hint
    }

    /// The layer that failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The action that failed, such as `SendMessage`; `None` for an error of the client's settings.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// What the server called the error; the same whichever protocol it spoke. `None` unless the server answered.
    #[must_use]
    pub fn code(&self) -> Option<&ErrorCode> {
        self.0.code.as_ref()
    }

    /// The explanation, the server's own where it gave one.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the server holds the request, rather than itself, to be at fault.
    #[must_use]
    pub fn is_sender_fault(&self) -> bool {
        self.0.sender_fault
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's id of the request, to ask AWS's support with.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Whether the same request may succeed later: a fault of the connection, a timeout, throttling, a fault of
    /// the server's own, or a message that was held back. The client's own retries are used up when an error is returned.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Transport | ErrorKind::Timeout | ErrorKind::HeldBack => true,
            ErrorKind::Service => {
                self.is_throttled()
                    || self.is_clock_skew()
                    // An entry of a batch has no status, but says whose fault it was.
                    || self.0.status.map_or(!self.0.sender_fault, |status| status >= 500)
                    || self.0.code.as_ref().is_some_and(ErrorCode::is_transient)
            }
            _ => false,
        }
    }

    /// Whether the server refused because of too many requests: slow down.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.0.status == Some(429) || self.0.code.as_ref().is_some_and(ErrorCode::is_throttling)
    }

    /// Whether the request may have taken effect although it failed: the connection broke or timed out after the
    /// request had begun to go out, the server answered with an internal error, or its success could not be read.
    /// `false` means that it certainly did not.
    ///
    /// For a request that was retried, any attempt of which this is true makes it true.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.0.may_have_been_sent
    }

    /// Whether the server refused a batch for the bytes of all its entries together.
    pub(crate) fn is_batch_too_long(&self) -> bool {
        match &self.0.code {
            Some(ErrorCode::BatchRequestTooLong) => true,
            // ElasticMQ 1.6 has this explanation, ElasticMQ 1.3 the same word as its code.
            Some(ErrorCode::InvalidAttributeValue) => &*self.0.message == "MessageTooLong",
            Some(ErrorCode::Other(code)) if code == "MessageTooLong" => true,
            // A proxy's limit on bodies.
            _ => self.0.status == Some(413),
        }
    }

    /// Whether the server's clock and ours are too far apart for the signature.
    pub(crate) fn is_clock_skew(&self) -> bool {
        match &self.0.code {
            Some(ErrorCode::RequestTimeTooSkewed | ErrorCode::RequestExpired) => true,
            Some(ErrorCode::InvalidSignature | ErrorCode::SignatureDoesNotMatch) => {
                self.0.message.contains("Signature expired") || self.0.message.contains("Signature not yet current")
            }
            _ => false,
        }
    }

    /// Whether the server said for certain that it does not understand the protocol, and so did nothing.
    pub(crate) fn refuses_protocol(&self) -> bool {
        let Some(code) = &self.0.code else { return false };
        let refused = match self.0.status {
            Some(400 | 404 | 405 | 406 | 415) => code.is_unnamed() || *code == ErrorCode::InvalidAction,
            _ => false,
        };
        refused && !self.0.may_have_been_sent
    }

    /// Returns `true` if the server refused the credentials themselves, so that others may be accepted.
    pub(crate) fn rejects_credentials(&self) -> bool {
        matches!(
            self.0.code,
            Some(ErrorCode::ExpiredToken | ErrorCode::InvalidClientTokenId)
        )
    }
}

/// A server's explanation, at a bounded length.
pub(crate) fn explanation(text: String) -> String {
    cut(text, MAX_EXPLANATION_BYTES)
}

fn cut(text: String, bytes: usize) -> String {
    match text.get(..text.floor_char_boundary(bytes)) {
        Some(kept) if kept.len() < text.len() => format!("{kept}…"),
        _ => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(operation) = inner.operation {
            write!(f, "{operation}: ")?;
        }
        if let Some(code) = &inner.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&inner.message)?;
        match (inner.status, &inner.request_id) {
            (Some(status), Some(id)) => write!(f, " (status {status}, request id {id})"),
            (Some(status), None) => write!(f, " (status {status})"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: ErrorCode, status: u16) -> Error {
        Error::service(ServiceError {
            code,
            message: "why".to_owned(),
            sender_fault: status < 500,
            status,
            request_id: Some("id".to_owned()),
            retry_hint: None,
        })
    }

    #[test]
    fn a_refusal_was_certainly_not_sent_and_an_internal_error_may_have_been() {
        assert!(!answered(ErrorCode::QueueDoesNotExist, 400).may_have_been_sent());
        assert!(answered(ErrorCode::InternalError, 500).may_have_been_sent());
        assert!(!answered(ErrorCode::ThrottlingException, 503).may_have_been_sent());
        assert!(!Error::invalid_input("x").may_have_been_sent());
        assert!(Error::response("x").may_have_been_sent());
    }

    #[test]
    fn clones_share_the_servers_explanation() {
        let error = answered(ErrorCode::InternalError, 500);
        assert!(Arc::ptr_eq(&error.0.message, &error.clone().0.message));
    }

    #[test]
    fn what_is_cut_ends_at_a_character() {
        assert_eq!(cut("aé".to_owned(), 2), "a…");
        assert_eq!(cut("aé".to_owned(), 3), "aé");
    }

    #[test]
    fn display_says_its_own_layer_once() {
        let error = answered(ErrorCode::QueueDoesNotExist, 400).with_operation("SendMessage");
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
}
