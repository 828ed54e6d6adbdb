//! The payloads in segments that are being handled, and what becomes of them where that fails.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use sqs_client::consumer::{HandlerFuture, HandlerOutcome};

use crate::receive::delivery::ExtendedDelivery;

/// The payloads in segments that are being handled, each by the receipt handle of the message whose handling it is.
///
/// The queue's consumer settles that message alone, and only where it was not set aside. So this is around the handling of
/// every message, outside of all other hooks: a handler that panics, or is dropped as it takes too long, cannot return the
/// other segments itself.
#[derive(Clone, Default)]
pub(super) struct ReturnGuard(Arc<Mutex<HashMap<String, ExtendedDelivery>>>);

impl ReturnGuard {
    pub(super) fn enter(&self, key: String, payload: ExtendedDelivery) {
        self.payloads().insert(key, payload);
    }

    /// Handles the message of this receipt handle, and returns its payload by the backoff unless it was settled. Dropping the
    /// future returns it at once, as nobody says that its handling failed.
    pub(super) async fn wrap(self, key: String, handling: HandlerFuture) -> HandlerOutcome {
        let entry = Entry { of: self, key };
        let handled = AssertUnwindSafe(handling).catch_unwind().await;
        if let Some(payload) = entry.take().filter(|payload| !payload.is_settled())
            && let Err(error) = payload.release_set_with_backoff().await
        {
            // Dropping it returns it once more.
            tracing::warn!(
                message_id = payload.message_id(),
                error = &error as &dyn std::error::Error,
                "the segments of a payload could not be returned"
            );
        }
        handled.unwrap_or(HandlerOutcome::Panicked)
    }

    fn payloads(&self) -> MutexGuard<'_, HashMap<String, ExtendedDelivery>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a payload, which is left whatever becomes of its handling.
struct Entry {
    of: ReturnGuard,
    key: String,
}

impl Entry {
    fn take(&self) -> Option<ExtendedDelivery> {
        self.of.payloads().remove(&self.key)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Not within the lock: the payload's own end takes others.
        drop(self.take());
    }
}

impl fmt::Debug for ReturnGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReturnGuard").field(&self.payloads().len()).finish()
    }
}
