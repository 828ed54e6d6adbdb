//! Hooks that wrap the handling of messages.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::Either;

use crate::consumer::delivery::Delivery;
use crate::credentials::BoxFuture;

/// The outcome of a message's handling. Only [`Done`](Self::Done) causes an acknowledgement.
///
/// ```
/// use sqs_client::consumer::HandlerOutcome;
///
/// async fn count_failures(handling: sqs_client::consumer::HandlerFuture) -> HandlerOutcome {
///     let outcome = handling.await;
///     if outcome != HandlerOutcome::Done {
///         println!("failed: {outcome:?}");
///     }
///     outcome
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandlerOutcome {
    /// The handler returned `Ok`.
    Done,
    /// The handler returned `Err`.
    Failed,
    /// The handler panicked.
    Panicked,
    /// The handler exceeded its [timeout](crate::consumer::Consumer::handler_timeout).
    TimedOut,
}

impl HandlerOutcome {
    /// Returns the `error.type` of the span, if the handling failed.
    pub(super) fn error(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Failed => Some("failed"),
            Self::Panicked => Some("panicked"),
            Self::TimedOut => Some("timed_out"),
        }
    }
}

/// The future that handles a message. See [`Consumer::wrap_handler`](crate::consumer::Consumer::wrap_handler).
///
/// ```
/// use sqs_client::consumer::{HandlerFuture, HandlerOutcome};
///
/// let future: HandlerFuture = Box::pin(async { HandlerOutcome::Done });
/// ```
pub type HandlerFuture = BoxFuture<'static, HandlerOutcome>;

type Hook = dyn Fn(Delivery, HandlerFuture) -> HandlerFuture + Send + Sync;

/// The hooks, the outermost first.
#[derive(Clone, Default)]
pub(super) struct Middleware(Vec<Arc<Hook>>);

impl Middleware {
    pub(super) fn add<H, F>(&mut self, hook: H)
    where
        H: Fn(Delivery, HandlerFuture) -> F + Send + Sync + 'static,
        F: Future<Output = HandlerOutcome> + Send + 'static,
    {
        self.0
            .push(Arc::new(move |delivery, handling| Box::pin(hook(delivery, handling))));
    }

    /// Wraps the handling in all hooks. A hook's panic counts as the handler's.
    ///
    /// An `async fn` would reserve space for the handling twice.
    pub(super) fn wrap(
        &self,
        delivery: &Delivery,
        handling: impl Future<Output = HandlerOutcome> + Send + 'static,
    ) -> impl Future<Output = HandlerOutcome> {
        if self.0.is_empty() {
            return Either::Left(handling);
        }
        let innermost: HandlerFuture = Box::pin(handling);
        let hooked = async {
            let wrap = |inner, hook: &Arc<Hook>| hook(delivery.clone(), inner);
            self.0.iter().rev().fold(innermost, wrap).await
        };
        let contained = AssertUnwindSafe(hooked).catch_unwind();
        Either::Right(contained.map(|handled| handled.unwrap_or(HandlerOutcome::Panicked)))
    }
}

impl fmt::Debug for Middleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Middleware").field(&self.0.len()).finish()
    }
}
