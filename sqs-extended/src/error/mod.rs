//! The error type of the crate.

pub(crate) mod refusal;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

use refusal::{NotFound, advice, condensed, is_final};

/// The error type of this crate.
///
/// [`kind`](Self::kind) tells what failed. [`is_retryable`](Self::is_retryable),
/// [`may_have_been_sent`](Self::may_have_been_sent) and [`is_missing_payload`](Self::is_missing_payload) help to decide
/// what to do. The queue's client and the object store have already made the retries that they make by themselves.
///
/// [`source`](StdError::source) is an [`sqs_client::Error`], an [`object_store::Error`] or an [`std::io::Error`].
/// `Display` leaves it out. `Debug` prints the error and all its causes on one line, so a `main` that returns the error
/// prints a complete explanation.
///
/// ```
/// # fn handle(error: sqs_extended::Error) {
/// use std::error::Error;
///
/// if error.is_missing_payload() {
///     eprintln!("already consumed? receipt handle {:?}", error.receipt_handle());
/// } else if let Some(queue) = error.source().and_then(|e| e.downcast_ref::<sqs_client::Error>()) {
///     eprintln!("{error}: SQS says {:?}", queue.code());
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    receipt_handle: Option<String>,
    source: Option<Source>,
}

#[derive(Clone)]
enum Source {
    Queue(sqs_client::Error),
    Store(Arc<object_store::Error>),
    Io(Arc<io::Error>),
}

/// The part of a call that failed.
///
/// ```
/// use sqs_extended::ErrorKind;
///
/// fn is_configuration_mistake(error: &sqs_extended::Error) -> bool {
///     matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::UnsupportedEncoding)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The settings or the arguments cannot work. Nothing was stored or sent.
    InvalidInput,
    /// The payload to send could not be read, or its length differs from the declared one. No message was sent.
    PayloadSource,
    /// The queue's client failed.
    Queue,
    /// The object store failed for another reason than a missing payload.
    Store,
    /// The store does not have the payload (see [`Error::is_missing_payload`]).
    MissingPayload,
    /// The message claims to point to a payload, but its pointer is malformed or not authenticated. Or it names a location that
    /// the client is not configured to use. The store was not called. A malformed notification of SNS has this kind too.
    RefusedPointer,
    /// The message was not sent because an earlier one of its FIFO group failed in the same call. Send both again in
    /// their order.
    HeldBack,
    /// The payload's bytes are not those that were sent, because their length or digest differs.
    Corrupt,
    /// The payload is larger than a setting or the store allows, or larger than its message claims.
    TooLarge,
    /// The program cannot read the payload's compression or encryption: it lacks a feature or keys, or the encoding is
    /// newer than this version. Nothing was fetched.
    UnsupportedEncoding,
    /// The key provider failed or does not know the key.
    Key,
    /// The payload was requested as text but is not UTF-8.
    NotText,
    /// The payload was requested as JSON but is not the JSON of the requested type.
    NotJson,
    /// The message is one segment of a payload, which cannot be read alone. Use a
    /// [consumer](crate::ExtendedClient::consumer), which gathers the other segments. A message that claims to be a segment
    /// but is malformed has this kind too.
    UnexpectedSegment,
    /// A local file could not be written.
    File,
}

