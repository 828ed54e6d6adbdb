//! A message that is held.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::consumer::arrival::{Arrival, Turn};
use crate::consumer::backlog::Place;
use crate::consumer::lease::Lease;
use crate::types::Message;

/// A message that is held, and its lease.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Without body and message attributes, once they were taken.
    message: Mutex<Arc<Message>>,
    /// Its FIFO group, where groups are kept in order.
    pub(super) group: Option<String>,
    pub(super) turn: Turn,
    /// Its place in the group: that of its first receipt by this consumer.
    place: AtomicU64,
    /// The number of retries in place after earlier receives by this consumer.
    earlier_retries: AtomicU32,
    /// The number of retries in place after this receive.
    retries: AtomicU32,
    taken: AtomicBool,
    lease: Mutex<Lease>,
    /// Held over a change of the visibility timeout: SQS keeps the last one to arrive, so only one may be under way.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Whether its user was warned of extensions that fail.
    warned: AtomicBool,
    lost: Notify,
}

impl Entry {
    pub(super) fn new(id: u64, group: Option<String>, arrival: Arrival, lease: Lease) -> Self {
        Self {
            id,
            message: Mutex::new(Arc::new(arrival.message)),
            group,
            turn: arrival.turn,
            place: AtomicU64::new(id),
            earlier_retries: AtomicU32::new(0),
            retries: AtomicU32::new(0),
            taken: AtomicBool::new(false),
            lease: Mutex::new(lease),
            changing: tokio::sync::Mutex::new(()),
            warned: AtomicBool::new(false),
            lost: Notify::new(),
        }
    }

    pub(super) fn message(&self) -> Arc<Message> {
        whole(&self.message).clone()
    }

    /// Takes the message, of which what it takes to settle it stays.
    pub(super) fn take_message(&self) -> Arc<Message> {
        self.taken.store(true, Ordering::Release);
        let mut message = whole(&self.message);
        let stays = Arc::new(message.without_content());
        std::mem::replace(&mut message, stays)
    }

    /// Returns `true` if the message can be handed out once more.
    pub(super) fn is_whole(&self) -> bool {
        !self.taken.load(Ordering::Acquire)
    }

    pub(super) fn place(&self) -> Place {
        self.place.load(Ordering::Relaxed)
    }

    /// Returns how many times the message was received; 1 where the server does not say.
    pub(super) fn receives(&self) -> u32 {
        self.message().attributes.approximate_receive_count().unwrap_or(1)
    }

    pub(super) fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of all retries in place that this consumer knows of.
    pub(super) fn all_retries(&self) -> u32 {
        let earlier = self.earlier_retries.load(Ordering::Relaxed);
        earlier.saturating_add(self.retries())
    }

    /// Takes the place of an earlier receipt of the same message, and counts its retries.
    pub(super) fn succeeds(&self, place: Place, retries: u32) {
        self.place.store(place, Ordering::Relaxed);
        self.earlier_retries.store(retries, Ordering::Relaxed);
    }

    /// Returns `true` the first time.
    pub(super) fn warns(&self) -> bool {
        !self.warned.swap(true, Ordering::Relaxed)
    }

    pub(super) fn receipt_handle(&self) -> String {
        self.message().receipt_handle.clone()
    }

    pub(super) fn lease(&self) -> MutexGuard<'_, Lease> {
        whole(&self.lease)
    }

    pub(super) fn holds(&self) -> bool {
        self.lease().holds(Instant::now())
    }

    /// The server says that the message is not ours.
    pub(super) fn refused(&self) {
        if self.lease().refused() {
            self.tell_lost();
        }
    }

    pub(super) fn tell_lost(&self) {
        self.lost.notify_waiters();
    }

    /// Ends when the lease is lost.
    pub(super) async fn lost(&self) {
        loop {
            let mut told = std::pin::pin!(self.lost.notified());
            // From here on a word is not missed.
            told.as_mut().enable();
            if self.lease().is_lost() {
                return;
            }
            told.await;
        }
    }
}

/// What is locked is whole at any time, so a panic elsewhere cannot have spoilt it.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
