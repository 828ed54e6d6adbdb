//! Metrics of transfers, through the `metrics` facade if the feature `metrics` is on.

/// The number of bytes that arrived at their end. Bytes that are transferred again count again.
pub(crate) const BYTES: &str = "sqs.payload.bytes";

/// The number of requests for which a store charges. Repetitions by the store's own client are unknown.
pub(crate) const REQUESTS: &str = "sqs.payload.requests";

/// The direction of a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Download,
    Upload,
}

/// Adds to a counter of this direction.
pub(crate) fn count(name: &'static str, direction: Direction, by: u64) {
    #[cfg(feature = "metrics")]
    {
        let direction = match direction {
            Direction::Download => "download",
            Direction::Upload => "upload",
        };
        metrics::counter!(name, "direction" => direction).increment(by);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (name, direction, by);
}
