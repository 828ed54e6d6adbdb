//! Metrics, through the `metrics` facade if the feature `metrics` is on.
//!
//! Names are those of OpenTelemetry's semantic conventions for messaging where it has one. No secret and no message body
//! is ever recorded.

/// Adds to a counter of this queue.
pub(crate) fn count(name: &'static str, queue: &str, by: usize) {
    #[cfg(feature = "metrics")]
    metrics::counter!(name, QUEUE => queue.to_owned()).increment(u64::try_from(by).unwrap_or(u64::MAX));
    #[cfg(not(feature = "metrics"))]
    let _ = (name, queue, by);
}

/// Adds a value to a histogram of this queue.
pub(crate) fn record(name: &'static str, queue: &str, value: f64) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(name, QUEUE => queue.to_owned()).record(value);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, queue, value);
}

/// Sets a gauge of this queue.
#[cfg(feature = "consumer")]
pub(crate) fn set(name: &'static str, queue: &str, value: usize) {
    #[cfg(feature = "metrics")]
    metrics::gauge!(name, QUEUE => queue.to_owned()).set(value as f64);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, queue, value);
}

#[cfg(feature = "metrics")]
const QUEUE: &str = "messaging.destination.name";
