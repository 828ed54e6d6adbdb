//! The loop that handles received messages, and its shutdown.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::consumer::ack_retry::retry_ack;
use crate::consumer::deliveries::Deliveries;
use crate::consumer::delivery::Delivery;
use crate::consumer::handler_settings::HandlerSettings;
use crate::consumer::middleware::HandlerOutcome;
use crate::consumer::settlement::AckOutcome;
use crate::consumer::telemetry;
use crate::error::Error;
use crate::limits;

/// The upper limit of the part of the shutdown timeout that is reserved for returning messages. It is a tenth otherwise.
const MAX_RETURN_TIME: Duration = Duration::from_secs(1);

pub(super) async fn run<S, H, F, E>(
    deliveries: Deliveries,
    settings: HandlerSettings,
    shutdown: S,
    handler: H,
) -> Result<(), Error>
where
    S: Future,
    H: Fn(Delivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    // The loop is a task, because spawning handlers is cheapest from a worker thread. The `JoinSet` aborts it when
    // dropped.
    let mut task = JoinSet::new();
    let (stop, stopped) = oneshot::channel();
    task.spawn(dispatch(deliveries, settings, stopped, handler));
    let ended = match select(pin!(shutdown), pin!(task.join_next())).await {
        Either::Left((_, ended)) => {
            drop(stop);
            ended.await
        }
        Either::Right((ended, _)) => ended,
    };
    match ended {
        Some(Ok(ended)) => ended,
        Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        _ => Ok(()),
    }
}

/// Handles messages until the sender of `stopped` is dropped.
async fn dispatch<H, F, E>(
    mut deliveries: Deliveries,
    settings: HandlerSettings,
    mut stopped: oneshot::Receiver<()>,
    handler: H,
) -> Result<(), Error>
where
    H: Fn(Delivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let settings = Arc::new(settings);
    let handler = Arc::new(handler);
    let mut handlers = JoinSet::new();
    let ended = loop {
        let next = poll_fn(|context| {
            if stopped.poll_unpin(context).is_ready() {
                return Poll::Ready(None);
            }
            deliveries.poll_next_unpin(context)
        });
        match next.await {
            Some(Ok(delivery)) => {
                // Finished handlers are collected here only, so that their ends do not wake this task.
                while handlers.try_join_next().is_some() {}
                handlers.spawn(handle(delivery, handler.clone(), settings.clone()));
            }
            Some(Err(error)) => break Err(error),
            None => break Ok(()),
        }
    };

    deliveries.stop();
    // No message is in flight for longer, and an unlimited timeout would overflow the deadline.
    let timeout = deliveries.shared().settings.shutdown_timeout;
    let timeout = timeout.min(limits::MAX_VISIBILITY_TIMEOUT);
    let deadline = Instant::now() + timeout;
    let return_time = MAX_RETURN_TIME.min(timeout / 10);
    let all = async { while handlers.join_next().await.is_some() {} };
    if tokio::time::timeout_at(deadline - return_time, all).await.is_err() {
        tracing::warn!(
            handlers = handlers.len(),
            "aborting handlers, because the shutdown timeout is over"
        );
        // Dropping the handlers returns their messages.
        handlers.abort_all();
    }
    let left = deadline.saturating_duration_since(Instant::now());
    if !deliveries.shutdown(left).await {
        tracing::info!("messages are still being returned to the queue in the background after the shutdown timeout");
    }
    ended
}

/// Handles and settles a message. It keeps a clone of the delivery, so that the message does not return to the queue when
/// the handler drops its own.
pub(super) async fn handle<H, F, E>(delivery: Delivery, handler: Arc<H>, settings: Arc<HandlerSettings>)
where
    H: Fn(Delivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let guarded = guarded(delivery.clone(), handler, settings.clone());
    let wrapped = settings.middleware.wrap(&delivery, guarded);
    let message = delivery.message();
    let handled = telemetry::process(delivery.queue_url(), message, wrapped, |handled| handled.error()).await;
    if delivery.is_settled() || delivery.was_parked() {
        return;
    }
    if handled == HandlerOutcome::Done {
        acknowledge(&delivery).await;
    } else if let Err(error) = delivery.nack_with_backoff().await {
        // Dropping the delivery tries again.
        tracing::warn!(message_id = %message.message_id, %error, "could not return a message to the queue; trying once more");
    }
}

/// Runs the handler with a timeout, and catches its panic.
async fn guarded<H, F, E>(delivery: Delivery, handler: Arc<H>, settings: Arc<HandlerSettings>) -> HandlerOutcome
where
    H: Fn(Delivery) -> F,
    F: Future<Output = Result<(), E>>,
{
    let poison = settings.poison.as_ref().filter(|poison| poison.matches(&delivery));
    let handling = async {
        match poison {
            Some(poison) => poison.handle(delivery).await,
            None => handler(delivery).await.map_err(drop),
        }
    };
    let handling = AssertUnwindSafe(handling).catch_unwind();
    match tokio::time::timeout(settings.timeout, handling).await {
        Ok(Ok(Ok(()))) => HandlerOutcome::Done,
        Ok(Ok(Err(()))) => HandlerOutcome::Failed,
        Ok(Err(_panic)) => {
            tracing::error!("the handler panicked");
            HandlerOutcome::Panicked
        }
        Err(_elapsed) => {
            tracing::warn!(timeout = ?settings.timeout, "the handler timed out");
            HandlerOutcome::TimedOut
        }
    }
}

async fn acknowledge(delivery: &Delivery) {
    let message_id = &delivery.message().message_id;
    match retry_ack(|| delivery.ack(), Error::is_retryable).await {
        Ok(AckOutcome::Deleted) => {}
        Ok(AckOutcome::LeaseLost) => {
            tracing::warn!(%message_id, "acknowledged a message after its lease was lost; it may come again");
        }
        Err(error) => tracing::warn!(%message_id, %error, "could not acknowledge a message; it will come again"),
    }
}