impl Error {
    fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>, source: Option<Source>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            receipt_handle: None,
            source,
        }))
    }

    /// An error without a cause.
    pub(crate) fn plain(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(kind, message, None)
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::plain(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn queue(message: &'static str, source: sqs_client::Error) -> Self {
        Self::new(ErrorKind::Queue, message, Some(Source::Queue(source)))
    }

    /// A failure of the store. Advice follows the message if the cause is known.
    pub(crate) fn store(message: &'static str, source: object_store::Error) -> Self {
        let message = match advice(&source) {
            Some(advice) => format!("{message}: {advice}").into(),
            None => Cow::Borrowed(message),
        };
        Self::new(ErrorKind::Store, message, Some(Source::from_store(source)))
    }

    /// A message that was not sent because an earlier one of its group failed, at the queue or before.
    pub(crate) fn held_back(queue: Option<sqs_client::Error>) -> Self {
        let message =
            "the message was not sent because an earlier one of its group failed; send both again in their order";
        Self::new(ErrorKind::HeldBack, message, queue.map(Source::Queue))
    }

    /// A failure to read a stored payload, where "not found" has a meaning of its own.
    pub(crate) fn fetch(source: object_store::Error) -> Self {
        match NotFound::from_error(&source) {
            Some(NotFound::Object) => {
                let message = "the store does not have the payload that the message points to";
                Self::new(ErrorKind::MissingPayload, message, Some(Source::from_store(source)))
            }
            Some(NotFound::Unclear) if advice(&source).is_none() => {
                let message = "the payload could not be fetched: the response is a 404 that does not name the object; \
                               check the store's endpoint and any gateway in front of it";
                Self::store(message, source)
            }
            _ => Self::store("the payload could not be fetched", source),
        }
    }

    pub(crate) fn io(kind: ErrorKind, message: &'static str, source: io::Error) -> Self {
        Self::new(kind, message, Some(Source::Io(Arc::new(source))))
    }

    pub(crate) fn with_receipt_handle(mut self, handle: &str) -> Self {
        self.0.receipt_handle = Some(handle.to_owned());
        self
    }

    /// Returns the part of the call that failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns `true` if the same call may succeed later.
    ///
    /// That is so if the error of the queue's client is retryable, if the store failed without refusing the request or
    /// reporting on the object, or if the message was held back. Denied access, rejected credentials and a missing bucket
    /// are refusals.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.0.source {
            Some(Source::Queue(error)) => error.is_retryable(),
            Some(Source::Store(error)) => {
                matches!(**error, object_store::Error::Generic { .. }) && !is_final(error)
                    || NotFound::from_error(error) == Some(NotFound::Unclear)
            }
            Some(Source::Io(_)) | None => self.0.kind == ErrorKind::HeldBack,
        }
    }

    /// Returns `true` if the request to the queue may have taken effect although it failed.
    ///
    /// After a failed send, the message may then be in the queue, so its payload stays in the store. With `false`, the queue
    /// has no message to deliver, though segments of a split payload may remain.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        matches!(&self.0.source, Some(Source::Queue(error)) if error.may_have_been_sent())
    }

    /// Returns `true` if the store itself says that it does not have the payload.
    ///
    /// The store says so by S3's `NoSuchKey`, Azure's `BlobNotFound` or Google's "No such object". A store without a server
    /// says "not found". SQS delivers at least once, so the duplicate of an acknowledged message fails in this way.
    ///
    /// Any other failure of the store returns `false`: throttling, a refusal, a broken connection, and a 404 from a
    /// gateway or about the bucket.
    #[must_use]
    pub fn is_missing_payload(&self) -> bool {
        self.0.kind == ErrorKind::MissingPayload
    }

    /// Returns the receipt handle of the message if the error concerns a received one.
    #[must_use]
    pub fn receipt_handle(&self) -> Option<&str> {
        self.0.receipt_handle.as_deref()
    }
}

impl Source {
    fn from_store(error: object_store::Error) -> Self {
        Self::Store(Arc::new(condensed(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// One line with the kind, the text and the causes. A cause that repeats an earlier text is left out.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.to_string();
        for cause in std::iter::successors(self.source(), |&cause| cause.source()) {
            let cause = cause.to_string();
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        write!(f, "sqs_extended::Error({:?}): {text}", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.source.as_ref()? {
            Source::Queue(error) => Some(error),
            Source::Store(error) => Some(&**error),
            Source::Io(error) => Some(&**error),
        }
    }
}

/// Carries the failure of a payload through `AsyncRead`. `get_ref` and `downcast_ref` return the [`Error`] again.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::MissingPayload => io::ErrorKind::NotFound,
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests;
