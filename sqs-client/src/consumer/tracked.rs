//! A message in flight.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::consumer::arrival::{Arrival, Treatment};
use crate::consumer::backlog::Position;
use crate::consumer::lease::Lease;
use crate::types::Message;

/// A message that the consumer tracks from its receipt to its end, and its lease.
#[derive(Debug)]
pub(super) struct TrackedMessage {
    pub(super) id: u64,
    /// The message, without body and message attributes once they were moved out.
    message: Mutex<Arc<Message>>,
    /// Its FIFO group, if groups are kept in order.
    pub(super) group: Option<String>,
    pub(super) treatment: Treatment,
    /// Its position in the group, which is that of its first receipt by this consumer.
    position: AtomicU64,
    /// The number of retries in place after earlier receives by this consumer.
    earlier_retries: AtomicU32,
    /// The number of retries in place after this receive.
    retries: AtomicU32,
    content_taken: AtomicBool,
    lease: Mutex<Lease>,
    /// A lock that each change of the visibility timeout holds. SQS applies the last change to arrive, so only one may
    /// be open.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// `true` once a failing extension was logged as a warning.
    warned: AtomicBool,
    lost: Notify,
}

impl TrackedMessage {
    pub(super) fn new(id: u64, group: Option<String>, arrival: Arrival, lease: Lease) -> Self {
        Self {
            id,
            message: Mutex::new(Arc::new(arrival.message)),
            group,
            treatment: arrival.treatment,
            position: AtomicU64::new(id),
            earlier_retries: AtomicU32::new(0),
            retries: AtomicU32::new(0),
            content_taken: AtomicBool::new(false),
            lease: Mutex::new(lease),
            changing: tokio::sync::Mutex::new(()),
            warned: AtomicBool::new(false),
            lost: Notify::new(),
        }
    }

    pub(super) fn message(&self) -> Arc<Message> {
        lock(&self.message).clone()
    }

    /// Moves the message out, and keeps only the parts that settling it requires.
    pub(super) fn take_message(&self) -> Arc<Message> {
        self.content_taken.store(true, Ordering::Release);
        let mut message = lock(&self.message);
        let without_content = Arc::new(message.without_content());
        std::mem::replace(&mut message, without_content)
    }

    /// Returns `true` if the message can be handled once more.
    pub(super) fn has_content(&self) -> bool {
        !self.content_taken.load(Ordering::Acquire)
    }

    pub(super) fn position(&self) -> Position {
        self.position.load(Ordering::Relaxed)
    }

    /// Returns the message's receive count, or 1 if the server does not report it.
    pub(super) fn receives(&self) -> u32 {
        self.message().attributes.approximate_receive_count().unwrap_or(1)
    }

    pub(super) fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    pub(super) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of all retries in place that this consumer knows of.
    pub(super) fn all_retries(&self) -> u32 {
        let earlier = self.earlier_retries.load(Ordering::Relaxed);
        earlier.saturating_add(self.retries())
    }

    /// Continues from an earlier receipt of the same message, with its position and retries.
    pub(super) fn continue_from(&self, position: Position, retries: u32) {
        self.position.store(position, Ordering::Relaxed);
        self.earlier_retries.store(retries, Ordering::Relaxed);
    }

    /// Returns `true` on the first call only.
    pub(super) fn first_warning(&self) -> bool {
        !self.warned.swap(true, Ordering::Relaxed)
    }

    pub(super) fn receipt_handle(&self) -> String {
        self.message().receipt_handle.clone()
    }

    pub(super) fn lease(&self) -> MutexGuard<'_, Lease> {
        lock(&self.lease)
    }

    pub(super) fn lease_is_valid(&self) -> bool {
        self.lease().is_valid(Instant::now())
    }

    /// Ends the lease, because the server refused the receipt handle.
    pub(super) fn mark_lost(&self) {
        if self.lease().mark_lost() {
            self.notify_lost();
        }
    }

    pub(super) fn notify_lost(&self) {
        self.lost.notify_waiters();
    }

    /// Waits until the lease is lost.
    pub(super) async fn lease_lost(&self) {
        loop {
            let mut notified = std::pin::pin!(self.lost.notified());
            // Enabled before the check, so that no notification is missed.
            notified.as_mut().enable();
            if self.lease().is_lost() {
                return;
            }
            notified.await;
        }
    }
}

/// Locks a mutex even if it is poisoned. The values are consistent at any time, so a panic cannot have broken them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
