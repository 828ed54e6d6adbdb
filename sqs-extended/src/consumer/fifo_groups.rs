//! The groups of a FIFO queue, which a consumer's handlers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::consumer::held_segment::Segment;
use crate::receive::claimed_segments::{Observer, PayloadEnd};
use crate::segment::fifo_planner::{Finished, Planner, Received, Step, is_complete};

/// The messages of one payload at the head of a group.
pub(super) struct GroupHead {
    pub(super) segments: Vec<Segment>,
    /// An ordinary message behind them has the payload's deduplication id.
    pub(super) sent_again: bool,
}

/// The state of the payloads of all groups.
pub(super) struct FifoGroups(Mutex<Planner>);

impl FifoGroups {
    pub(super) fn new(planner: Planner) -> Self {
        Self(Mutex::new(planner))
    }

    /// Decides what to do with the segments of one payload, which are the first of their group.
    pub(super) fn plan(&self, GroupHead { segments, sent_again }: &GroupHead) -> Step {
        let received = received(segments);
        self.planner()
            .plan(group(segments), &received, *sent_again, Instant::now())
    }

    /// Returns the observer of a complete payload, or `None` if there are no segments.
    pub(super) fn observer(self: &Arc<Self>, segments: &[Segment]) -> Option<Observer> {
        let (this, finished) = (Arc::clone(self), finished(segments)?);
        Some(Observer {
            // A partly deleted payload would block the group, and a whole one is delivered again in any case.
            trusts_unconfirmed: true,
            on_end: Box::new(move |end| match end {
                PayloadEnd::Acknowledged => this.planner().finish(finished.clone(), Instant::now()),
                PayloadEnd::Returned(_) => {}
            }),
        })
    }

    fn planner(&self) -> MutexGuard<'_, Planner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `true` if the payload of the first segment is complete.
pub(super) fn are_complete(segments: &[Segment]) -> bool {
    is_complete(&received(segments))
}

fn received(segments: &[Segment]) -> Vec<Received<'_>> {
    let received = segments.iter().map(|segment| Received {
        header: &segment.header,
        len: segment.len(),
        message_id: &segment.message.message_id,
        sent: segment.message.attributes.sent_timestamp(),
    });
    received.collect()
}

/// Describes a payload as it is remembered once it is acknowledged. Returns `None` if there are no segments.
fn finished(segments: &[Segment]) -> Option<Finished> {
    let sent = segments
        .iter()
        .map(|segment| segment.message.attributes.sent_timestamp());
    Some(Finished::new(group(segments), &segments.first()?.header.whole, sent))
}

fn group(segments: &[Segment]) -> &str {
    let first = segments.first();
    first
        .and_then(|first| first.message.attributes.message_group_id())
        .unwrap_or_default()
}

/// Returns segments to the queue, the first one last. SQS delivers a group up to the first message that is in flight, so a
/// competing consumer would receive the head of a payload without its tail.
pub(super) async fn return_head_last(segments: impl IntoIterator<Item = Segment>, delay: Duration) {
    let mut segments = segments.into_iter();
    let head = segments.next();
    join_all(segments.map(|segment| segment.return_to_queue(delay))).await;
    if let Some(head) = head {
        head.return_to_queue(delay).await;
    }
}
