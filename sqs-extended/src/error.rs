//! The one error of the crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::{fmt, io};

use crate::transfer::response::{NotFound, bounded, refuses_time};

/// What went wrong, and what can be done about it.
///
/// The type is opaque; ask it: [`kind`](Self::kind) for what failed, [`is_retryable`](Self::is_retryable),
/// [`may_have_been_sent`](Self::may_have_been_sent) and [`is_missing_payload`](Self::is_missing_payload) for what to
/// do. Retries that the queue's client and the object store make by themselves have already been made.
///
/// [`source`](StdError::source) is the error of the layer below, one of [`sqs_client::Error`],
/// [`object_store::Error`] and [`std::io::Error`]; `Display` does not repeat it.
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
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    receipt_handle: Option<String>,
    source: Option<Source>,
}

enum Source {
    Queue(sqs_client::Error),
    Store(object_store::Error),
    Io(io::Error),
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The settings or the arguments cannot work; nothing was stored or sent.
    InvalidInput,
    /// The payload to send could not be read, or is not as long as was declared; no message was sent.
    PayloadSource,
    /// The queue's client failed.
    Queue,
    /// The object store failed, other than by not having the payload.
    Store,
    /// The store does not have the payload (see [`Error::is_missing_payload`]).
    MissingPayload,
    /// The message claims to point to a payload, but its pointer is malformed, or names what the client is not
    /// configured to touch. The store was not called. Or the message is a malformed notification of SNS.
    RefusedPointer,
    /// An earlier message of the same FIFO group failed in the same call, so that this one was not sent. Send both again, in
    /// their order.
    HeldBack,
    /// The payload's bytes are not those that were sent: length or digest differ.
    Corrupt,
    /// The payload is larger than a setting or the store allows, or than its message claims.
    TooLarge,
    /// The payload is compressed or encrypted in a way that this program cannot read: for want of a feature or of keys,
    /// or because it is of a later version. Nothing was fetched.
    UnsupportedEncoding,
    /// The key provider failed, or does not know the key.
    Key,
    /// The payload is not UTF-8, and text was asked for.
    NotText,
    /// The message is a segment of a payload, and is not to be had alone: let a
    /// [consumer](crate::ExtendedClient::consumer) gather the others. Or it says that it is one, and is not sound.
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

    /// An error with nothing below it.
    pub(crate) fn plain(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(kind, message, None)
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::plain(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn queue(failed: &'static str, source: sqs_client::Error) -> Self {
        Self::new(ErrorKind::Queue, failed, Some(Source::Queue(source)))
    }

    pub(crate) fn store(failed: &'static str, source: object_store::Error) -> Self {
        let message: Cow<'static, str> = if refuses_time(&source) {
            format!("{failed}: the store refuses requests of this time; set this machine's clock right").into()
        } else {
            failed.into()
        };
        Self::new(ErrorKind::Store, message, Some(Source::Store(bounded(source))))
    }

    /// A message that was not sent, as an earlier one of its group failed: at the queue, or before.
    pub(crate) fn held_back(queue: Option<sqs_client::Error>) -> Self {
        let message = "the message was not sent, because an earlier one of its group failed";
        Self::new(ErrorKind::HeldBack, message, queue.map(Source::Queue))
    }

    /// An error of reading a stored payload, where "not found" has a meaning of its own.
    pub(crate) fn fetch(source: object_store::Error) -> Self {
        let failed = match NotFound::of(&source) {
            Some(NotFound::Object) => {
                let missing = "the store does not have the payload that the message points to";
                return Self::new(ErrorKind::MissingPayload, missing, Some(Source::Store(bounded(source))));
            }
            Some(NotFound::Bucket) => "the payload could not be fetched, as the bucket does not exist",
            Some(NotFound::Unclear) => {
                "the payload could not be fetched: the response is a 404 that does not name the object; \
                 check the store's endpoint and what is in front of it"
            }
            None => "the payload could not be fetched",
        };
        Self::store(failed, source)
    }

    pub(crate) fn io(kind: ErrorKind, failed: &'static str, source: io::Error) -> Self {
        Self::new(kind, failed, Some(Source::Io(source)))
    }

    pub(crate) fn with_receipt_handle(mut self, handle: &str) -> Self {
        self.0.receipt_handle = Some(handle.to_owned());
        self
    }

    /// What failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns `true` if the same call may succeed later: what the queue's client says of itself, a failure of the store that is
    /// neither a refusal nor an answer about the object, or a message that was held back.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.0.source {
            Some(Source::Queue(error)) => error.is_retryable(),
            Some(Source::Store(error)) => {
                matches!(error, object_store::Error::Generic { .. }) || NotFound::of(error) == Some(NotFound::Unclear)
            }
            Some(Source::Io(_)) | None => self.0.kind == ErrorKind::HeldBack,
        }
    }

    /// Whether the request to the queue may have taken effect all the same. After a failed send the message may then
    /// be in the queue, and its payload has been kept in the store; otherwise there is no message.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        matches!(&self.0.source, Some(Source::Queue(error)) if error.may_have_been_sent())
    }

    /// Returns `true` if the store says that it does not have the payload: S3's `NoSuchKey`, Azure's `BlobNotFound`,
    /// Google's "No such object", or the word of a store that has no server. SQS delivers at least once, so a duplicate
    /// of a message that was acknowledged already looks like this. Any other failure of the store is not this: neither
    /// throttling, a refusal or a broken connection, nor a 404 by a gateway or about the bucket.
    #[must_use]
    pub fn is_missing_payload(&self) -> bool {
        self.0.kind == ErrorKind::MissingPayload
    }

    /// The receipt handle of the message, for an error that concerns a received one.
    #[must_use]
    pub fn receipt_handle(&self) -> Option<&str> {
        self.0.receipt_handle.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.source.as_ref()? {
            Source::Queue(error) => Some(error),
            Source::Store(error) => Some(error),
            Source::Io(error) => Some(error),
        }
    }
}

