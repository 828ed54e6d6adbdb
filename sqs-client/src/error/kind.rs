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
    /// The client's settings contradict each other, or one is missing.
    Configuration,
    /// The input is one that every server would refuse. Nothing was sent.
    InvalidInput,
    /// No credentials were available. Nothing was sent.
    Credentials,
    /// The connection failed, or broke before the whole response arrived.
    Transport,
    /// The time limit passed.
    Timeout,
    /// The server responded with an error.
    Service,
    /// The server's response could not be understood.
    Response,
    /// The body of a received message is not what the program expects, such as JSON of another type. The message itself
    /// was received.
    Body,
    /// The server's MD5 does not match the data that was sent or received.
    Checksum,
    /// The message was not sent, because an earlier message of its group failed. The error's source is that failure.
    HeldBack,
    /// The `Batcher` was shut down, or ended before it received the response to this call.
    Closed,
}
