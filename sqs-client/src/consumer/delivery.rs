//! A held message, as its handler has it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::held::Entry;
use crate::consumer::requests::is_stale;
use crate::consumer::shared::Shared;
use crate::consumer::state::{End, State};
use crate::error::Error;
use crate::types::Message;

/// A received message, held until it is settled: [acknowledged](Self::ack) or [given back](Self::nack).
///
/// Meanwhile its visibility is extended in the background, up to 12 hours after its receipt, so that no other consumer
/// gets it. It is given back at once when the last clone is dropped unsettled; this is done by a task of the consumer,
/// as long as its runtime lives, and else by the visibility timeout.
///
/// SQS delivers at least once: a message can come again although it was acknowledged.
///
/// ```no_run
/// # async fn f(delivery: sqs_client::Delivery) -> Result<(), sqs_client::Error> {
/// use std::time::Duration;
///
/// match delivery.message().body.parse::<u64>() {
///     Ok(number) => {
///         println!("{number}");
///         delivery.ack().await?;
///     }
///     Err(_) => delivery.nack(Duration::from_secs(60)).await?,
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Delivery {
    held: Arc<Held>,
    message: Arc<Message>,
}

struct Held {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    settled: tokio::sync::Mutex<Option<Settled>>,
    was_set_aside: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Settled {
    Acked(AckOutcome),
    Nacked,
}

/// What the confirmation of a message's deletion is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AckOutcome {
    /// The deletion was confirmed within the lease: the message is gone, and no other consumer has been given it.
    Deleted,
    /// The lease was over when the deletion was confirmed, or the server refused the receipt handle. SQS confirms a
    /// deletion by a stale handle without deleting: the message may have been given to another consumer, or come again.
    LeaseLost,
}

