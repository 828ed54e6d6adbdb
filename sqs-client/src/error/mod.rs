//! The crate's one error type.

mod code;
mod constructors;
mod display;
mod exchange;
mod kind;
mod retry_hint;

use std::error::Error as StdError;
use std::sync::Arc;

pub use code::ErrorCode;
pub(crate) use constructors::{ServiceError, explanation};
pub(crate) use display::{root_cause, with_causes};
pub use kind::ErrorKind;
pub(crate) use retry_hint::RetryHint;

pub(crate) type Source = Arc<dyn StdError + Send + Sync>;

/// The error of every call. It says what went wrong, and what the caller can do about it.
///
/// The type is opaque. [`kind`](Self::kind) tells which layer failed, and [`code`](Self::code) is the server's error
/// code. [`is_retryable`](Self::is_retryable) and [`may_have_been_sent`](Self::may_have_been_sent) help to decide what
/// to do next. By then the client has made the retries that its policy allows.
///
/// `Display` shows one line for a log. `Debug`, which a `main` that returns the error prints, adds the causes.
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

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    /// The explanation. The clones for the entries of a batch share it.
    message: Arc<str>,
    operation: Option<&'static str>,
    queue: Option<QueueContext>,
    /// The name of the queue whose lookup failed, if the error is of a lookup before the operation.
    lookup: Option<Arc<str>>,
    code: Option<ErrorCode>,
    sender_fault: bool,
    status: Option<u16>,
    request_id: Option<String>,
    retry_hint: Option<RetryHint>,
    may_have_been_sent: bool,
    source: Option<Source>,
}

/// The queue of a request.
#[derive(Clone, Debug)]
pub(crate) struct QueueContext {
    name: Arc<str>,
    server: Arc<ServerName>,
}

/// The name of a server, as its user knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerName {
    /// AWS's own endpoint of this region.
    Region(String),
    /// The URL of a custom endpoint.
    Endpoint(String),
}

impl Error {
    /// Returns the pause that the server requested before another attempt.
    pub(crate) fn retry_hint(&self) -> Option<RetryHint> {
        self.0.retry_hint
    }

    /// Returns the layer that failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the action that failed, such as `SendMessage`. `None` if no action was involved, for example if building
    /// the client failed.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Returns the server's error code, or `None` if the server sent none. The code does not depend on the protocol.
    #[must_use]
    pub fn code(&self) -> Option<&ErrorCode> {
        self.0.code.as_ref()
    }

    /// Returns the explanation, which is the server's own if it sent one.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns `true` if the server says that the request is at fault, and not the server itself.
    #[must_use]
    pub fn is_sender_fault(&self) -> bool {
        self.0.sender_fault
    }

    /// Returns the HTTP status, or `None` if there was no response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the server's id of the request, which AWS's support can look up.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns `true` if the same request may succeed later.
    ///
    /// These errors are retryable: a broken connection, a timeout, throttling, a fault of the server, a wrong clock,
    /// and a message that was held back. The client returns them only after its own retries.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Transport | ErrorKind::Timeout | ErrorKind::HeldBack => true,
            ErrorKind::Service => {
                self.is_throttled()
                    || self.is_clock_skew()
                    // A batch entry has no status, but says whose fault it was.
                    || self.0.status.map_or(!self.0.sender_fault, |status| status >= 500)
                    || self.0.code.as_ref().is_some_and(ErrorCode::is_transient)
            }
            _ => false,
        }
    }

    /// Returns `true` if the server throttled the request. The caller should slow down.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.0.status == Some(429) || self.0.code.as_ref().is_some_and(ErrorCode::is_throttling)
    }

    /// Returns `true` if the request may have taken effect although it failed, and `false` if it certainly did not.
    ///
    /// A request may have taken effect if the connection broke or timed out after sending began. The same applies if
    /// the server reported an internal error, or if its response could not be read. After retries, the method returns
    /// `true` if any attempt may have taken effect.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.0.may_have_been_sent
    }

    /// Returns `true` if the server refused a batch because its entries have too many bytes together.
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

    /// Returns `true` if the server's clock and ours are too far apart for the signature.
    pub(crate) fn is_clock_skew(&self) -> bool {
        match &self.0.code {
            Some(ErrorCode::RequestTimeTooSkewed | ErrorCode::RequestExpired) => true,
            Some(ErrorCode::InvalidSignature | ErrorCode::SignatureDoesNotMatch) => {
                self.0.message.contains("Signature expired") || self.0.message.contains("Signature not yet current")
            }
            _ => false,
        }
    }

    /// Returns `true` if the server certainly does not understand the protocol. The request then had no effect.
    pub(crate) fn refuses_protocol(&self) -> bool {
        let Some(code) = &self.0.code else { return false };
        let refused = match self.0.status {
            Some(400 | 404 | 405 | 406 | 415) => code.is_unnamed() || *code == ErrorCode::InvalidAction,
            _ => false,
        };
        refused && !self.0.may_have_been_sent
    }

    /// Returns `true` if the server refused the credentials themselves. New credentials may be accepted.
    pub(crate) fn rejects_credentials(&self) -> bool {
        matches!(
            self.0.code,
            Some(ErrorCode::ExpiredToken | ErrorCode::InvalidClientTokenId)
        )
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

    pub(super) fn service(code: ErrorCode, status: u16, message: &str) -> Error {
        Error::service(ServiceError {
            code,
            message: message.to_owned(),
            sender_fault: status < 500,
            status,
            request_id: Some("id".to_owned()),
            retry_hint: None,
        })
    }

    #[test]
    fn a_refusal_was_certainly_not_sent_and_an_internal_error_may_have_been() {
        assert!(!service(ErrorCode::QueueDoesNotExist, 400, "why").may_have_been_sent());
        assert!(service(ErrorCode::InternalError, 500, "why").may_have_been_sent());
        assert!(!service(ErrorCode::ThrottlingException, 503, "why").may_have_been_sent());
        assert!(!Error::invalid_input("x").may_have_been_sent());
        assert!(!Error::body("x").may_have_been_sent());
        assert!(Error::response("x").may_have_been_sent());
    }

    #[test]
    fn clones_share_the_servers_explanation() {
        let error = service(ErrorCode::InternalError, 500, "why");
        assert!(Arc::ptr_eq(&error.0.message, &error.clone().0.message));
    }
}
