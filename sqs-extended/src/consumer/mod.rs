//! The consumer of payloads of any size, on top of the queue's consumer.
//!
//! The queue's consumer receives messages, extends their visibility timeouts and returns them. `dispatch` handles each
//! message. It handles a whole payload at once, and a payload in segments once all have arrived. `gathering` buffers the
//! segments until then.

pub(crate) mod dispatch;
mod fifo_groups;
mod gathering;
mod group_head;
mod held_segment;
mod incomplete;
mod redrive_check;
mod return_guard;
mod settings;
mod spill;

use std::sync::Arc;
use std::time::Duration;

use sqs_client::internal::{ConsumerExt as _, is_fifo};
use sqs_client::limits;
use tokio::task::JoinSet;

use self::dispatch::Worker;
use self::fifo_groups::FifoGroups;
use self::gathering::Gathering;
use self::group_head::are_of_one_payload;
use self::incomplete::Hook;
use self::return_guard::ReturnGuard;
use self::settings::Settings;
use crate::error::Error;
use crate::pointer;
use crate::receive::delivery::ExtendedDelivery;
use crate::receive::missing_policy::MissingPayload;
use crate::segment::ATTRIBUTES;
use crate::segment::fifo_planner::Planner;
use crate::shared::Shared;

pub use incomplete::{IncompleteAction, IncompletePayload, IncompleteReason};

/// A consumer of payloads of any size, created by [`ExtendedClient::consumer`](crate::ExtendedClient::consumer).
///
/// It runs a [`sqs_client::Consumer`], whose settings [`configure`](Self::configure) changes, and passes an
/// [`ExtendedDelivery`] to each handler. It extends the visibility timeout until the handler ends, so a handler may download
/// for hours. An acknowledgement deletes the message first, and then its payload in the store.
///
/// # Segments
///
/// A [split](crate::Strategy::Split) payload is handled once all its segments have arrived, and uses one handler slot. Its
/// messages are acknowledged or returned together. Until then the segments are buffered, within the limits below. Segments
/// that exceed a limit or a timeout are returned to the queue. Their delay grows to half a minute, or to a minute on a FIFO
/// queue. They are deleted only if [`on_incomplete`](Self::on_incomplete) says so. A payload that expired once yields to
/// payloads that have not, and is delayed longer each time.
///
/// All segments of a payload are delivered again after one delay if its handler fails.
///
/// * **Standard queues.** Segments scatter over competing consumers. If each knows their
///   [number](Self::competing_consumers), the consumer with the first segment gathers the payload, and the rest return their
///   segments. These receives count towards the queue's `maxReceiveCount`. A single consumer, or a payload store, avoids
///   them.
/// * **FIFO queues.** Segments arrive in order, at most 10. SQS delivers a group up to its first message that is in flight,
///   so a competing consumer may have the rest. A receive that returns less than a whole payload is therefore repeated.
///   An incomplete payload blocks its group, for example if its sender died. It is deleted once the same payload arrives
///   behind it, with the same deduplication id or, without an id, with the same content. Otherwise `on_incomplete`, the
///   redrive policy or the retention period removes it. If some segments of an acknowledged payload could not be deleted, the
///   consumer that acknowledged it deletes them on arrival. To any other consumer, the payload is incomplete. Let only one
///   producer at a time send to a group.
///
/// # Rejected messages
///
/// The consumer logs a message with a malformed or forbidden pointer, and returns it with the backoff. After some receives it
/// moves to the dead-letter queue, if there is one. Messages that the queue's client rejects are treated in the same way.
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
#[must_use = "a consumer does nothing until `run` is called"]
pub struct ExtendedConsumer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) consumer: sqs_client::Consumer,
    /// The queue's URL or its name.
    pub(crate) queue: String,
    settings: Settings,
    return_guard: ReturnGuard,
}

impl ExtendedConsumer {
    /// The time that the hook of [`on_incomplete`](Self::on_incomplete) has for a decision: 30 seconds. A hook that
    /// takes longer, or panics, counts as one that returned [`IncompleteAction::Return`].
    pub const INCOMPLETE_HOOK_TIMEOUT: Duration = incomplete::HOOK_TIMEOUT;

