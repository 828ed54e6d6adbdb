//! A received message, and the decision about it.

use std::time::Duration;

use crate::types::Message;

/// A received message.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) message: Message,
    pub(super) treatment: Treatment,
}

/// The treatment of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// The message is handled in its turn.
    Handle,
    /// The message cannot be handled. In its turn, it returns to the queue, which hides it for this time.
    Return(Duration),
    /// The message returns to the queue at once, which hides it for this time.
    ReturnAtOnce(Duration),
}

impl Treatment {
    /// Returns the minimum time for which the queue hides the message once it is returned.
    pub(super) fn delay(self) -> Duration {
        match self {
            Self::Handle => Duration::ZERO,
            Self::Return(delay) | Self::ReturnAtOnce(delay) => delay,
        }
    }
}

impl From<Message> for Arrival {
    fn from(message: Message) -> Self {
        let treatment = Treatment::Handle;
        Self { message, treatment }
    }
}
