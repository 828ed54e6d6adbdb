//! What a reassembler is told to keep to, and what it tells to do.

use std::time::Duration;

use crate::segment::Whole;

/// What is held at most, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of messages, those of payloads that are delivered and not yet settled among them, and of those about which
    /// the user still decides. A kibibyte is added for each message.
    pub(crate) bytes: u64,
    /// Payloads, delivered ones among them.
    pub(crate) sets: usize,
    /// How long a payload's segments are held until the last has come.
    pub(crate) age: Duration,
    /// Where several consumers compete for the segments: how long those of a payload are held whose first segment has not
    /// come. They are given back then, so that they gather at the consumer that holds it.
    pub(crate) gather: Option<Duration>,
    /// The least and the longest time after which a message comes back that was given back for lack of room or for another
    /// consumer. Between them chance decides.
    pub(crate) back_after: (Duration, Duration),
    /// How many finished payloads are remembered, so that what comes late of them is deleted.
    pub(crate) remembered: usize,
    /// And for how long.
    pub(crate) remembered_for: Duration,
}

/// The size of a received segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Bytes of the payload.
    pub(crate) len: u64,
    /// Bytes that all of the message takes: the payload's, attributes, header and ids.
    pub(crate) held: u64,
}

/// What is to be done. Every token that was offered comes back in one of these, or as lost.
#[derive(Debug, PartialEq)]
pub(crate) enum Action<S> {
    /// The payload is complete; its bytes are still to be verified. Whatever becomes of it is to be said by
    /// [`Reassembler::acked`](crate::segment::reassembler::Reassembler::acked) or [`Reassembler::released`](crate::segment::reassembler::Reassembler::released).
    Deliver {
        whole: Whole,
        /// In their order.
        segments: Vec<S>,
        /// Further messages of the same segments, to be settled with them.
        duplicates: Vec<S>,
    },
    /// The message is to be given back to the queue.
    Release { token: S, after: Duration, why: Released },
    /// The message is of a payload that was acknowledged.
    Delete { token: S },
    /// The payload cannot be completed as things are. The messages are to be given back, unless the user decides otherwise.
    Incomplete {
        whole: Whole,
        /// How many of its segments these messages are.
        have: u32,
        why: Incomplete,
        tokens: Vec<S>,
        after: Duration,
        /// To be passed to [`Reassembler::decided`](crate::segment::reassembler::Reassembler::decided) once the
        /// messages are settled.
        cost: u64,
    },
}

/// Why a message is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// There is no room for it; what was begun earlier goes before.
    Overflow,
    /// It is one duplicate too many. It may be the same message as a newer token's, under a receipt that is over.
    Duplicate,
    /// Another consumer has the first segment, perhaps.
    Gather,
    /// The payload that it is a part or a duplicate of was returned, and this comes again with it.
    ItsPayload,
    /// The consumer is shut down.
    Shutdown,
}

/// Why a payload cannot be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incomplete {
    /// Not all segments have come in time.
    Expired,
    /// The segment contradicts what is held of the payload, or itself. What is held stays.
    Conflict,
    /// The payload is larger than all that may be held.
    TooLarge,
}
