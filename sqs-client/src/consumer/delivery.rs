//! A held message, as its handler has it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::entry::Entry;
use super::shared::Shared;
use super::state::State;
use crate::error::{Error, ErrorCode};
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
        self.held.entry.take_message();
        let stays = Arc::new(self.message.without_content());
        let message = std::mem::replace(&mut self.message, stays);
        Arc::unwrap_or_clone(message)
    }

    /// Takes, in order, those of the messages that wait behind this one in its FIFO group and pass the filter. They
    /// share its turn: what else is of the group waits until all of them are settled, and goes back to the queue with
    /// them unless all were surely deleted.
    ///
    /// What a receive brought of a group is all there when its first is handled. Nothing without an order, or for a
    /// message that is settled.
    pub fn take_behind(&self, filter: impl FnMut(&Message) -> bool) -> Vec<Delivery> {
        let shared = &self.held.shared;
        let taken = shared.update(|state| state.take_behind(&self.held.entry, filter, Instant::now()));
        taken
            .into_iter()
            .map(|entry| Delivery::new(shared.clone(), entry))
            .collect()
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
            held.finish(false);
        }
    }

    fn change_phase(&self, change: impl FnOnce(&mut State, &Entry, Instant)) {
        let held = &*self.held;
        held.shared.update(|state| change(state, &held.entry, Instant::now()));
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
        let deleted = held.shared.batcher.delete(held.entry.receipt_handle()).await;
        let outcome = match deleted {
            Ok(()) if held.entry.holds() => AckOutcome::Deleted,
            Ok(()) => AckOutcome::LeaseLost,
            Err(error) if is_stale(&error) => AckOutcome::LeaseLost,
            Err(error) => return Err(error),
        };
        *settled = Some(Settled::Acked(outcome));
        held.finish(outcome == AckOutcome::Deleted);
        Ok(outcome)
    }

    /// Gives the message back to the queue, which shows it again after this time: 0 s–12 h from its receipt, in whole
    /// seconds (a fraction counts as one). Once the lease is lost, nothing is sent.
    ///
    /// On a FIFO queue the rest of its group that is held goes back too, and the group waits for this time.
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
            change_visibility(&held.shared, &held.entry, delay).await?;
            *settled = Some(Settled::Nacked);
            held.finish(false);
        }
        Ok(())
    }

    /// Gives the message back by the consumer's [backoff](super::Consumer::backoff): the more often it was received, the
    /// longer it stays hidden.
    ///
    /// # Errors
    ///
    /// As with [`nack`](Self::nack).
    ///
    /// # Cancel safety
    ///
    /// As with [`nack`](Self::nack).
    pub async fn nack_with_backoff(&self) -> Result<(), Error> {
        self.nack(self.backoff()).await
    }

    /// Returns the time for which [`nack_with_backoff`](Self::nack_with_backoff) would hide the message. It is random, so
    /// that each call returns another. For whoever returns several messages that are to come again together.
    #[must_use]
    pub fn backoff(&self) -> Duration {
        self.held.shared.backoff(self.receive_count())
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

    fn finish(&self, deleted: bool) {
        self.shared
            .update(|state| state.finish(&self.entry, deleted, Instant::now()));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.settled.get_mut().is_none() {
            self.shared.update(|state| state.give_back(&self.entry, Instant::now()));
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

/// Gives a message back that is surely ours; a stale handle is as good. To be called with `changing` locked.
pub(super) async fn change_visibility(shared: &Shared, entry: &Entry, delay: Duration) -> Result<(), Error> {
    if !entry.holds() {
        return Ok(());
    }
    let delay = delay.min(entry.lease().longest(Instant::now()));
    let handle = entry.receipt_handle();
    match shared.batcher.change_visibility(handle, delay).await {
        Err(error) if !is_stale(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether the server says that the receipt handle is not, or no longer, one that holds a message.
pub(super) fn is_stale(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::MessageNotInflight | ErrorCode::ReceiptHandleIsInvalid | ErrorCode::InvalidParameterValue)
    )
}
