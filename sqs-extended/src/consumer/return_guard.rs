//! Returns payloads in segments whose handling fails.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use sqs_client::consumer::{HandlerFuture, HandlerOutcome};

use crate::receive::delivery::ExtendedDelivery;

/// The payloads in segments that are being handled, by the receipt handle of the message that each handler runs for.
///
/// The queue's consumer settles only that message, and only if it was not parked. A handler that panics or times out cannot
/// return the other segments. So this wraps the handling of every message, outside of all other hooks.
#[derive(Clone, Default)]
pub(super) struct ReturnGuard(Arc<Mutex<HashMap<String, ExtendedDelivery>>>);

impl ReturnGuard {
    pub(super) fn enter(&self, key: String, payload: ExtendedDelivery) {
        self.payloads().insert(key, payload);
    }

    /// Handles the message with this receipt handle, and returns its payload with the backoff unless it was settled.
    /// Dropping the future returns it at once, because its handling did not fail.
    pub(super) async fn wrap(self, key: String, handling: HandlerFuture) -> HandlerOutcome {
        let entry = Entry { guard: self, key };
        let handled = AssertUnwindSafe(handling).catch_unwind().await;
        if let Some(payload) = entry.take().filter(|payload| !payload.is_settled())
            && let Err(error) = payload.nack_with_backoff().await
        {
            // Dropping the payload returns it once more.
            tracing::warn!(
                message_id = payload.message_id(),
                error = &error as &dyn std::error::Error,
                "failed to return the segments of a payload to the queue"
            );
        }
        handled.unwrap_or(HandlerOutcome::Panicked)
    }

    fn payloads(&self) -> MutexGuard<'_, HashMap<String, ExtendedDelivery>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of a payload, removed when its handling ends or is dropped.
struct Entry {
    guard: ReturnGuard,
    key: String,
}

impl Entry {
    fn take(&self) -> Option<ExtendedDelivery> {
        self.guard.payloads().remove(&self.key)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // The payload is dropped outside of the lock, because dropping it acquires other locks.
        drop(self.take());
    }
}

impl fmt::Debug for ReturnGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReturnGuard").field(&self.payloads().len()).finish()
    }
}
