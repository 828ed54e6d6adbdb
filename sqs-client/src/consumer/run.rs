//! The loop that handles what a consumer receives, and its end.

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

use crate::consumer::delivery::{AckOutcome, Delivery};
use crate::consumer::middleware::HandlerOutcome;
use crate::consumer::telemetry;
use crate::consumer::{Consumer, Settings};
use crate::error::Error;
use crate::limits;

/// How often an acknowledgement is tried, each time with the retries of the client's policy.
const ACK_ATTEMPTS: u32 = 3;
/// The pause before the second time.
const ACK_PAUSE: Duration = Duration::from_millis(500);
/// Of the grace, what is kept for giving messages back at the end: a tenth, and at most this.
const MAX_RELEASE_TIME: Duration = Duration::from_secs(1);

pub(super) async fn run<S, H, F, E>(consumer: Consumer, shutdown: S, handler: H) -> Result<(), Error>
where
    S: Future,
    H: Fn(Delivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    // In a task, as handlers are spawned the cheapest from a worker thread; in a set, as that aborts it when dropped.
    let mut task = JoinSet::new();
    let (stop, stopped) = oneshot::channel();
    task.spawn(dispatch(consumer, stopped, handler));
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
        // The runtime shuts down.
        _ => Ok(()),
    }
}

/// Handles messages until the sender of `stopped` is dropped.
async fn dispatch<H, F, E>(consumer: Consumer, mut stopped: oneshot::Receiver<()>, handler: H) -> Result<(), Error>
where
    H: Fn(Delivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let mut deliveries = consumer.deliveries();
    let settings = Arc::new(deliveries.shared().settings.clone());
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
                // Only here, so that no handler's end wakes this task.
                while handlers.try_join_next().is_some() {}
                handlers.spawn(handle(delivery, handler.clone(), settings.clone()));
            }
            Some(Err(error)) => break Err(error),
            None => break Ok(()),
        }
    };

    deliveries.stop();
    // Nothing is held for longer; a grace without end would pass the end of time.
    let grace = settings.shutdown_timeout.min(limits::MAX_VISIBILITY_TIMEOUT);
    let deadline = Instant::now() + grace;
    let release = MAX_RELEASE_TIME.min(grace / 10);
    let all = async { while handlers.join_next().await.is_some() {} };
    if tokio::time::timeout_at(deadline - release, all).await.is_err() {
        tracing::warn!(handlers = handlers.len(), "the grace is over; handlers are aborted");
        // What they held is given back as they are dropped.
        handlers.abort_all();
    }
    let left = deadline.saturating_duration_since(Instant::now());
    if !deliveries.shutdown(left).await {
        tracing::info!("the grace is over; messages are returned to the queue in the background");
    }
    ended
}

/// A message from its delivery to its end. A clone of the delivery is kept here, so that it is not given back when the
/// handler drops its own.
async fn handle<H, F, E>(delivery: Delivery, handler: Arc<H>, settings: Arc<Settings>)
where
    H: Fn(Delivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let contained = contained(delivery.clone(), handler, settings.clone());
    let wrapped = settings.middleware.wrap(&delivery, contained);
    let message = delivery.message();
    let handled = telemetry::process(delivery.queue_url(), message, wrapped, |handled| handled.error()).await;
    if delivery.is_settled() || delivery.was_set_aside() {
        return;
    }
    if handled == HandlerOutcome::Done {
        acknowledge(&delivery).await;
    } else if let Err(error) = delivery.nack_with_backoff().await {
        // Dropping it returns it once more.
        tracing::warn!(message_id = %message.message_id, %error, "the message could not be returned to the queue");
    }
}

/// The handler, which can neither take the consumer down nor take for ever.
async fn contained<H, F, E>(delivery: Delivery, handler: Arc<H>, settings: Arc<Settings>) -> HandlerOutcome
where
    H: Fn(Delivery) -> F,
    F: Future<Output = Result<(), E>>,
{
    let poison = settings.poison.as_ref().filter(|poison| poison.is(&delivery));
    let handling = async {
        match poison {
            Some(poison) => poison.take(delivery).await,
            None => handler(delivery).await.map_err(drop),
        }
    };
    let handling = AssertUnwindSafe(handling).catch_unwind();
    match tokio::time::timeout(settings.handler_timeout, handling).await {
        Ok(Ok(Ok(()))) => HandlerOutcome::Done,
        Ok(Ok(Err(()))) => HandlerOutcome::Failed,
        Ok(Err(_panic)) => {
            tracing::error!("the handler panicked");
            HandlerOutcome::Panicked
        }
        Err(_elapsed) => {
            tracing::warn!("the handler took too long");
            HandlerOutcome::TimedOut
        }
    }
}

async fn acknowledge(delivery: &Delivery) {
    let message_id = &delivery.message().message_id;
    let mut pause = ACK_PAUSE;
    for attempt in 1.. {
        match delivery.ack().await {
            Ok(AckOutcome::Deleted) => return,
            Ok(AckOutcome::LeaseLost) => {
                tracing::warn!(%message_id, "acknowledged after the lease was lost; the message may come again");
                return;
            }
            Err(error) if !error.is_retryable() || attempt == ACK_ATTEMPTS => {
                tracing::warn!(%message_id, %error, "not acknowledged; the message comes again");
                return;
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
}
