//! The task that polls. Several receives run concurrently if one cannot fill the free slots, each with reserved slots.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Request;
use crate::consumer::lease;
use crate::consumer::pacing::{Pace, PollOutcome};
use crate::consumer::shared::{Shared, notified_or_at};
use crate::consumer::telemetry::AGE;
use crate::consumer::triage;
use crate::error::Error;
use crate::operation::{ReceiveMessage, ReceiveMessageOutput};
use crate::queue_name::queue_name;
use crate::telemetry;
use crate::types::{Message, MessageSystemAttributeName};

/// The attributes that the consumer, its handlers and their traces need of every message.
const SYSTEM_ATTRIBUTES: [MessageSystemAttributeName; 5] = [
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::SentTimestamp,
    MessageSystemAttributeName::MessageGroupId,
    MessageSystemAttributeName::MessageDeduplicationId,
    MessageSystemAttributeName::AwsTraceHeader,
];

/// Polls until the consumer is stopped, or polls were refused for too long. Open polls may then go on for the poll shutdown
/// timeout, and their messages are returned to the queue.
pub(super) async fn poll(shared: Arc<Shared>) {
    let mut polls = JoinSet::new();
    let ended = poll_into(&shared, &mut polls).await;
    if let Err(error) = ended {
        shared.with_state(|state| state.error = Some(error));
    }
    let all = async { while polls.join_next().await.is_some() {} };
    // Half of the shutdown timeout is left for returning the buffered messages afterwards.
    let timeout = shared
        .settings
        .poll_shutdown_timeout
        .min(shared.settings.shutdown_timeout / 2);
    if tokio::time::timeout(timeout, all).await.is_err() {
        polls.shutdown().await;
    }
    shared.update(|state| state.polls_ended(Instant::now()));
}

async fn poll_into(shared: &Arc<Shared>, polls: &mut JoinSet<PollOutcome>) -> Result<(), Error> {
    let mut pace = Pace::new(
        shared.settings.pollers(),
        shared.settings.refusal_timeout,
        Instant::now(),
    );
    while !shared.with_state(|state| state.is_stopping()) {
        let may_begin = polls.len() < pace.polls();
        let pausing = Instant::now() < pace.resume();
        let reservation = match may_begin && !pausing {
            true => Reservation::make(shared),
            false => None,
        };
        if let Some(reservation) = reservation {
            polls.spawn(reservation.fill());
            continue;
        }
        let poll_ended = pin!(async {
            match polls.is_empty() {
                true => std::future::pending().await,
                false => polls.join_next().await,
            }
        });
        let changed = pin!(notified_or_at(&shared.poller, pausing.then(|| pace.resume())));
        if let Either::Left((Some(polled), _)) = select(poll_ended, changed).await {
            let polled = match polled {
                Ok(polled) => polled,
                Err(error) if error.is_panic() => return Err(Error::closed("a poll panicked")),
                // The runtime is shutting down.
                Err(_) => return Ok(()),
            };
            pace.record(polled, Instant::now(), shared.client.random().fraction())?;
        }
    }
    Ok(())
}

/// Slots that a poll may fill. They are free again when it ends.
struct Reservation {
    shared: Arc<Shared>,
    slots: usize,
}

impl Reservation {
    fn make(shared: &Arc<Shared>) -> Option<Self> {
        let slots = shared.update(|state| state.reserve())?;
        Some(Self {
            shared: shared.clone(),
            slots,
        })
    }

    async fn fill(mut self) -> PollOutcome {
        let wait = wait_time(self.shared.settings.wait_time, self.shared.settings.visibility_timeout);
        let sent_at = Instant::now();
        let received = receive(&self.shared, self.slots, wait).await;
        let received = match received {
            Ok(received) => received,
            Err(error) => return PollOutcome::Failed(error),
        };
        let polled = match received.messages.len() + received.rejected.len() {
            0 => PollOutcome::Empty {
                early: sent_at.elapsed() < wait || wait.is_zero(),
            },
            some if some < self.slots => PollOutcome::Partial,
            _ => PollOutcome::Full,
        };
        self.record_ages(&received.messages);
        let ordered = self.shared.settings.ordered;
        let arrivals = triage::triage(received, ordered, |receives| self.shared.backoff(receives));
        let (confirmed, arrivals) = triage::confirm_late(&self.shared, sent_at, arrivals).await;
        let reserved = std::mem::take(&mut self.slots);
        self.shared.update(|state| {
            state.unreserve(reserved);
            if matches!(polled, PollOutcome::Empty { .. }) {
                state.poll_was_empty(sent_at);
            }
            state.arrive(arrivals, confirmed, Instant::now());
        });
        polled
    }

    fn record_ages(&self, messages: &[Message]) {
        let (now, queue) = (self.shared.client.clock().local(), queue_name(&self.shared.queue_url));
        let sent = messages
            .iter()
            .filter_map(|message| message.attributes.sent_timestamp());
        for age in sent.filter_map(|sent| now.duration_since(sent).ok()) {
            telemetry::record(AGE, queue, age.as_secs_f64());
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.slots > 0 {
            self.shared.update(|state| state.unreserve(self.slots));
        }
    }
}

/// Limits the wait time to 7 tenths of a lease, in whole seconds. A lease counts from before the receive was sent.
fn wait_time(wait: Duration, visibility: Duration) -> Duration {
    let longest = lease::usable(visibility).mul_f64(0.7);
    Duration::from_secs(wait.min(longest).as_secs())
}

async fn receive(shared: &Shared, slots: usize, wait: Duration) -> Result<ReceiveMessageOutput, Error> {
    let settings = &shared.settings;
    let request: Request<ReceiveMessage> = shared
        .client
        .receive_message(shared.queue_url.as_str())
        .max_messages(u8::try_from(slots).unwrap_or(u8::MAX))
        .wait_time(wait)
        .visibility_timeout(settings.visibility_timeout)
        .message_attribute_names(settings.requested_message_attributes())
        .message_system_attribute_names(
            SYSTEM_ATTRIBUTES
                .into_iter()
                .chain(settings.system_attribute_names.clone()),
        );
    request.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_time_leaves_a_part_of_the_lease() {
        let second = Duration::from_secs(1);
        for (wait, visibility, expected) in [
            (20, 30, 20),
            (20, 20, 13),
            (20, 2, 1),
            (20, 1, 0),
            (5, 30, 5),
            (0, 30, 0),
        ] {
            let shortened = wait_time(wait * second, visibility * second);
            assert_eq!(shortened, expected * second, "{wait} {visibility}");
        }
    }
}
