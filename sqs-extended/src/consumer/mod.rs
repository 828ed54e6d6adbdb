//! A consumer of payloads of any size, over the queue's consumer: which holds, extends and gives back the messages.
//!
//! `worker` handles one message after the other: what is whole at once, segments once they are all there. `gathering` has
//! the segments that wait for others.

pub(crate) mod claimed_segments;
mod dispatch;
mod fifo_groups;
mod gathering;
mod held_segment;
mod incomplete;
mod redrive_check;
mod return_guard;
mod spill;

use std::sync::Arc;
use std::time::Duration;

use sqs_client::limits;
use tokio::task::JoinSet;

use self::dispatch::Worker;
use self::fifo_groups::FifoGroups;
use self::gathering::Gathering;
use self::incomplete::Hook;
use self::return_guard::ReturnGuard;
use crate::client::ExtendedClient;
use crate::error::Error;
use crate::pointer;
use crate::receive::delivery::ExtendedDelivery;
use crate::receive::missing::MissingPayload;
use crate::segment::fifo_planner::Planner;
use crate::segment::{ATTRIBUTES, Limits};
use crate::send::policy::is_fifo;

pub use incomplete::{IncompleteAction, IncompletePayload, IncompleteReason};

/// Where consumers compete, how long one holds segments of a payload whose first it does not have: time for a few receives.
const GATHER: Duration = Duration::from_millis(500);

/// The least and the longest time for which segments stay hidden that are given back for another consumer, or for lack of
/// room.
const BACK_AFTER: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(2));

/// How many finished payloads a consumer remembers, to delete what still comes of them, and for how long.
const REMEMBERED: usize = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(3_600);

/// A consumer that is being put together: see [`ExtendedClient::consumer`].
///
/// It is [`sqs_client::Consumer`], whose settings are made by [`configure`](Self::configure), for payloads of any size:
/// handlers are given an [`ExtendedDelivery`] of this crate. Everything that is held is extended as long as it takes, a download
/// included; and an acknowledged message is deleted first, and then its payload in the store.
///
/// # Segments
///
/// What was [split](crate::Strategy::Split) is handed over once all its segments are there, and settled as a whole. Until
/// then they are held, within bounds. What is not complete in time, or has no room, is given back to the queue; never
/// deleted, unless [`on_incomplete`](Self::on_incomplete) says so. What has no room again and again comes back after half
/// a minute in the end. A payload takes one handler's place.
///
/// A payload whose handling fails comes again as a whole, after one delay for all its segments. What expired once gives way to
/// payloads that have not, and waits longer each time.
///
/// * **Standard queues.** Where several consumers [compete](Self::competing_consumers), segments of a payload scatter:
///   they gather at the consumer that has the first, as the others give theirs back. That costs receives, which count
///   for the queue's `maxReceiveCount`. One consumer, or a payload store, costs none.
/// * **FIFO queues.** Segments come in order, at most 10. SQS yields a group up to its first message that is in flight. A
///   receive that brings less than a whole payload returns it, to try again: the rest may be in flight at a competing
///   consumer. A payload that stays incomplete, because its sender died, blocks its group. It is deleted once the same
///   payload was sent again behind it: by its deduplication id, or without one by its content. Otherwise `on_incomplete`
///   clears it, or the redrive policy or the retention does. The same holds for what is left of an acknowledged payload
///   if some of its segments could not be deleted: the consumer that acknowledged it deletes the rest, and to any other
///   consumer the payload is incomplete. Let one producer at a time send to a group.
///
/// A message that is refused, as its pointer is malformed or names what may not be touched, is logged and given back by
/// the backoff, so that it goes to the dead-letter queue in the end if there is one. So is a message that the queue's
/// client rejects.
///
/// ```no_run
/// # async fn f(extended: sqs_extended::ExtendedClient, queue: &str) -> Result<(), sqs_extended::Error> {
/// extended
///     .consumer(queue)
///     .configure(|consumer| consumer.concurrency(4))
///     .run(tokio::signal::ctrl_c(), |delivery| async move {
///         delivery.download_to(format!("{}.tar", delivery.message_id())).await.map(drop)
///     })
///     .await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a consumer does nothing before it is run"]
pub struct ExtendedConsumer {
    extended: ExtendedClient,
    consumer: sqs_client::Consumer,
    queue_url: String,
    settings: Settings,
    return_guard: ReturnGuard,
}

#[derive(Clone, Debug)]
struct Settings {
    /// How many compete, where that was said.
    consumers: Option<u32>,
    skip_redrive_check: bool,
    max_buffered_bytes: u64,
    max_buffered_payloads: usize,
    assembly_timeout: Duration,
    spill_threshold: u64,
    max_spill_files: usize,
    incomplete: Hook,
}

impl Settings {
    fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_buffered_bytes,
            max_payloads: self.max_buffered_payloads,
            timeout: self.assembly_timeout,
            first_segment_timeout: self.consumers.filter(|consumers| *consumers > 1).map(|_| GATHER),
            return_delay: BACK_AFTER,
            max_finished: REMEMBERED,
            finished_for: REMEMBERED_FOR,
        }
    }
}

