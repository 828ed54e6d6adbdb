//! Payloads of which segments are missing, and what the caller wants to become of them.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::segment::{IncompleteCause, Whole};

pub(crate) const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// A payload that is not complete: some of its segments are held here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncompletePayload {
    /// Which payload it is.
    pub payload_id: String,
    /// How many of its segments are held here.
    pub have: u32,
    /// How many it has.
    pub count: u32,
    /// Bytes of the whole, as it was sent.
    pub size: u64,
    /// Why it is not complete.
    pub reason: IncompleteReason,
}

/// Why a payload is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IncompleteReason {
    /// Not all segments came in time.
    Expired,
    /// The segment contradicts others of the same payload, or itself. Those others stay.
    Conflict,
    /// It is larger than all that may be [held](crate::ExtendedConsumer::max_buffered_bytes).
    TooLarge,
}

/// What becomes of the segments of an incomplete payload that are held here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncompleteAction {
    /// They are given back to the queue.
    Return,
    /// They are sent to the queue of this URL as they are, and deleted once that is confirmed.
    MoveTo(String),
    /// They are deleted. On a FIFO queue a payload can count as incomplete although all of it is in the queue, where
    /// receives brought less than the whole: it is lost then. [`MoveTo`](Self::MoveTo) loses nothing.
    Delete,
}

impl IncompletePayload {
    pub(super) fn new(whole: &Whole, have: u32, why: IncompleteCause) -> Self {
        Self {
            payload_id: whole.id.clone(),
            have,
            count: whole.count,
            size: whole.original_length.unwrap_or(whole.total),
            reason: match why {
                IncompleteCause::Expired => IncompleteReason::Expired,
                IncompleteCause::Conflict => IncompleteReason::Conflict,
                IncompleteCause::TooLarge => IncompleteReason::TooLarge,
            },
        }
    }
}

type Decide = dyn Fn(IncompletePayload) -> BoxFuture<'static, IncompleteAction> + Send + Sync;

/// The caller's decision, if there is one.
#[derive(Clone, Default)]
pub(super) struct Hook(Option<Arc<Decide>>);

impl Hook {
    pub(super) fn new<H, F>(hook: H) -> Self
    where
        H: Fn(IncompletePayload) -> F + Send + Sync + 'static,
        F: Future<Output = IncompleteAction> + Send + 'static,
    {
        Self(Some(Arc::new(move |payload| hook(payload).boxed())))
    }

    pub(super) async fn decide(&self, payload: IncompletePayload) -> IncompleteAction {
        tracing::warn!(
            payload_id = payload.payload_id,
            have = payload.have,
            count = payload.count,
            reason = ?payload.reason,
            "a payload in segments is not complete"
        );
        let Some(hook) = &self.0 else {
            return IncompleteAction::Return;
        };
        let payload_id = payload.payload_id.clone();
        let decision = AssertUnwindSafe(async { hook(payload).await }).catch_unwind();
        let failed = match timeout(HOOK_TIMEOUT, decision).await {
            Ok(Ok(action)) => return action,
            Ok(Err(_panic)) => "it panicked",
            Err(_elapsed) => "it took too long",
        };
        tracing::warn!(payload_id, failed, "the hook for incomplete payloads did not decide");
        IncompleteAction::Return
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.0.is_some()).finish()
    }
}