impl Delivery {
    pub(super) fn new(shared: Arc<Shared>, entry: Arc<Entry>) -> Self {
        Self {
            message: entry.message(),
            held: Arc::new(Held {
                shared,
                entry,
                settled: tokio::sync::Mutex::new(None),
                was_set_aside: AtomicBool::new(false),
            }),
        }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Takes the message out, without a copy if this is the only clone that still has it: for who keeps deliveries for
    /// longer than their bodies. What is left has neither body nor message attributes.
    pub fn take_message(&mut self) -> Message {
        // The next turn of what was settled needs it whole.
        if let Ok(settled) = self.held.settled.try_lock()
            && settled.is_none()
        {
            self.held.entry.take_message();
        }
        let stays = Arc::new(self.message.without_content());
        let message = std::mem::replace(&mut self.message, stays);
        Arc::unwrap_or_clone(message)
    }

    /// Takes, in order, those of the messages that wait behind this one in its FIFO group and pass the filter. They
    /// share its turn: what else is of the group waits until all of them are settled.
    ///
    /// What a receive brought of a group is all there when its first is handled. Nothing without an order, or for a
    /// message that is settled.
    pub fn take_behind(&self, filter: impl FnMut(&Message) -> bool) -> Vec<Delivery> {
        if self.is_settled() {
            return Vec::new();
        }
        let shared = &self.held.shared;
        let taken = shared.update(|state| state.take_behind(&self.held.entry, filter, Instant::now()));
        taken
            .into_iter()
            .map(|entry| Delivery::new(shared.clone(), entry))
            .collect()
    }

    /// Returns to the queue what waits behind this message in its FIFO group, so that a receive can bring what comes after
    /// it. For a message that cannot be handled without a later one. Each of those behind counts as received once more.
    pub fn return_behind(&self) {
        self.change_phase(State::return_behind);
    }

    /// Keeps the message for something that is still to come, such as the rest of what it is a part of: it is held and
    /// its visibility extended as before, but it takes no handler's place and no room from polls, until it is
    /// [taken up](Self::take_up) or settled. From now on it is not the consumer that settles it by a handler's result,
    /// but whoever keeps a clone.
    ///
    /// The consumer sets no bound to what is set aside; who does it has to.
    pub fn set_aside(&self) {
        self.held.was_set_aside.store(true, Ordering::Release);
        self.change_phase(State::set_aside);
    }

    /// Handles a message that was [set aside](Self::set_aside) after all: it takes a handler's place again, even if
    /// there is none.
    pub fn take_up(&self) {
        self.change_phase(State::take_up);
    }

    /// Lets go of the message without a word to the server: it is neither given back nor extended any more, and comes
    /// again after its visibility timeout. For one that is held by a newer receipt, too, which a change of its
    /// visibility would concern.
    ///
    /// Nothing happens to a message that is being settled.
    pub fn disown(&self) {
        let held = &*self.held;
        if let Ok(mut settled) = held.settled.try_lock()
            && settled.is_none()
        {
            *settled = Some(Settled::Nacked);
            held.finish(End::Lost);
        }
    }

    fn change_phase(&self, change: impl FnOnce(&mut State, &Entry, Instant)) {
        let held = &*self.held;
        // It may have its next turn, with another delivery.
        if !self.is_settled() {
            held.shared.update(|state| change(state, &held.entry, Instant::now()));
        }
    }

    /// The URL of the queue that it is from.
    #[must_use]
    pub fn queue_url(&self) -> &str {
        &self.held.shared.queue_url
    }

    /// How many times the message was received and not deleted, this time included; 1 where the server does not say.
    #[must_use]
    pub fn receive_count(&self) -> u32 {
        self.message().attributes.approximate_receive_count().unwrap_or(1)
    }

    /// Returns the number of the message's receives, this one included, and of its retries in place that this consumer knows
    /// of. A receive counts whether the message was handled or not: after a restart, say, this can be 2 at the first handling.
    ///
    /// On a FIFO queue a message whose handling failed is first handled again without another receive; see
    /// [`Consumer`](crate::consumer::Consumer#receive-counts).
    #[must_use]
    pub fn handling_count(&self) -> u32 {
        self.receive_count().saturating_add(self.held.entry.all_retries())
    }

    /// How long the message is surely ours, if its visibility is not extended any more; zero once the lease is lost.
    ///
    /// A lease counts from before the receive or the last confirmed extension was sent, for the visibility timeout less
    /// 1 second (a quarter of timeouts below 4 seconds).
    #[must_use]
    pub fn lease_remaining(&self) -> Duration {
        let lease = self.held.entry.lease();
        if lease.is_lost() {
            return Duration::ZERO;
        }
        lease.until().saturating_duration_since(Instant::now())
    }

    /// Waits until the lease is lost: no extension was confirmed in time, the server refused one, or the 12 hours that
    /// a message can be held are over. Another consumer may have the message then. Never ends once it is settled in
    /// time.
    ///
    /// ```no_run
    /// # async fn work(_: &sqs_client::Message) {}
    /// # async fn f(delivery: sqs_client::Delivery) -> Result<(), sqs_client::Error> {
    /// tokio::select! {
    ///     () = work(delivery.message()) => drop(delivery.ack().await?),
    ///     () = delivery.lease_lost() => {} // someone else does it
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at any time.
    pub async fn lease_lost(&self) {
        self.held.entry.lost().await;
    }

    /// Deletes the message, together with others that are acknowledged at about the same time, and says what the
    /// server's confirmation is worth. Acknowledging again tells the same without another request.
    ///
    /// # Errors
    ///
    /// The deletion failed: the message is still held, and can be acknowledged again. Of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where it was given back before.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the message may be deleted or not. It is still held, and may be settled again.
    pub async fn ack(&self) -> Result<AckOutcome, Error> {
        let held = &*self.held;
        let mut settled = held.settled.lock().await;
        match *settled {
            Some(Settled::Acked(outcome)) => return Ok(outcome),
            Some(Settled::Nacked) => {
                return Err(Error::invalid_input("the message was given back to the queue before"));
            }
            None => {}
        }
        held.settling();
        let deleted = held.shared.requests.delete(held.entry.receipt_handle()).await;
        let outcome = match deleted {
            Ok(()) if held.entry.holds() => AckOutcome::Deleted,
            Ok(()) => AckOutcome::LeaseLost,
            Err(error) if is_stale(&error) => AckOutcome::LeaseLost,
            Err(error) => return Err(error),
        };
        *settled = Some(Settled::Acked(outcome));
        held.finish(match outcome {
            AckOutcome::Deleted => End::Deleted,
            AckOutcome::LeaseLost => End::Handled,
        });
        Ok(outcome)
    }

    /// Gives the message back to the queue, which shows it again after this time: 0 s–12 h from its receipt, in whole
    /// seconds (a fraction counts as one). Once the lease is lost, nothing is sent.
    ///
    /// On a FIFO queue its group waits until it comes again. What was received behind it stays in flight, so that only
    /// this message's receive count grows.
    ///
    /// # Errors
    ///
    /// The request failed: the message is still held. Of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) where it
    /// was acknowledged before.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the time may be set or not. The message is still held, and may be settled again.
    pub async fn nack(&self, delay: Duration) -> Result<(), Error> {
        let held = &*self.held;
        let mut settled = held.settled.lock().await;
        match *settled {
            Some(Settled::Nacked) => return Ok(()),
            Some(Settled::Acked(_)) => return Err(Error::invalid_input("the message was acknowledged before")),
            None => {}
        }
        held.settling();
        {
            let _one_at_a_time = held.entry.changing.lock().await;
            let end = return_to_queue(&held.shared, &held.entry, delay).await?;
            *settled = Some(Settled::Nacked);
            held.finish(end);
        }
        Ok(())
    }

    /// Returns the message by the consumer's [backoff](crate::consumer::Consumer::backoff): the more often it was
    /// handled, the longer it waits.
    ///
    /// On a FIFO queue it is first retried in place,
    /// [`DEFAULT_RETRIES_IN_PLACE`](crate::Consumer::DEFAULT_RETRIES_IN_PLACE) times: it stays in flight, and a new
    /// delivery brings it after the backoff. A message that was [taken](Self::take_message), that shares its turn with
    /// [others](Self::take_behind), or whose lease is lost goes to the queue at once.
    ///
    ///
    /// # Errors
    ///
    /// As with [`nack`](Self::nack).
    ///
    /// # Cancel safety
    ///
    /// As with [`nack`](Self::nack).
    pub async fn nack_with_backoff(&self) -> Result<(), Error> {
        let held = &*self.held;
        let pause = self.backoff();
        {
            let mut settled = held.settled.lock().await;
            let retry = |state: &mut State| state.retry_in_place(&held.entry, pause, Instant::now());
            if settled.is_none() && held.shared.update(retry) {
                *settled = Some(Settled::Nacked);
                return Ok(());
            }
        }
        self.nack(pause).await
    }

    /// Returns the time for which [`nack_with_backoff`](Self::nack_with_backoff) would hide the message. It is random, so
    /// that each call returns another. For whoever returns several messages that are to come again together.
    #[must_use]
    pub fn backoff(&self) -> Duration {
        let held = &*self.held;
        let handled = held.entry.receives().saturating_add(held.entry.retries());
        held.shared.backoff(handled)
    }

    /// Waits until the consumer that the message is from stops, for whatever reason: it polls no more, and what waits for a
    /// handler is returned to the queue. The future does not keep the message. For whoever keeps deliveries that were
    /// [set aside](Self::set_aside), as a stopped consumer waits for them until its grace is over.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at any time.
    pub fn consumer_stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.held.shared);
        async move { shared.stopped().await }
    }

    /// Whether it was acknowledged or given back.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        // Who holds the lock is settling it, and has not.
        self.held.settled.try_lock().is_ok_and(|settled| settled.is_some())
    }

    /// Whether it was ever [set aside](Self::set_aside).
    #[must_use]
    pub fn was_set_aside(&self) -> bool {
        self.held.was_set_aside.load(Ordering::Acquire)
    }
}

