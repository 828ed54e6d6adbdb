//! A queue: its name, its locked state, and the bell that wakes long polls.

pub(crate) mod attribute;
pub(crate) mod dedup;
mod fair;
mod fifo;
pub(crate) mod handle;
pub(crate) mod md5;
pub(crate) mod message;
pub(crate) mod parcel;
pub(crate) mod policy;
mod ready;
pub(crate) mod redrive;
pub(crate) mod settings;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Now;
use crate::memory::Held;
use crate::protocol::error::{Error, Result};
use crate::queue::dedup::Recent;
use crate::queue::handle::Handle;
use crate::queue::parcel::Parcel;
use crate::queue::settings::Settings;
use crate::queue::store::Store;

/// A queue in the registry.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) id: u64,
    pub(crate) fifo: bool,
    /// Rings if a message may have become available or the queue was deleted.
    pub(crate) bell: Notify,
    state: Mutex<State>,
}

/// The response to the first send with a deduplication id.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) message_id: String,
    pub(crate) sequence_number: Option<String>,
    /// The memory that the id occupies.
    pub(crate) _held: Held,
}

/// The deliveries of a receive.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) handles: Vec<Handle>,
    /// The memory that the attempt occupies.
    pub(crate) _held: Held,
}

/// A queue's mutable state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) sent: Recent<Sent>,
    /// The deliveries of FIFO receives, by ReceiveRequestAttemptId.
    pub(crate) attempts: Recent<Attempt>,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
    pub(crate) purged: Option<Instant>,
    pub(crate) deleted: bool,
    sequence: u64,
}

impl Queue {
    pub(crate) fn new(name: String, arn: String, id: u64, settings: Settings, now: Now) -> Self {
        let fifo = settings.is_fifo();
        let state = State {
            store: Store::new(id, fifo),
            settings,
            tags: BTreeMap::new(),
            sent: Recent::default(),
            attempts: Recent::default(),
            created_ms: now.wall_ms,
            modified_ms: now.wall_ms,
            purged: None,
            deleted: false,
            sequence: 0,
        };
        Self {
            name,
            arn,
            id,
            fifo,
            bell: Notify::new(),
            state: Mutex::new(state),
        }
    }

    /// Locks the queue's state, advanced to `now`.
    pub(crate) fn lock(&self, now: Now) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let retention = state.settings.retention();
        state.store.advance(now.at, retention);
        state.sent.forget(now.at);
        state.attempts.forget(now.at);
        state
    }

    /// Adds a message from another queue.
    pub(crate) fn accept(&self, now: Now, parcel: Parcel) {
        self.lock(now).store.enter(now.at, parcel, std::time::Duration::ZERO);
        self.bell.notify_waiters();
    }

    /// Decodes a request's receipt handle, which must be of this queue.
    pub(crate) fn handle(&self, text: &str) -> Result<Handle> {
        let handle = Handle::decode(text).ok_or_else(|| Error::handle_invalid(text))?;
        if handle.queue == self.id {
            Ok(handle)
        } else {
            Err(Error::handle_foreign(text))
        }
    }
}

impl State {
    /// Removes all messages, and forgets the ids of sends and receives, so that the same messages can be sent again at once.
    pub(crate) fn purge(&mut self) {
        self.store.clear();
        self.sent.clear();
        self.attempts.clear();
    }

    /// Returns the next time at which a message may become available without another request.
    pub(crate) fn next_event(&self) -> Option<Instant> {
        self.store.next_event(self.settings.retention())
    }

    /// Returns the next sequence number, which has twenty digits and grows.
    pub(crate) fn next_sequence(&mut self) -> String {
        self.sequence += 1;
        let number = 18_849_000_000_000_000_000_u128 + u128::from(self.sequence) * 256;
        number.to_string()
    }
}