impl ExtendedClient {
    /// A consumer of a queue for payloads of any size. Set it up, and [`run`](ExtendedConsumer::run) it.
    pub fn consumer(&self, queue_url: impl Into<String>) -> ExtendedConsumer {
        let queue_url = queue_url.into();
        let return_guard = ReturnGuard::default();
        let outermost = return_guard.clone();
        let consumer = self
            .client()
            .consumer(&queue_url)
            .wrap_handler(move |delivery, handling| {
                let key = delivery.message().receipt_handle.clone();
                outermost.clone().wrap(key, handling)
            });
        ExtendedConsumer {
            consumer,
            extended: self.clone(),
            queue_url,
            settings: Settings {
                consumers: None,
                skip_redrive_check: false,
                max_buffered_bytes: ExtendedConsumer::DEFAULT_MAX_BUFFERED_BYTES,
                max_buffered_payloads: ExtendedConsumer::DEFAULT_MAX_BUFFERED_PAYLOADS,
                assembly_timeout: ExtendedConsumer::DEFAULT_ASSEMBLY_TIMEOUT,
                spill_threshold: ExtendedConsumer::DEFAULT_SPILL_THRESHOLD,
                max_spill_files: ExtendedConsumer::DEFAULT_MAX_SPILL_FILES,
                incomplete: Hook::default(),
            },
            return_guard,
        }
    }
}

impl ExtendedConsumer {
    /// The time that the hook of [`on_incomplete`](Self::on_incomplete) has for a decision: 30 seconds. A hook that
    /// takes longer, or panics, counts as one that returned [`IncompleteAction::Return`].
    pub const INCOMPLETE_HOOK_TIMEOUT: Duration = incomplete::HOOK_TIMEOUT;

    /// The default of [`max_buffered_bytes`](Self::max_buffered_bytes): 128 MiB.
    pub const DEFAULT_MAX_BUFFERED_BYTES: u64 = 128 * 1024 * 1024;

    /// The default of [`max_buffered_payloads`](Self::max_buffered_payloads), in partial payloads.
    pub const DEFAULT_MAX_BUFFERED_PAYLOADS: usize = 1_000;

    /// The default of [`assembly_timeout`](Self::assembly_timeout): 5 minutes.
    pub const DEFAULT_ASSEMBLY_TIMEOUT: Duration = Duration::from_secs(300);

    /// The default of [`spill_threshold`](Self::spill_threshold): 16 MiB.
    pub const DEFAULT_SPILL_THRESHOLD: u64 = 16 * 1024 * 1024;

    /// The default of [`max_spill_files`](Self::max_spill_files), in temporary files.
    pub const DEFAULT_MAX_SPILL_FILES: usize = 64;

    /// Configures the underlying [`Consumer`](sqs_client::Consumer): how many payloads are handled concurrently,
    /// visibility timeout, backoff, and so on.
    ///
    /// Each segment of a payload has its own receive count.
    pub fn configure(mut self, set: impl FnOnce(sqs_client::Consumer) -> sqs_client::Consumer) -> Self {
        self.consumer = set(self.consumer);
        self
    }

    /// Sets how many consumers of the queue compete for messages, this one included. Default: unknown, and no check.
    /// Range: at least 1.
    ///
    /// With more than one, segments on a standard queue are gathered at the consumer that has the first one.
    /// [`run`](Self::run) refuses to start if the queue's `maxReceiveCount` is so low that this could move segments to
    /// the dead-letter queue.
    pub fn competing_consumers(mut self, consumers: u32) -> Self {
        self.settings.consumers = Some(consumers.max(1));
        self
    }

    /// Sets whether to start whatever the queue's `maxReceiveCount` is. Default: `false`.
    pub fn skip_redrive_check(mut self, on: bool) -> Self {
        self.settings.skip_redrive_check = on;
        self
    }

