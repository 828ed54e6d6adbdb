//! The ends of messages, and the memory of returned ones.

use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::backlog::Position;

/// The time after which a waiting poll would have received a visible message.
const WAITED_IN_VAIN: Duration = Duration::from_secs(1);

/// The end of a message's time with the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum End {
    /// The message was certainly deleted.
    Deleted,
    /// The message was handled, and perhaps not deleted.
    Handled,
    /// The message is back in the queue, and visible after this time.
    Returned(Duration),
    /// The current owner of the message is unknown.
    Lost,
}

/// A message that was returned to the queue.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) position: Position,
    pub(super) retries: u32,
    pub(super) receives: u32,
    pub(super) group: Option<String>,
    /// The latest time at which it becomes visible.
    pub(super) visible_by: Instant,
    /// The time at which its group was also returned, because the message had not been received again.
    pub(super) group_returned: Option<Instant>,
    /// `true` if a poll was empty while the message was visible.
    pub(super) withheld: bool,
}

impl Returned {
    /// Returns `true` if the server withheld the message until its group was returned. A late arrival proves nothing
    /// while polls are full of other messages. `sent_at` is the time at which the poll that received it began.
    pub(super) fn was_withheld(&self, sent_at: Instant) -> bool {
        self.group_returned
            .is_some_and(|at| self.withheld || sent_at + WAITED_IN_VAIN <= at)
    }
}
