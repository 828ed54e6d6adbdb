//! Whether a queue lets segments be received as often as it takes to gather them.

use sqs_client::types::QueueAttributeName;
use sqs_client::{Client, limits};

use crate::error::Error;
use crate::segment::fifo_planner::RECEIVES_WHILE_HIDDEN;
use crate::send::policy::is_fifo;

/// A payload of the default split limit has about so many segments.
const SEGMENTS: f64 = 32.0;

/// Receives beyond those that half of all payloads need.
const SPARE: u32 = 3;

/// How often segments are received in vain while a consumer that was killed hides the first of them: some 1.5 s apart, for the
/// 30 s that a consumer hides messages unless it is set otherwise. 22 receives in all were seen with 4 consumers.
const PASSED_AROUND: u32 = 20;

/// # Errors
///
/// The queue's `maxReceiveCount` is too low, or could not be read.
pub(super) async fn check(client: &Client, queue_url: &str, consumers: u32) -> Result<(), Error> {
    let attributes = client
        .get_queue_attributes(queue_url, [QueueAttributeName::RedrivePolicy])
        .await
        .map_err(|error| Error::queue("the queue's redrive policy could not be read", error))?
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
        "the queue's maxReceiveCount is {}, and {consumers} consumers need {needed} to gather segments: raise it, use \
         fewer consumers or a payload store, or start with `skip_redrive_check`",
        policy.max_receive_count
    )))
}

/// A segment finds the consumer that gathers its payload with the chance of one to the number of consumers, by each receive:
/// so many it takes until none of the payload's is missing any more.
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
    fn the_more_compete_the_more_receives_it_takes() {
        let needed: Vec<u32> = [1, 2, 4, 8].into_iter().map(receives_needed).collect();
        assert_eq!(needed, [3, 28, 36, 49]);
        assert_eq!(
            receives_needed(u32::MAX),
            limits::MAX_RECEIVE_COUNT + PASSED_AROUND + SPARE
        );
    }
}