    /// The default of [`max_buffered_bytes`](Self::max_buffered_bytes): 128 MiB.
    pub const DEFAULT_MAX_BUFFERED_BYTES: u64 = 128 * 1024 * 1024;

    /// The default of [`max_buffered_payloads`](Self::max_buffered_payloads): 1,000 partial payloads.
    pub const DEFAULT_MAX_BUFFERED_PAYLOADS: usize = 1_000;

    /// The default of [`assembly_timeout`](Self::assembly_timeout): 5 minutes.
    pub const DEFAULT_ASSEMBLY_TIMEOUT: Duration = Duration::from_secs(300);

    /// The default of [`spill_threshold`](Self::spill_threshold): 16 MiB.
    pub const DEFAULT_SPILL_THRESHOLD: u64 = 16 * 1024 * 1024;

    /// The default of [`max_spill_files`](Self::max_spill_files): 64 files.
    pub const DEFAULT_MAX_SPILL_FILES: usize = 64;

    pub(crate) fn new(shared: Arc<Shared>, queue: String) -> Self {
        let return_guard = ReturnGuard::default();
        let outermost = return_guard.clone();
        let consumer = shared.client.consumer(&queue).wrap_handler(move |delivery, handling| {
            let key = delivery.message().receipt_handle.clone();
            outermost.clone().wrap(key, handling)
        });
        Self {
            consumer,
            shared,
            queue,
            settings: Settings {
                consumers: None,
                skip_redrive_check: false,
                max_buffered_bytes: Self::DEFAULT_MAX_BUFFERED_BYTES,
                max_buffered_payloads: Self::DEFAULT_MAX_BUFFERED_PAYLOADS,
                assembly_timeout: Self::DEFAULT_ASSEMBLY_TIMEOUT,
                spill_threshold: Self::DEFAULT_SPILL_THRESHOLD,
                max_spill_files: Self::DEFAULT_MAX_SPILL_FILES,
                incomplete: Hook::default(),
            },
            return_guard,
        }
    }

    /// Configures the underlying [`Consumer`](sqs_client::Consumer): its concurrency, visibility timeout, backoff, and so on.
    /// Default: the consumer's own defaults.
    ///
    /// Each segment of a payload has its own receive count. This matters for limits on handlings, such as
    /// [`move_poison_to`](sqs_client::Consumer::move_poison_to).
    pub fn configure(mut self, configure: impl FnOnce(sqs_client::Consumer) -> sqs_client::Consumer) -> Self {
        self.consumer = configure(self.consumer);
        self
    }

    /// Sets the number of consumers that compete for the queue's messages, this one included. Default: unknown, and no check.
    /// Range: at least 1.
    ///
    /// With more than one, segments on a standard queue gather at the consumer that has the first one.
    /// [`run`](Self::run) refuses to start if the queue's `maxReceiveCount` is so low that gathering could move segments to the
    /// dead-letter queue.
    pub fn competing_consumers(mut self, consumers: u32) -> Self {
        self.settings.consumers = Some(consumers.max(1));
        self
    }

    /// Sets whether [`run`](Self::run) skips the check of the queue's `maxReceiveCount`. Default: `false`.
    pub fn skip_redrive_check(mut self, on: bool) -> Self {
        self.settings.skip_redrive_check = on;
        self
    }

    /// Limits the bytes of segments that are buffered in memory and in temporary files, with attributes, headers and
    /// ids. Default: [`DEFAULT_MAX_BUFFERED_BYTES`](Self::DEFAULT_MAX_BUFFERED_BYTES). Range: any.
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

    /// Sets the time within which all segments of a payload must arrive. Default:
    /// [`DEFAULT_ASSEMBLY_TIMEOUT`](Self::DEFAULT_ASSEMBLY_TIMEOUT). Range: any.
    ///
    /// On a FIFO queue, the segments are returned and received again until then. That happens 7 times within the first 31
    /// seconds, and in the end once a minute. If consumers compete for a FIFO queue, set a time longer than their visibility
    /// timeout. A killed consumer hides the rest of a payload for that long.
    pub fn assembly_timeout(mut self, timeout: Duration) -> Self {
        self.settings.assembly_timeout = timeout;
        self
    }

