//! A message on its way: where it is, what is asked for it, and what is handed out.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::handle::Handle;
use super::message::Content;
use super::rng::Rng;

/// A message with its history: what moves between queues.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) content: Arc<Content>,
    pub(crate) receives: u32,
    pub(crate) first_received_ms: Option<u64>,
    /// The queue that this message is a dead letter of.
    pub(crate) source_arn: Option<String>,
    /// When its retention began.
    pub(crate) entered: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Delayed {
        until: Instant,
    },
    /// `lapsed`: its visibility timeout ran out, as against being released.
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
    /// The newest delivery; handles of older ones are stale.
    pub(crate) delivery: u64,
}

impl Stored {
    pub(crate) fn group(&self) -> &str {
        self.parcel.content.group.as_deref().unwrap_or_default()
    }
}

/// What a receive asks for.
#[derive(Debug)]
pub(crate) struct Take<'a> {
    pub(crate) max: usize,
    pub(crate) visibility: Duration,
    /// Beyond this many receives a message is a dead letter.
    pub(crate) max_receives: Option<u32>,
    /// Takes any message, not the oldest.
    pub(crate) shuffle: Option<&'a Rng>,
}

/// A message handed out.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) handle: Handle,
    pub(crate) parcel: Parcel,
}

/// Why a handle no longer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The message was deleted, or moved away.
    Gone,
    /// The message was received again, or (on a FIFO queue) its timeout ran out.
    Expired,
    /// The message was released.
    NotInFlight,
    /// The timeout would pass twelve hours.
    TooLong,
}

/// How many messages are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready to be received (on a FIFO queue: also those behind one in flight).
    pub visible: usize,
    /// Received, neither deleted nor run out.
    pub in_flight: usize,
    /// Not yet due.
    pub delayed: usize,
}
