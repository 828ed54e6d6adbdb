//! Payloads with missing segments, and the program's decision about them.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::segment::{IncompleteCause, Whole};

pub(crate) const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// A partial payload that cannot be completed. See
/// [`ExtendedConsumer::on_incomplete`](crate::ExtendedConsumer::on_incomplete).
///
/// ```
/// use sqs_extended::consumer::IncompletePayload;
///
/// fn log(payload: &IncompletePayload) {
///     eprintln!("{}: {} of {} segments: {:?}", payload.payload_id, payload.have, payload.count, payload.reason);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncompletePayload {
    /// The payload's id.
    pub payload_id: String,
    /// The number of segments that this consumer has.
    pub have: u32,
    /// The number of segments of the whole payload.
    pub count: u32,
    /// The length of the whole payload in bytes, before compression.
    pub size: u64,
    /// The reason why the payload is incomplete.
    pub reason: IncompleteReason,
}

/// The reason why a payload is incomplete.
///
/// ```
/// use sqs_extended::consumer::{IncompleteAction, IncompleteReason};
///
/// fn decide(reason: IncompleteReason, dead_letters: &str) -> IncompleteAction {
///     match reason {
///         IncompleteReason::Expired => IncompleteAction::Return,
///         _ => IncompleteAction::MoveTo(dead_letters.to_owned()),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IncompleteReason {
    /// Not all segments arrived within the [timeout](crate::ExtendedConsumer::assembly_timeout).
    Expired,
    /// The segment contradicts itself, or another segment of the same payload. The segments that arrived before stay
    /// buffered.
    Conflict,
    /// The payload is larger than [`max_buffered_bytes`](crate::ExtendedConsumer::max_buffered_bytes).
    TooLarge,
}

/// The action on the segments of an incomplete payload that this consumer has. Returned by the hook of
/// [`ExtendedConsumer::on_incomplete`](crate::ExtendedConsumer::on_incomplete), which has an example.
///
/// ```no_run
/// # fn f(consumer: sqs_extended::ExtendedConsumer) -> sqs_extended::ExtendedConsumer {
/// use sqs_extended::consumer::IncompleteAction;
///
/// consumer.on_incomplete(|_| async {
///     IncompleteAction::MoveTo("https://sqs.eu-west-1.amazonaws.com/123456789012/incomplete".to_owned())
/// })
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncompleteAction {
    /// Returns the segments to the queue.
    Return,
    /// Sends the segments unchanged to the queue with this URL, and deletes them once that is confirmed.
    MoveTo(String),
    /// Deletes the segments.
    ///
    /// On a FIFO queue this can lose a payload that is complete in the queue. It counts as incomplete if no receive returns
    /// all of it in time. [`MoveTo`](Self::MoveTo) loses nothing.
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

/// The program's hook, if there is one.
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
            "a payload in segments is incomplete"
        );
        let Some(hook) = &self.0 else {
            return IncompleteAction::Return;
        };
        let payload_id = payload.payload_id.clone();
        let decision = AssertUnwindSafe(async { hook(payload).await }).catch_unwind();
        let failure = match timeout(HOOK_TIMEOUT, decision).await {
            Ok(Ok(action)) => return action,
            Ok(Err(_panic)) => "it panicked",
            Err(_elapsed) => "it timed out",
        };
        tracing::warn!(
            payload_id,
            failure,
            "the `on_incomplete` hook failed; returning the segments to the queue"
        );
        IncompleteAction::Return
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.0.is_some()).finish()
    }
}
