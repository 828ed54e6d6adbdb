//! A queue: its name, its state behind a lock, and the bell that wakes long polls.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::clock::Now;
use super::dedup::Recent;
use super::error::{Error, Result};
use super::handle::Handle;
use super::parcel::Parcel;
use super::settings::Settings;
use super::store::Store;

/// A queue as the registry knows it.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) id: u64,
    pub(crate) fifo: bool,
    /// Rings when a message may have become available, or the queue was deleted.
    pub(crate) bell: Notify,
    state: Mutex<State>,
}

/// What a first send under a deduplication id was answered.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) message_id: String,
    pub(crate) sequence_number: Option<String>,
}

/// All of a queue that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) sent: Recent<Sent>,
    /// The deliveries of FIFO receives, by ReceiveRequestAttemptId.
    pub(crate) attempts: Recent<Vec<Handle>>,
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

    /// The queue's state as of now.
    pub(crate) fn lock(&self, now: Now) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let retention = state.settings.retention();
        state.store.advance(now.at, retention);
        state
    }

    /// Takes in a message from another queue.
    pub(crate) fn accept(&self, now: Now, parcel: Parcel) {
        self.lock(now).store.enter(now.at, parcel, std::time::Duration::ZERO);
        self.bell.notify_waiters();
    }

    /// Reads a receipt handle that a request gave for this queue.
    pub(crate) fn handle(&self, text: &str) -> Result<Handle> {
        let handle = Handle::decode(text).filter(|h| h.queue == self.id);
        handle.ok_or_else(|| Error::handle_invalid(text))
    }
}

impl State {
    /// The next sequence number: twenty digits, growing.
    pub(crate) fn next_sequence(&mut self) -> String {
        self.sequence += 1;
        let number = 18_849_000_000_000_000_000_u128 + u128::from(self.sequence) * 256;
        number.to_string()
    }
}
