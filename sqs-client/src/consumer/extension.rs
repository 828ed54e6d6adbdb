//! Controls that only sqs-extended needs. Not part of the API, and subject to change in any version.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::consumer::builder::Consumer;
use crate::consumer::delivery::Delivery;
use crate::consumer::settlement::Settlement;
use crate::consumer::state::{End, State};
use crate::consumer::tracked::TrackedMessage;
use crate::credentials::BoxFuture;
use crate::error::Error;
use crate::limits;
use crate::types::Message;

pub use crate::consumer::ack_retry::retry_ack;
pub use crate::consumer::forward::forward;
pub use crate::consumer::lease::{LEASE_MARGIN, Lease};

mod sealed {
    pub trait Sealed {}

    impl Sealed for crate::consumer::builder::Consumer {}
    impl Sealed for crate::consumer::delivery::Delivery {}
}

/// Settings of a consumer whose messages belong together.
pub trait ConsumerExt: sealed::Sealed {
    /// Sets the minimum number of messages that a poll requests. Default: 1. Range: 1–10.
    ///
    /// A poll waits until there is room for that many. At least one fewer may always be buffered.
    #[must_use]
    fn min_messages_per_poll(self, messages: u8) -> Self;

    /// Keeps messages of a FIFO group together that are handled together. `belongs(first, later)` returns `true` if the
    /// later one belongs with the first. A consumer that waits in vain for a returned message returns the next one to
    /// find out if the group is blocked, and then returns all that belong with it. Default: each message is alone.
    #[must_use]
    fn keep_together(self, belongs: fn(&Message, &Message) -> bool) -> Self;

    /// Requests these message attributes in addition to those of
    /// [`message_attribute_names`](Consumer::message_attribute_names), whichever is called first.
    #[must_use]
    fn add_message_attribute_names<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self;

    /// Returns the queue's URL. Looks a name up, once for the consumer and its clones.
    ///
    /// # Errors
    ///
    /// The queue was given by its ARN, or the lookup failed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the next call looks the name up again, unless a clone of the consumer did so meanwhile.
    fn queue_url(&self) -> impl Future<Output = Result<&str, Error>> + Send;
}

impl ConsumerExt for Consumer {
    fn min_messages_per_poll(mut self, messages: u8) -> Self {
        self.settings.min_receive = usize::from(messages).clamp(1, limits::MAX_BATCH_ENTRIES);
        self
    }

    fn keep_together(mut self, belongs: fn(&Message, &Message) -> bool) -> Self {
        self.settings.belongs_with = belongs;
        self
    }

    fn add_message_attribute_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.settings.extra_message_attribute_names.extend(names);
        self
    }

    async fn queue_url(&self) -> Result<&str, Error> {
        self.queue.url(&self.client).await
    }
}

/// Controls for deliveries whose messages belong together.
pub trait DeliveryExt: sealed::Sealed {
    /// Moves the message out of the delivery, which keeps neither its body nor its message attributes. Copies the
    /// message only if another clone of the delivery still has it. Saves memory for deliveries that outlive their
    /// bodies.
    ///
    /// A message without content cannot be retried in place.
    fn take_message(&mut self) -> Message;

    /// Removes and returns, in order, the buffered messages that follow this one in its FIFO group and pass the filter.
    /// They share its turn: the rest of the group waits until all of them are settled.
    ///
    /// When the first message of a group is handled, all others that the receive returned are buffered. Returns nothing
    /// for a settled message, or if order is not kept.
    fn take_later_messages_of_group(&self, filter: impl FnMut(&Message) -> bool) -> Vec<Delivery>;

    /// Returns the buffered messages that follow this one in its FIFO group to the queue, so that a receive can fetch
    /// the messages after them. Use it for a message that cannot be handled without a later one. The receive count of
    /// each returned message grows by one.
    fn return_later_messages_of_group(&self);

    /// Keeps the message in flight while it waits for other messages. It uses no handler's slot and does not count
    /// toward the room of polls, until it is [resumed](Self::resume) or settled. From now on the caller settles the
    /// message, and the result of its handler no longer does.
    ///
    /// The consumer does not limit the number of parked messages, so the caller must.
    fn park(&self);

