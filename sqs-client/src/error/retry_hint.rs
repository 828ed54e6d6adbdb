use std::time::Duration;

/// The server's request for a pause before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryHint {
    /// Replaces the client's own pause: `Retry-After`.
    After(Duration),
    /// Stretches the client's own pause within bounds: `x-amz-retry-after`.
    Within(Duration),
}
