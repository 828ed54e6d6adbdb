/// The layer that failed.
///
/// ```
/// use sqs_client::{Client, ErrorKind};
///
/// let error = Client::builder().build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Configuration);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting of the client is missing or malformed, or two settings contradict each other.
    Configuration,
    /// Every server would refuse the input. Nothing was sent.
    InvalidInput,
    /// No credentials were available. Nothing was sent.
    Credentials,
    /// The connection failed, or broke before the whole response arrived.
    Transport,
    /// A time limit passed, such as that of an attempt or of the whole request.
    Timeout,
    /// The server responded with an error.
    Service,
    /// The server's response could not be understood.
    Response,
    /// The body of a received message does not have the expected format, for example JSON of another type.
    Body,
    /// The server's MD5 does not match the data that was sent or received.
    Checksum,
    /// The message was not sent, because an earlier message of its group failed. The error's source is that failure.
    HeldBack,
    /// The `Batcher` was shut down, or ended before it received the response to this call.
    Closed,
}