    /// Limits the bytes of segments that are buffered in memory and in temporary files, with attributes, headers and
    /// ids. Default: [`DEFAULT_MAX_BUFFERED_BYTES`](Self::DEFAULT_MAX_BUFFERED_BYTES).
    ///
    /// Payloads that are being handled count as well. A payload that is larger than this can never be complete.
    pub fn max_buffered_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_buffered_bytes = bytes;
        self
    }

    /// Limits the number of partial payloads. Default:
    /// [`DEFAULT_MAX_BUFFERED_PAYLOADS`](Self::DEFAULT_MAX_BUFFERED_PAYLOADS). Range: at least 1.
    pub fn max_buffered_payloads(mut self, payloads: usize) -> Self {
        self.settings.max_buffered_payloads = payloads.max(1);
        self
    }

    /// Sets how long the segments of a payload wait for the last one. Default:
    /// [`DEFAULT_ASSEMBLY_TIMEOUT`](Self::DEFAULT_ASSEMBLY_TIMEOUT).
    ///
    /// On a FIFO queue the segments are returned and received again in the meantime, 7 times within 31 seconds and once
    /// a minute in the end. Where consumers compete for a FIFO queue, set it longer than their visibility timeout,
    /// because a killed consumer hides the rest of a payload for that long.
    pub fn assembly_timeout(mut self, age: Duration) -> Self {
        self.settings.assembly_timeout = age;
        self
    }

    /// Sets how many bytes of a payload's segments are buffered in memory. Default:
    /// [`DEFAULT_SPILL_THRESHOLD`](Self::DEFAULT_SPILL_THRESHOLD).
    ///
    /// Once more of them have arrived, they wait in a temporary file, in the system's folder for such files. Where that
    /// cannot be written, the payload is returned to the queue with the backoff.
    pub fn spill_threshold(mut self, bytes: u64) -> Self {
        self.settings.spill_threshold = bytes;
        self
    }

    /// Limits the number of open temporary files. Default: [`DEFAULT_MAX_SPILL_FILES`](Self::DEFAULT_MAX_SPILL_FILES).
    /// Range: at least 1. A payload that requires one more is returned to the queue with the backoff.
    pub fn max_spill_files(mut self, files: usize) -> Self {
        self.settings.max_spill_files = files.max(1);
        self
    }

    /// Sets the hook that decides what becomes of a payload that is not complete in time. Default: the payload is
    /// logged and returned to the queue.
    ///
    /// The hook has [`INCOMPLETE_HOOK_TIMEOUT`](Self::INCOMPLETE_HOOK_TIMEOUT). In the meantime the segments stay
    /// hidden and count as buffered.
    ///
    /// ```no_run
    /// # fn f(consumer: sqs_extended::ExtendedConsumer) {
    /// use sqs_extended::consumer::IncompleteAction;
    ///
    /// let consumer = consumer.on_incomplete(|payload| async move {
    ///     eprintln!("{}: {} of {} segments", payload.payload_id, payload.have, payload.count);
    ///     IncompleteAction::MoveTo("https://sqs.eu-west-1.amazonaws.com/123456789012/incomplete".to_owned())
    /// });
    /// # }
    /// ```
    pub fn on_incomplete<H, F>(mut self, hook: H) -> Self
    where
        H: Fn(IncompletePayload) -> F + Send + Sync + 'static,
        F: Future<Output = IncompleteAction> + Send + 'static,
    {
        self.settings.incomplete = Hook::new(hook);
        self
    }

    /// Handles payloads until `shutdown` ends. A handler's `Ok` acknowledges the message: it is deleted, and then its
    /// payload in the store. `Err`, a panic, or a handler that took too long gives it back by the backoff. A handler may
    /// settle its delivery itself; then its result means nothing.
    ///
    /// The end is that of [`sqs_client::Consumer::run`]; segments that wait for others are given back at once.
    ///
    /// # Errors
    ///
    /// The settings cannot work, or the queue's `maxReceiveCount` is too low or could not be read; or polls were refused
    /// in a way that repeating does not mend.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, handlers are aborted, and all that was held is given back in the background, as long as
    /// the runtime lives.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn run<S, H, F, E>(self, shutdown: S, handler: H) -> Result<(), Error>
    where
        S: Future,
        H: Fn(ExtendedDelivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        self.check_queue().await?;
        let fifo = is_fifo(&self.queue_url);
        let gathering = Arc::new(Gathering::new(&self.extended, &self.settings));
        let mut consumer = self
            .consumer
            .extra_message_attribute_names(pointer::RESERVED_NAMES)
            .extra_message_attribute_names(ATTRIBUTES);
        if matches!(self.extended.0.missing, MissingPayload::MoveTo(_)) {
            consumer = consumer.extra_message_attribute_names(["All"]);
        }
        if fifo {
            // Whole payloads come by whole receives.
            consumer = consumer.min_receive(u8::try_from(limits::MAX_BATCH_ENTRIES).unwrap_or(u8::MAX));
        }
        let ordered = fifo.then(|| FifoGroups::new(Planner::new(self.settings.assembly_timeout)));
        let worker = Worker::new(
            self.extended,
            handler,
            Arc::clone(&gathering),
            self.return_guard,
            ordered,
        );
        let worker = Arc::new(worker);
        // In a set, as that aborts it when dropped.
        let mut upkeep = JoinSet::new();
        upkeep.spawn(Arc::clone(&gathering).keep());
        let ended = consumer
            .run(shutdown, move |delivery| Arc::clone(&worker).handle(delivery))
            .await;
        gathering.close();
        ended.map_err(|error| Error::queue("the queue can no longer be consumed", error))
    }

    async fn check_queue(&self) -> Result<(), Error> {
        match self.settings.consumers {
            Some(consumers) if !self.settings.skip_redrive_check => {
                redrive_check::check(self.extended.client(), &self.queue_url, consumers).await
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestStore, extended};

    #[test]
    fn a_consumer_can_run_in_a_task_whatever_ends_it() {
        fn send(_: impl Send) {}
        send(async {
            let consumer = extended(&TestStore::default()).consumer("http://127.0.0.1:1/queue");
            let shutdown = async { tokio::task::yield_now().await };
            consumer.run(shutdown, |_| async { Ok::<(), Error>(()) }).await
        });
    }
}
