//! Hooks that wrap the handling of messages.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::Either;

use crate::consumer::delivery::Delivery;
use crate::credentials::BoxFuture;

/// How the handling of a message ended. Only [`Done`](Self::Done) acknowledges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandlerOutcome {
    /// By `Ok`.
    Done,
    /// By `Err`.
    Failed,
    /// By a panic.
    Panicked,
    /// Not within the handler's time.
    TimedOut,
}

impl HandlerOutcome {
    /// `error.type` of the span, where it failed.
    pub(super) fn error(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Failed => Some("failed"),
            Self::Panicked => Some("panicked"),
            Self::TimedOut => Some("timed_out"),
        }
    }
}

/// The handling of a message, to be awaited.
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

    /// Wraps the handling in all hooks. A panic of a hook counts as one of the handling.
    ///
    /// Not an `async fn`, which would have room for the handling twice.
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
