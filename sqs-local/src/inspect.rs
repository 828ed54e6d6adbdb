//! Views of a queue for assertions, independent of the protocol.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Now;
use crate::queue::Queue;
use crate::queue::parcel::{Counts, State};
use crate::service::Service;

/// A view of a queue. After the queue's deletion it is empty.
#[derive(Clone)]
pub struct QueueView {
    pub(crate) service: Arc<Service>,
    pub(crate) queue: Arc<Queue>,
}

/// Shows no message.
impl fmt::Debug for QueueView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueView")
            .field("name", &self.queue.name)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// The message can be received, on a FIFO queue as soon as its group is not blocked.
    Visible,
    /// The message was received, and becomes visible again after this time.
    InFlight(Duration),
    /// The message becomes visible for the first time after this time.
    Delayed(Duration),
}

/// A view of a message in a queue.
#[derive(Clone, Debug)]
pub struct MessageView {
    /// The message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// The message group, if there is one.
    pub group: Option<String>,
    /// The deduplication id, which is the caller's or the body's digest.
    pub deduplication_id: Option<String>,
    /// The number of receives.
    pub receives: u32,
    /// The state of the message.
    pub state: MessageState,
}

impl QueueView {
    /// Returns the queue's name.
    pub fn name(&self) -> &str {
        &self.queue.name
    }

    /// Returns the queue's URL.
    pub fn url(&self) -> String {
        self.service.url(&self.queue.name)
    }

    /// Returns the queue's ARN.
    pub fn arn(&self) -> &str {
        &self.queue.arn
    }

    /// Returns the number of messages in each state.
    pub fn counts(&self) -> Counts {
        self.queue.lock(self.service.now()).store.counts()
    }

    /// Returns the total number of messages.
    pub fn len(&self) -> usize {
        let counts = self.counts();
        counts.visible + counts.in_flight + counts.delayed
    }

    /// Returns `true` if the queue has no messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all messages in order of arrival.
    pub fn messages(&self) -> Vec<MessageView> {
        let now = self.service.now();
        let state = self.queue.lock(now);
        let shown = state.store.iter().map(|stored| {
            let content = &stored.parcel.content;
            MessageView {
                id: content.id.clone(),
                body: content.body.clone(),
                group: content.group.clone(),
                deduplication_id: content.deduplication_id.clone(),
                receives: stored.parcel.receives,
                state: message_state(stored.state, now),
            }
        });
        shown.collect()
    }
}

fn message_state(state: State, now: Now) -> MessageState {
    match state {
        State::Ready { .. } => MessageState::Visible,
        State::InFlight { until, .. } => MessageState::InFlight(until - now.at),
        State::Delayed { until } => MessageState::Delayed(until - now.at),
    }
}
