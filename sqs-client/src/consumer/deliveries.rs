//! The stream of what a consumer receives.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::Instant;

use crate::consumer::delivery::Delivery;
use crate::consumer::shared::Shared;
use crate::consumer::{Consumer, heartbeat, poller};
use crate::error::Error;

/// What a [`Consumer`] receives, as a stream: see [`Consumer::deliveries`].
///
/// It brings no further delivery while as many as the consumer's concurrency are held that nobody has begun to settle.
/// After an error that repeating does not mend it ends; see [`Consumer`] on which those are.
///
/// When it is dropped, polling stops, and what waits in it is given back by a task in the background, as long as the
/// runtime lives. Deliveries that were taken from it stay held.
#[must_use = "a stream does nothing unless polled"]
pub struct Deliveries {
    shared: Arc<Shared>,
    started: bool,
}

impl Deliveries {
    pub(super) fn new(consumer: Consumer) -> Self {
        let checked = consumer.check();
        let shared = Shared::new(consumer.client, consumer.queue_url, consumer.settings);
        // Settings that cannot work are the stream's only item, and nothing is started.
        let started = checked.is_err();
        shared.look(|state| state.error = checked.err());
        Self {
            shared: Arc::new(shared),
            started,
        }
    }

    /// Stops polling, and gives back what waits in the stream, which ends here. Deliveries that were taken from it stay
    /// held until they are settled or dropped.
    pub fn stop(&mut self) {
        self.shared.stop();
    }

    /// [Stops](Self::stop), and waits until the last poll has been answered, what it brought has been given back, and
    /// the deliveries that were taken from the stream have been settled or dropped; at most for the grace.
    ///
    /// Whether all that came to pass. A poll that was not answered within the grace may bring messages that nobody
    /// holds; they are given back in the background, or come again after the visibility timeout if the runtime ends.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it goes on in the background, as long as the runtime lives.
    pub async fn shutdown(mut self, grace: Duration) -> bool {
        self.stop();
        let rest = async {
            while !self.shared.look(|state| state.is_at_rest()) {
                self.shared.rest.notified().await;
            }
        };
        tokio::time::timeout(grace, rest).await.is_ok()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn start(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            self.shared.look(|state| state.polling = true);
            tokio::spawn(heartbeat::keep(self.shared.clone()));
            tokio::spawn(poller::poll(self.shared.clone()));
        }
    }
}

impl Stream for Deliveries {
    type Item = Result<Delivery, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.start();
        // Before looking, so that no wake is missed.
        self.shared.stream.register(context.waker());
        let next = self.shared.update(|state| match state.next(Instant::now()) {
            Some(entry) => Poll::Ready(Some(Ok(entry))),
            None if state.is_exhausted() => Poll::Ready(state.error.take().map(Err)),
            None => Poll::Pending,
        });
        next.map(|next| next.map(|next| next.map(|entry| Delivery::new(self.shared.clone(), entry))))
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
            .field("queue_url", &self.shared.queue_url)
            .finish_non_exhaustive()
    }
}
