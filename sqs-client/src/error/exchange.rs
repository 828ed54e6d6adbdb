//! The public constructors of [`Error`], for services that exchange requests and responses.

use std::error::Error as StdError;

use super::Error;
use super::display::root_cause;

/// Errors of an [`HttpService`](crate::client::HttpService).
impl Error {
    /// Reports a request that certainly did not reach a server, for example because no connection was made.
    ///
    /// The error's kind is [`Transport`](crate::ErrorKind::Transport), and `cause` is its source.
    ///
    /// ```
    /// let error = sqs_client::Error::not_sent("connection refused");
    /// assert!(error.is_retryable() && !error.may_have_been_sent());
    /// ```
    #[must_use]
    pub fn not_sent(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let cause = cause.into();
        Self::transport(format!("the request could not be sent: {}", root_cause(&*cause))).with_source(cause)
    }

    /// Reports a request whose response did not arrive, so that it may have taken effect.
    ///
    /// The error's kind is [`Transport`](crate::ErrorKind::Transport), and `cause` is its source.
    ///
    /// ```
    /// let error = sqs_client::Error::connection_lost("connection reset");
    /// assert!(error.is_retryable() && error.may_have_been_sent());
    /// ```
    #[must_use]
    pub fn connection_lost(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let cause = cause.into();
        let message = format!(
            "the connection broke before the whole response arrived: {}",
            root_cause(&*cause)
        );
        Self::transport(message).sent(true).with_source(cause)
    }
}
