//! A message that is held.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::lease::Lease;
use crate::types::Message;

/// A message that is held, and its lease.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Without body and message attributes, once they were taken.
    message: Mutex<Arc<Message>>,
    /// Its FIFO group, where groups are kept in order.
    pub(super) group: Option<String>,
    lease: Mutex<Lease>,
    /// Held over a change of the visibility timeout: SQS keeps the last one to arrive, so only one may be under way.
    pub(super) changing: tokio::sync::Mutex<()>,
    lost: Notify,
}

impl Entry {
    pub(super) fn new(id: u64, group: Option<String>, message: Message, lease: Lease) -> Self {
        Self {
            id,
            message: Mutex::new(Arc::new(message)),
            group,
            lease: Mutex::new(lease),
            changing: tokio::sync::Mutex::new(()),
            lost: Notify::new(),
        }
    }

    pub(super) fn message(&self) -> Arc<Message> {
        whole(&self.message).clone()
    }

    /// Takes the message, of which what it takes to settle it stays.
    pub(super) fn take_message(&self) -> Arc<Message> {
        let mut message = whole(&self.message);
        let stays = Arc::new(message.without_content());
        std::mem::replace(&mut message, stays)
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