/// Carries a failed payload to a consumer of `AsyncRead`; `get_ref` and `downcast_ref` find the [`Error`] again.
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
mod tests {
    use super::*;

    fn not_found() -> object_store::Error {
        object_store::Error::NotFound {
            path: "k".to_owned(),
            source: "gone".into(),
        }
    }

    fn generic() -> object_store::Error {
        object_store::Error::Generic {
            store: "test",
            source: "throttled".into(),
        }
    }

    #[test]
    fn only_not_found_is_a_missing_payload() {
        let missing = Error::fetch(not_found()).with_receipt_handle("handle");
        assert!(missing.is_missing_payload() && !missing.is_retryable());
        assert_eq!(missing.receipt_handle(), Some("handle"));

        let throttled = Error::fetch(generic());
        assert!(!throttled.is_missing_payload() && throttled.is_retryable());
    }

    #[test]
    fn display_leaves_the_source_to_source() {
        let error = Error::store("the payload could not be stored", generic());
        assert_eq!(error.to_string(), "the payload could not be stored");
        assert!(error.source().unwrap().downcast_ref::<object_store::Error>().is_some());
    }

    #[test]
    fn a_key_is_not_taken_for_what_the_store_said() {
        let error = object_store::Error::PermissionDenied {
            path: "payloads/RequestTimeTooSkewed".to_owned(),
            source: "Error performing GET http://s/RequestTimeTooSkewed in 1ms - Server returned non-2xx status code: \
                     403 Forbidden: <Error><Code>AccessDenied</Code></Error>"
                .into(),
        };
        assert_eq!(Error::fetch(error).to_string(), "the payload could not be fetched");
    }

    #[test]
    fn a_long_text_of_a_store_is_cut() {
        let said = || {
            format!(
                "Server returned non-2xx status code: 404 Not Found: <Error><Code>NoSuchKey</Code>{}",
                "é".repeat(1_000_000)
            )
        };
        let errors = [
            object_store::Error::NotFound {
                path: "k".to_owned(),
                source: said().into(),
            },
            object_store::Error::Generic {
                store: "test",
                source: said().into(),
            },
            object_store::Error::PermissionDenied {
                path: "k".to_owned(),
                source: said().into(),
            },
        ];
        for error in errors {
            let variant = std::mem::discriminant(&error);
            let kept = Error::fetch(error);
            let store = kept.source().unwrap().downcast_ref::<object_store::Error>().unwrap();
            assert_eq!(std::mem::discriminant(store), variant);
            let len = store.to_string().len().max(format!("{store:?}").len());
            assert!(len < 20_000, "{len} bytes are kept");
            assert_eq!(
                kept.is_missing_payload(),
                matches!(store, object_store::Error::NotFound { .. })
            );
        }
    }

    #[test]
    fn survives_the_way_through_io_error() {
        let io = io::Error::from(Error::fetch(not_found()));
        assert_eq!(io.kind(), io::ErrorKind::NotFound);
        let ours = io.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert!(ours.is_missing_payload());
    }
}
