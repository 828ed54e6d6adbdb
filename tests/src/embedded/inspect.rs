//! A look into a queue from outside the protocol, for assertions.

use std::sync::Arc;
use std::time::Duration;

use super::clock::Now;
use super::parcel::{Counts, State};
use super::queue::Queue;
use super::service::Service;

/// A queue of the server. It stays readable after the queue was deleted.
#[derive(Clone, Debug)]
pub struct QueueView {
    pub(crate) service: Arc<Service>,
    pub(crate) queue: Arc<Queue>,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It can be received (on a FIFO queue: once its group is free).
    Visible,
    /// It was received, and shows again after this time.
    InFlight(Duration),
    /// It shows for the first time after this time.
    Delayed(Duration),
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// Its body.
    pub body: String,
    /// Its message group, if it has one.
    pub group: Option<String>,
    /// Its deduplication id: the caller's or the body's digest.
    pub deduplication_id: Option<String>,
    /// How often it was received.
    pub receives: u32,
    /// Where it is.
    pub place: Place,
}

impl QueueView {
    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.queue.name
    }

    /// The queue's URL, as the server returns it.
    pub fn url(&self) -> String {
        self.service.url(&self.queue.name)
    }

    /// The queue's ARN.
    pub fn arn(&self) -> &str {
        &self.queue.arn
    }

    /// How many messages are in which state.
    pub fn counts(&self) -> Counts {
        self.queue.lock(self.service.now()).store.counts()
    }

    /// How many messages there are in all.
    pub fn len(&self) -> usize {
        let counts = self.counts();
        counts.visible + counts.in_flight + counts.delayed
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every message, in order of arrival.
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
                place: place(stored.state, now),
            }
        });
        shown.collect()
    }
}

fn place(state: State, now: Now) -> Place {
    match state {
        State::Ready { .. } => Place::Visible,
        State::InFlight { until, .. } => Place::InFlight(until - now.at),
        State::Delayed { until } => Place::Delayed(until - now.at),
    }
}
