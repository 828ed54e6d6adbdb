//! A message in a queue: its state, its deliveries, and the parameters of a receive.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::queue::handle::Handle;
use crate::queue::message::Content;
use crate::rng::Rng;

/// A message with its history, which moves between queues.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) content: Arc<Content>,
    /// The number of receives from all queues, which SQS keeps when it moves a dead letter.
    pub(crate) receives: u32,
    pub(crate) first_received_ms: Option<u64>,
    /// The ARN of the queue that this dead letter comes from.
    pub(crate) source_arn: Option<String>,
    /// The start of the retention period.
    pub(crate) entered: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Delayed {
        until: Instant,
    },
    /// `lapsed` if the visibility timeout expired, in contrast to a return by the receiver.
    Ready {
        lapsed: bool,
    },
    InFlight {
        until: Instant,
        since: Instant,
    },
}

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) parcel: Parcel,
    pub(crate) state: State,
    /// The place in the order of delivery, as `Ready` explains.
    pub(crate) rank: u64,
    /// The number of receives from this queue, which its redrive policy limits.
    pub(crate) receives: u32,
    /// The newest delivery.
    pub(crate) delivery: u64,
    /// `true` if a request changed the visibility timeout of the newest delivery.
    pub(crate) changed: bool,
    /// `true` for a copy of a message that was delivered more than once on purpose.
    pub(crate) is_copy: bool,
}

impl Stored {
    pub(crate) fn group(&self) -> &str {
        self.parcel.content.group.as_deref().unwrap_or_default()
    }
}

/// A receive's parameters.
#[derive(Debug)]
pub(crate) struct Take<'a> {
    pub(crate) max: usize,
    pub(crate) visibility: Duration,
    /// The number of receives after which a message is a dead letter.
    pub(crate) max_receives: Option<u32>,
    /// Takes random messages instead of the next.
    pub(crate) shuffle: Option<&'a Rng>,
}

/// A delivered message.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) handle: Handle,
    pub(crate) parcel: Parcel,
}

/// The result of a receive with the ReceiveRequestAttemptId of an earlier one.
#[derive(Debug)]
pub(crate) enum Repeat {
    /// The same messages with the same handles.
    Same(Vec<Delivery>),
    /// The visibility timeout of a message expired, so the receive counts as a new one.
    Expired,
    /// A message was deleted, or a request changed its visibility timeout.
    Refused,
}

/// The reason why a handle is no longer valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The message was deleted or moved to another queue.
    Gone,
    /// The message of a FIFO queue was received again, or its visibility timeout expired.
    Expired,
    /// The message was returned to the queue.
    NotInFlight,
    /// The timeout would exceed twelve hours.
    TooLong,
}

/// The number of messages in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that can be received, on a FIFO queue including those behind a message in flight.
    pub visible: usize,
    /// Messages that were received, and neither deleted nor visible again.
    pub in_flight: usize,
    /// Messages whose delay has not expired.
    pub delayed: usize,
}