    /// Counts a [parked](Self::park) message as being handled again, even if all handler slots are in use.
    fn resume(&self);

    /// Stops tracking the message without contacting SQS. The message is neither returned nor extended, and reappears
    /// when its visibility timeout expires. Use it for a message that is also in flight by a newer receipt, whose
    /// visibility a request would change.
    ///
    /// Does nothing if the message is being settled.
    fn stop_tracking(&self);

    /// Waits until the message's consumer stops for any reason. It then polls no more, and returns its buffered messages
    /// to the queue. The future does not keep the message in flight. A stopped consumer waits for parked deliveries until
    /// its shutdown timeout, so their owner should settle them then.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped, and the method called again, at any time.
    fn consumer_stopped(&self) -> BoxFuture<'static, ()>;
}

impl DeliveryExt for Delivery {
    fn take_message(&mut self) -> Message {
        // A settled message may have another turn, which needs its content.
        if let Ok(settlement) = self.inner.settlement.try_lock()
            && settlement.is_none()
        {
            self.inner.tracked.take_message();
        }
        let without_content = Arc::new(self.message.without_content());
        let message = std::mem::replace(&mut self.message, without_content);
        Arc::unwrap_or_clone(message)
    }

    fn take_later_messages_of_group(&self, filter: impl FnMut(&Message) -> bool) -> Vec<Delivery> {
        if self.is_settled() {
            return Vec::new();
        }
        let shared = &self.inner.shared;
        let taken = shared.update(|state| state.take_later(&self.inner.tracked, filter, Instant::now()));
        taken
            .into_iter()
            .map(|tracked| Delivery::new(shared.clone(), tracked))
            .collect()
    }

    fn return_later_messages_of_group(&self) {
        change_phase(self, State::return_later);
    }

    fn park(&self) {
        self.inner.was_parked.store(true, Ordering::Release);
        change_phase(self, State::park);
    }

    fn resume(&self) {
        change_phase(self, State::resume);
    }

    fn stop_tracking(&self) {
        let inner = &*self.inner;
        if let Ok(mut settlement) = inner.settlement.try_lock()
            && settlement.is_none()
        {
            *settlement = Some(Settlement::Dropped);
            inner.finish(End::Lost);
        }
    }

    fn consumer_stopped(&self) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.inner.shared);
        Box::pin(async move { shared.stopped().await })
    }
}

fn change_phase(delivery: &Delivery, change: impl FnOnce(&mut State, &TrackedMessage, Instant)) {
    let inner = &*delivery.inner;
    // A settled message may have another turn, with another delivery.
    if !delivery.is_settled() {
        inner
            .shared
            .update(|state| change(state, &inner.tracked, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::consumer::shared::Shared;
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
    async fn a_settled_delivery_does_not_affect_the_messages_next_turn() {
        let client = Client::builder()
            .region("us-east-1")
            .credentials(Credentials::new("x", "x"))
            .build()
            .unwrap();
        let consumer = client.consumer("q.fifo").backoff(Duration::ZERO, Duration::ZERO);
        let shared = Arc::new(Shared::new(client, consumer.queue, consumer.settings));
        let now = Instant::now();
        let next = || {
            let tracked = shared.update(|state| state.next(Instant::now())).unwrap();
            Delivery::new(shared.clone(), tracked)
        };
        shared.update(|state| state.arrive(vec![message("1").into(), message("2").into()], now, now));
        let mut first = next();
        first.nack_with_backoff().await.unwrap();
        assert!(first.take_later_messages_of_group(|_| true).is_empty());
        first.return_later_messages_of_group();
        assert_eq!(first.take_message().body, "1");
        let round = shared.update(|state| state.round(Instant::now()));
        assert!(round.returns.is_empty());

        let second = next();
        assert_eq!(second.message().body, "1");
        first.park();
        assert!(first.take_later_messages_of_group(|_| true).is_empty());
        assert_eq!(second.take_later_messages_of_group(|_| true).len(), 1);
    }
}