    /// Limits the bytes of a payload's segments that are buffered in memory. Default:
    /// [`DEFAULT_SPILL_THRESHOLD`](Self::DEFAULT_SPILL_THRESHOLD). Range: any.
    ///
    /// The segments of a payload beyond it are written to a file in the system's temporary directory. If that fails, the payload
    /// is returned to the queue with the backoff.
    pub fn spill_threshold(mut self, bytes: u64) -> Self {
        self.settings.spill_threshold = bytes;
        self
    }

    /// Limits the number of open temporary files. Default: [`DEFAULT_MAX_SPILL_FILES`](Self::DEFAULT_MAX_SPILL_FILES).
    /// Range: at least 1.
    ///
    /// A payload for which no file is free is returned to the queue with the backoff.
    pub fn max_spill_files(mut self, files: usize) -> Self {
        self.settings.max_spill_files = files.max(1);
        self
    }

    /// Sets the hook that decides about a payload that is not complete in time. Default: the payload is logged and returned
    /// to the queue.
    ///
    /// The hook must decide within [`INCOMPLETE_HOOK_TIMEOUT`](Self::INCOMPLETE_HOOK_TIMEOUT). Meanwhile the segments stay
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

    /// Handles payloads until `shutdown` completes.
    ///
    /// The consumer acknowledges a message whose handler returns `Ok`, which deletes it and then its payload in the store. It
    /// returns a message with the backoff if the handler returns `Err`, panics or times out. A handler may acknowledge or
    /// return its delivery itself. Its result is then ignored.
    ///
    /// The consumer shuts down as [`sqs_client::Consumer::run`] does. It returns buffered segments at once.
    ///
    /// # Errors
    ///
    /// A setting is out of its range. Or the queue's `maxReceiveCount` is too low or could not be read. Or SQS refused all polls
    /// for the [refusal timeout](sqs_client::Consumer::refusal_timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the handlers. All messages are returned to the queue in the background, as long as the
    /// runtime lives.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    pub async fn run<S, H, F, E>(self, shutdown: S, handler: H) -> Result<(), Error>
    where
        S: Future,
        H: Fn(ExtendedDelivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        self.check_queue().await?;
        let fifo = is_fifo(&self.queue);
        let gathering = Arc::new(Gathering::new(&self.shared, &self.settings));
        let mut consumer = self
            .consumer
            .add_message_attribute_names(pointer::RESERVED_NAMES)
            .add_message_attribute_names(ATTRIBUTES);
        if matches!(self.shared.missing, MissingPayload::MoveTo(_)) {
            consumer = consumer.add_message_attribute_names(["All"]);
        }
        if fifo {
            // A payload of 10 segments requires a receive of 10 messages.
            let whole_receive = u8::try_from(limits::MAX_BATCH_ENTRIES).unwrap_or(u8::MAX);
            consumer = consumer
                .min_messages_per_poll(whole_receive)
                .keep_together(are_of_one_payload);
        }
        let groups = fifo.then(|| FifoGroups::new(Planner::new(self.settings.assembly_timeout)));
        let worker = Worker::new(self.shared, handler, Arc::clone(&gathering), self.return_guard, groups);
        let worker = Arc::new(worker);
        // A `JoinSet` aborts its tasks when it is dropped.
        let mut timers = JoinSet::new();
        timers.spawn(Arc::clone(&gathering).run_timers());
        let ended = consumer
            .run(shutdown, move |delivery| Arc::clone(&worker).handle(delivery))
            .await;
        gathering.close();
        ended.map_err(|error| Error::queue("the consumer stopped because polling the queue failed", error))
    }

    async fn check_queue(&self) -> Result<(), Error> {
        match self.settings.consumers {
            Some(consumers) if !self.settings.skip_redrive_check => {
                let queue_url = self.consumer.queue_url().await;
                let queue_url = queue_url.map_err(|error| Error::queue("failed to look up the queue", error))?;
                redrive_check::check(&self.shared.client, queue_url, consumers).await
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
    fn a_consumer_runs_in_a_task_with_any_shutdown_future() {
        fn send(_: impl Send) {}
        send(async {
            let consumer = extended(&TestStore::default()).consumer("http://127.0.0.1:1/queue");
            let shutdown = async { tokio::task::yield_now().await };
            consumer.run(shutdown, |_| async { Ok::<(), Error>(()) }).await
        });
    }
}
