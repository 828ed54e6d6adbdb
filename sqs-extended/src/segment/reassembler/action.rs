//! The limits of a reassembler, and the actions that it returns.

use std::time::Duration;

use crate::segment::header::Whole;

/// The limits of what a reassembler buffers and remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The maximum number of bytes of messages, plus one kibibyte for each message. Includes delivered payloads until
    /// they are acknowledged or returned, and messages about which the user's hook still decides.
    pub(crate) max_bytes: u64,
    /// The maximum number of payloads, including delivered ones.
    pub(crate) max_payloads: usize,
    /// The time that a payload has to become complete.
    pub(crate) timeout: Duration,
    /// The time that a payload waits for its first segment, if consumers compete for the segments. Afterwards its
    /// segments are returned, so that they reach the consumer that has the first one.
    pub(crate) first_segment_timeout: Option<Duration>,
    /// The minimum and the maximum delay of a message that is returned for lack of room or for a competing consumer. A
    /// random number selects between them.
    pub(crate) return_delay: (Duration, Duration),
    /// The number of finished payloads that are remembered, so that their late segments are deleted.
    pub(crate) max_finished: usize,
    /// The time for which finished payloads are remembered.
    pub(crate) finished_for: Duration,
}

/// The size of a received segment in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentSize {
    /// The part of the payload.
    pub(crate) len: u64,
    /// The memory of the whole message: the part of the payload, attributes, header and ids.
    pub(crate) memory: u64,
}

/// An action for the caller to perform. Each token that was offered is returned in exactly one action, or as lost.
#[derive(Debug, PartialEq)]
pub(crate) enum Action<T> {
    /// Deliver the payload. Its segments are verified, but the digest of the whole is not.
    ///
    /// Report the outcome by [`Reassembler::acked`](crate::segment::reassembler::Reassembler::acked) or
    /// [`Reassembler::returned`](crate::segment::reassembler::Reassembler::returned).
    Deliver {
        whole: Whole,
        /// The segments in the payload's order.
        segments: Vec<T>,
        /// More messages of the same segments, to be acknowledged or returned with them.
        duplicates: Vec<T>,
    },
    /// Return the message to the queue, where it stays hidden for this time.
    Return {
        token: T,
        after: Duration,
        why: ReturnReason,
    },
    /// Delete the message, because its payload was acknowledged.
    Delete { token: T },
    /// Report a payload that cannot become complete now, and return its messages unless the user's hook decides
    /// otherwise.
    Incomplete {
        whole: Whole,
        /// The number of distinct segments among the messages.
        have: u32,
        why: IncompleteCause,
        tokens: Vec<T>,
        after: Duration,
        /// The bytes that stay reserved. Pass them to
        /// [`Reassembler::decided`](crate::segment::reassembler::Reassembler::decided) once the messages are dealt
        /// with.
        cost: u64,
    },
}

/// The reason to return a message to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReturnReason {
    /// There is no room. Payloads that began earlier take precedence.
    Overflow,
    /// The segment has too many messages. This one may be the same message as a newer token's, with an outdated
    /// receipt.
    Duplicate,
    /// A competing consumer may have the payload's first segment.
    FirstSegmentMissing,
    /// The payload was returned, and this message is to arrive again with it.
    PayloadReturned,
    /// The consumer is shutting down.
    Shutdown,
}

/// The cause that prevents a payload from becoming complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IncompleteCause {
    /// Some segments did not arrive in time.
    Expired,
    /// The segment contradicts itself or the buffered segments, which stay buffered.
    Conflict,
    /// The payload is larger than the limit of all buffered bytes.
    TooLarge,
}
