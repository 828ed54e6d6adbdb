//! The stream of the messages that a consumer receives.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::Instant;

use crate::client::Client;
use crate::consumer::delivery::Delivery;
use crate::consumer::settings::Settings;
use crate::consumer::shared::Shared;
use crate::consumer::{heartbeat, poller};
use crate::error::Error;
use crate::queue_ref::QueueRef;

/// The stream of messages that a consumer receives. Created by
/// [`Consumer::deliveries`](crate::consumer::Consumer::deliveries).
///
/// The consumer's [`concurrency`](crate::Consumer::concurrency) limits the number of yielded deliveries. A delivery
/// counts until its settling begins. The stream ends after an error that a repeated poll cannot solve, such as lasting
/// refusals. See [`Consumer`](crate::consumer::Consumer).
///
/// If the stream is dropped, polling stops. While the runtime lives, a background task returns the buffered messages to
/// the queue. Deliveries that the stream has yielded stay in flight.
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
/// use std::time::Duration;
/// use futures_util::TryStreamExt;
///
/// let mut deliveries = client.consumer(queue).deliveries();
/// if let Some(delivery) = deliveries.try_next().await? {
///     delivery.ack().await?;
/// }
/// deliveries.shutdown(Duration::from_secs(10)).await;
/// # Ok(()) }
/// ```
#[must_use = "a stream does nothing unless polled"]
pub struct Deliveries {
    shared: Arc<Shared>,
    started: bool,
}

impl Deliveries {
    pub(super) fn new(client: Client, queue: QueueRef, settings: Settings, checked: Result<(), Error>) -> Self {
        let shared = Shared::new(client, queue, settings);
        // With invalid settings, the error is the stream's only item, and no task starts.
        let started = checked.is_err();
        shared.with_state(|state| state.error = checked.err());
        Self {
            shared: Arc::new(shared),
            started,
        }
    }

    /// Stops polling, ends the stream and returns the buffered messages to the queue. Deliveries that the stream has
    /// yielded stay in flight until they are settled or dropped.
    pub fn stop(&mut self) {
        self.shared.stop();
    }

    /// [Stops](Self::stop) the stream, and waits for up to `timeout` until nothing is in flight. By then the last poll
    /// has ended, its messages are returned, and all deliveries are settled or dropped.
    ///
    /// Returns `true` if that happened in time. Otherwise an open poll may still receive messages. The background task
    /// returns them to the queue, or they reappear after the visibility timeout if the runtime ends.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the shutdown continues in the background while the runtime lives.
    pub async fn shutdown(mut self, timeout: Duration) -> bool {
        self.stop();
        let at_rest = async {
            while !self.shared.with_state(|state| state.is_at_rest()) {
                self.shared.at_rest.notified().await;
            }
        };
        tokio::time::timeout(timeout, at_rest).await.is_ok()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn start(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            self.shared.with_state(|state| state.polling = true);
            tokio::spawn(heartbeat::run(self.shared.clone()));
            tokio::spawn(poller::poll(self.shared.clone()));
        }
    }
}

impl Stream for Deliveries {
    type Item = Result<Delivery, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.start();
        // Registered before the check, so that no wake-up is missed.
        self.shared.stream.register(context.waker());
        let next = self.shared.update(|state| match state.next(Instant::now()) {
            Some(tracked) => Poll::Ready(Some(Ok(tracked))),
            None if state.is_exhausted() => Poll::Ready(state.error.take().map(Err)),
            None => Poll::Pending,
        });
        next.map(|next| next.map(|next| next.map(|tracked| Delivery::new(self.shared.clone(), tracked))))
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries")
            .field("queue", &self.shared.queue.given())
            .finish_non_exhaustive()
    }
}