impl Held {
    fn settling(&self) {
        self.shared.update(|state| state.settling(&self.entry, Instant::now()));
    }

    fn finish(&self, end: End) {
        self.shared
            .update(|state| state.finish(&self.entry, end, Instant::now()));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.settled.get_mut().is_none() {
            self.shared
                .update(|state| state.give_back(&self.entry, Duration::ZERO, Instant::now()));
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message_id", &self.message().message_id)
            .field("receive_count", &self.receive_count())
            .field("lease_remaining", &self.lease_remaining())
            .finish_non_exhaustive()
    }
}

/// Returns a message that is surely ours to the queue. To be called with `changing` locked.
pub(super) async fn return_to_queue(shared: &Shared, entry: &Entry, delay: Duration) -> Result<End, Error> {
    if !entry.holds() {
        return Ok(End::Lost);
    }
    let delay = delay.min(entry.lease().longest(Instant::now()));
    match shared.requests.change_visibility(entry.receipt_handle(), delay).await {
        Ok(()) => Ok(End::Returned(delay)),
        Err(error) if is_stale(&error) => Ok(End::Lost),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{MessageSystemAttributeName, MessageSystemAttributes};
    use crate::{Client, Credentials};

    fn message(body: &str) -> Message {
        let mut message: Message = serde_json::from_str(r#"{"ReceiptHandle": "r"}"#).unwrap();
        message.body = body.to_owned();
        let group = (MessageSystemAttributeName::MessageGroupId, "g".to_owned());
        message.attributes = MessageSystemAttributes::from_iter([group]);
        message
    }

    #[tokio::test]
    async fn a_delivery_that_was_settled_takes_nothing_from_the_next_turn() {
        let client = Client::builder()
            .region("us-east-1")
            .credentials(Credentials::new("x", "x"))
            .build()
            .unwrap();
        let consumer = client.consumer("q.fifo").backoff(Duration::ZERO, Duration::ZERO);
        let shared = Arc::new(Shared::new(client, "q.fifo".to_owned(), consumer.settings));
        let now = Instant::now();
        let next = || {
            let entry = shared.update(|state| state.next(Instant::now())).unwrap();
            Delivery::new(shared.clone(), entry)
        };
        shared.update(|state| state.arrive(vec![message("1").into(), message("2").into()], now, now));
        let mut first = next();
        first.nack_with_backoff().await.unwrap();
        assert!(first.take_behind(|_| true).is_empty());
        first.return_behind();
        assert_eq!(first.take_message().body, "1");
        let round = shared.update(|state| state.round(Instant::now()));
        assert!(round.release.is_empty());

        let second = next();
        assert_eq!(second.message().body, "1");
        first.set_aside();
        assert!(first.take_behind(|_| true).is_empty());
        assert_eq!(second.take_behind(|_| true).len(), 1);
    }
}
