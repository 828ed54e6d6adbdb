//! Checks that a queue allows the receives that gathering segments requires.

use sqs_client::internal::is_fifo;
use sqs_client::types::QueueAttributeName;
use sqs_client::{Client, limits};

use crate::error::Error;
use crate::segment::fifo_planner::RECEIVES_WHILE_HIDDEN;

/// The approximate number of segments of a payload at the default split limit.
const SEGMENTS: f64 = 32.0;

/// The receives beyond those that half of all payloads require.
const SPARE: u32 = 3;

/// The number of futile receives while a killed consumer hides the first segment. They are about 1.5 seconds apart, for the
/// 30 seconds of the default visibility timeout. We measured 22 receives in all with 4 consumers.
const PASSED_AROUND: u32 = 20;

/// Checks the queue's redrive policy.
///
/// # Errors
///
/// The queue's `maxReceiveCount` is too low, or could not be read.
pub(super) async fn check(client: &Client, queue_url: &str, consumers: u32) -> Result<(), Error> {
    let attributes = client
        .get_queue_attributes(queue_url, [QueueAttributeName::RedrivePolicy])
        .await
        .map_err(|error| Error::queue("failed to read the queue's redrive policy", error))?
        .attributes;
    let Some(policy) = attributes.redrive_policy else {
        return Ok(());
    };
    let needed = if is_fifo(queue_url) {
        RECEIVES_WHILE_HIDDEN + 1
    } else {
        receives_needed(consumers)
    };
    if policy.max_receive_count >= needed {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the queue's maxReceiveCount is {}, but {consumers} consumers require {needed} to gather segments; raise it, use \
         fewer consumers or a payload store, or set `skip_redrive_check`",
        policy.max_receive_count
    )))
}

/// Returns the number of receives that gathering requires. At each receive, a segment reaches the consumer that gathers its
/// payload with a probability of 1 / `consumers`.
fn receives_needed(consumers: u32) -> u32 {
    if consumers <= 1 {
        return SPARE;
    }
    let found_by = |receives: u32| {
        let misses = 1.0 - 1.0 / f64::from(consumers);
        SEGMENTS * misses.powf(f64::from(receives)) <= 1.0
    };
    let most = limits::MAX_RECEIVE_COUNT;
    let found = (1..most).find(|receives| found_by(*receives)).unwrap_or(most);
    found + PASSED_AROUND + SPARE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_competing_consumers_require_more_receives() {
        let needed: Vec<u32> = [1, 2, 4, 8].into_iter().map(receives_needed).collect();
        assert_eq!(needed, [3, 28, 36, 49]);
        assert_eq!(
            receives_needed(u32::MAX),
            limits::MAX_RECEIVE_COUNT + PASSED_AROUND + SPARE
        );
    }
}
