//! A consumer: receives, handles and settles messages, with a bound on how many are in flight.
//!
//! `state` knows what is in flight and how much room there is. `lease`, `backlog` and `pacing` decide. None of them does
//! I/O. Two tasks do: the poller fills the state, and the heartbeat extends and returns messages. The stream of deliveries
//! takes from the state, and `run` is a loop over the stream.

mod arrival;
mod backlog;
mod deliveries;
mod delivery;
mod heartbeat;
mod held;
mod lease;
mod middleware;
mod pacing;
mod poison;
mod poller;
mod recent;
mod requests;
mod run;
mod settings;
mod shared;
mod state;
mod telemetry;

use std::time::Duration;

use self::poison::Poison;
use self::settings::Settings;
use crate::client::Client;
use crate::error::Error;
use crate::types::MessageSystemAttributeName;
use crate::{limits, validate};

pub use deliveries::Deliveries;
pub use delivery::{AckOutcome, Delivery};
#[doc(hidden)]
pub use lease::{LEASE_MARGIN, Lease};
pub use middleware::{HandlerFuture, HandlerOutcome};

/// A consumer of a queue that is being put together: see [`Client::consumer`].
///
/// # What it does
///
/// At most [`concurrency`](Self::concurrency) messages are handled at a time, and at most [`prefetch`](Self::prefetch)
/// wait beside them; a poll asks for at most what is free, so nothing is received that cannot be held. More than one
/// poll is under way only while their answers are full. The visibility of all that is held is extended in time until it
/// is settled; see [`Delivery`] on leases. Acknowledgements, extensions and returns of many messages share requests.
///
/// * **Order.** On a FIFO queue messages of a group are handled one at a time, in order, and groups in parallel. A
///   message is handled only once the one before it was surely deleted. Messages that the server returns without their
///   group count as one group.
/// * **Rejected messages.** A message that cannot be read, or whose MD5 does not match, is logged, and returned to the
///   queue by the [backoff](Self::backoff), as if its handling had failed. Where order is kept, nothing of its group that
///   came after it is handled before, and what is in flight behind it stays so. A redrive policy takes only the
///   rejected message.
/// * **Poll errors.** After a failed poll the next waits, for longer each time, up to 20 seconds. Faults of the network,
///   of proxies and of the credentials provider never end the consumer. Refusals by SQS end it with the error once they
///   have lasted for the [`refusal_timeout`](Self::refusal_timeout), such as: no such queue, or no permission.
/// * **Messages that come again.** A message whose lease was lost comes again. While its handler runs, the new receipt
///   waits for the handler's result. If that is `Ok`, the new receipt is used to delete the message, which is not handled
///   twice. The consumer keeps in mind the last 1,024 messages that it handled without a sure deletion.
/// * **Empty answers** that come before the wait was over are followed by a pause of up to 1 second.
///
/// # Receive counts
///
/// SQS counts every receive of a message, whether it is handled or not, and a redrive policy moves the message to the
/// dead-letter queue by that count. On a FIFO queue, a receive brings up to 10 messages of a group. If all of them went
/// back whenever the first fails, those behind it would reach the dead-letter queue without ever being handled.
///
/// A message that failed is therefore handled again in place,
/// [`DEFAULT_RETRIES_IN_PLACE`](crate::Consumer::DEFAULT_RETRIES_IN_PLACE) times. It stays in flight while its
/// [backoff](Self::backoff) runs. After that it is returned to the queue alone, and those behind it stay in flight. SQS
/// yields the messages of a group in order, up to the first one that is in flight, so the message comes again by
/// itself. Its count grows, and theirs do not. With a `maxReceiveCount` of 3 it is handled 9 times.
///
/// A message that was returned comes again within 10 seconds, or within the visibility timeout if that is shorter. If it
/// does not, the dead-letter queue or a competing consumer has it. Then the next message is returned alone, and if that
/// does not come again either, all of them. Each of these returns adds one to the count, so set `maxReceiveCount` to 2 or
/// more on a FIFO queue. The same happens with a server that locks the whole group while any of it is in flight, as moto
/// does. After the first time, messages of such a server are received one at a time.
///
/// A message that waits for a returned one takes no room from polls, up to as many as
/// [`concurrency`](Self::concurrency) and [`prefetch`](Self::prefetch) allow together. Beyond that, a failed message is not returned, but handled in place for
/// as long as it may be in flight, and what waits behind it takes room. So where very many groups fail at once, the consumer
/// receives less until some of them recover, and no message dies that was never handled.
///
/// Every restart, crash and lost lease costs a waiting message a receive, too. Set `maxReceiveCount` well above the number
/// of restarts that a message may wait through.
///
/// [`move_poison_to`](Self::move_poison_to) and [`on_poison`](Self::on_poison) count retries in place, too: see
/// [`Delivery::handling_count`].
///
/// ```no_run
/// # async fn handle(_: &str) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
/// use std::time::Duration;
///
/// client
///     .consumer(queue)
///     .concurrency(16)
///     .handler_timeout(Duration::from_secs(300))
///     .move_poison_to(5, "https://sqs.eu-west-1.amazonaws.com/123456789012/poison")
///     .run(tokio::signal::ctrl_c(), |delivery| async move { handle(&delivery.message().body).await })
///     .await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a consumer does nothing before it is run"]
pub struct Consumer {
    client: Client,
    queue_url: String,
    settings: Settings,
}

impl Consumer {
    /// The default `base` of the [`backoff`](Self::backoff): 1 second.
    pub const DEFAULT_BACKOFF_BASE: Duration = settings::BACKOFF_BASE;

    /// The default `max` of the [`backoff`](Self::backoff): 5 minutes.
    pub const DEFAULT_BACKOFF_MAX: Duration = settings::BACKOFF_MAX;

    /// The default of [`concurrency`](Self::concurrency), in messages.
    pub const DEFAULT_CONCURRENCY: usize = settings::CONCURRENCY;

    /// The default of [`visibility_timeout`](Self::visibility_timeout): 30 seconds.
    pub const DEFAULT_VISIBILITY_TIMEOUT: Duration = settings::VISIBILITY_TIMEOUT;

    /// The default of [`shutdown_timeout`](Self::shutdown_timeout): 30 seconds.
    pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = settings::SHUTDOWN_TIMEOUT;

    /// The default of [`poll_shutdown_timeout`](Self::poll_shutdown_timeout): 1 second.
    pub const DEFAULT_POLL_SHUTDOWN_TIMEOUT: Duration = settings::POLL_SHUTDOWN_TIMEOUT;

    /// The default of [`refusal_timeout`](Self::refusal_timeout): 5 minutes.
    pub const DEFAULT_REFUSAL_TIMEOUT: Duration = settings::REFUSAL_TIMEOUT;

    /// The number of times that a message of a FIFO queue is retried in place before it is returned to the queue.
    pub const DEFAULT_RETRIES_IN_PLACE: u32 = settings::RETRIES_IN_PLACE;

    /// The default of [`ack_linger`](Self::ack_linger): 5 ms.
    pub const DEFAULT_ACK_LINGER: Duration = settings::ACK_LINGER;

    fn new(client: Client, queue_url: String) -> Self {
        Self {
            client,
            settings: Settings::new(&queue_url),
            queue_url,
        }
    }

    /// Sets the number of messages that are handled concurrently. Default:
    /// [`DEFAULT_CONCURRENCY`](Self::DEFAULT_CONCURRENCY). Range: at least 1.
    pub fn concurrency(mut self, messages: usize) -> Self {
        self.settings.concurrency = messages.max(1);
        self
    }

    /// Sets the number of messages that may be buffered for a handler, so that none idles during a poll. Default: the
    /// [`concurrency`](Self::concurrency), and 9 times that where groups are kept in order, because a receive returns
    /// up to 10 messages of one group.
    ///
    /// Fewer are buffered where handling takes long: no more than are handled within half of a visibility timeout, by
    /// the average so far.
    ///
    /// Handled, buffered and being settled together, up to `concurrency + prefetch` messages are in flight. On a FIFO
    /// queue, as many again may wait for messages that failed.
    pub fn prefetch(mut self, messages: usize) -> Self {
        self.settings.prefetch = Some(messages);
        self
    }

    /// Sets the minimum number of messages that a poll requests. Default: 1. Range: 1–10. For queues whose messages
    /// belong together.
    ///
    /// A poll waits until there is room for that many. At least one fewer may always be buffered.
    pub fn min_receive(mut self, messages: u8) -> Self {
        self.settings.min_receive = usize::from(messages).clamp(1, limits::MAX_BATCH_ENTRIES);
        self
    }

    /// Sets the maximum number of concurrent polls. Default: as many as fill the in-flight limit with 10 messages each,
    /// up to 8. Range: at least 1.
    pub fn pollers(mut self, polls: usize) -> Self {
        self.settings.pollers = Some(polls.max(1));
        self
    }

    /// Sets the time for which each receive and each extension hides a message. Default:
    /// [`DEFAULT_VISIBILITY_TIMEOUT`](Self::DEFAULT_VISIBILITY_TIMEOUT). Range: 1 second to 12 hours, in whole seconds;
    /// a fraction counts as one.
    ///
    /// After a consumer was killed, another consumer gets its messages once this time is over.
    pub fn visibility_timeout(mut self, timeout: Duration) -> Self {
        self.settings.visibility_timeout = timeout;
        self
    }

    /// Sets the time for which a poll waits for a message. Default: 20 seconds. Range: 0–20 seconds, in whole seconds.
    ///
    /// A poll uses at most 7 tenths of the visibility timeout, because a lease counts from before the poll was sent.
    pub fn wait_time(mut self, time: Duration) -> Self {
        self.settings.wait_time = time;
        self
    }

    /// Sets the time after which a handler is dropped and its message returned to the queue. Default: 12 hours, because
    /// no message can be in flight for longer.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.settings.handler_timeout = timeout;
        self
    }

    /// Sets the time within which [`run`](Self::run) ends after its `shutdown`. Default:
    /// [`DEFAULT_SHUTDOWN_TIMEOUT`](Self::DEFAULT_SHUTDOWN_TIMEOUT).
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.shutdown_timeout = timeout;
        self
    }

    /// Sets the time for which an open poll may go on after [`run`](Self::run)'s `shutdown`, before it is dropped.
    /// Default: [`DEFAULT_POLL_SHUTDOWN_TIMEOUT`](Self::DEFAULT_POLL_SHUTDOWN_TIMEOUT).
    ///
    /// A longer time strands fewer messages: what SQS has sent into a dropped poll stays in flight for one visibility
    /// timeout.
    pub fn poll_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.poll_shutdown_timeout = timeout;
        self
    }

    /// Sets how long SQS may refuse all polls before the consumer ends with the error. Default:
    /// [`DEFAULT_REFUSAL_TIMEOUT`](Self::DEFAULT_REFUSAL_TIMEOUT). Zero ends it with the first refusal.
    ///
    /// A refusal names what someone has to change: a queue that does not exist, a missing permission, unknown keys, a
    /// disabled KMS key. The consumer polls on in the meantime, so it survives a queue's re-creation or a policy's
    /// correction.
    pub fn refusal_timeout(mut self, timeout: Duration) -> Self {
        self.settings.refusal_timeout = timeout;
        self
    }

    /// Sets the time for which an acknowledgement waits for others to share its request, while there are fewer than 10.
    /// Default: [`DEFAULT_ACK_LINGER`](Self::DEFAULT_ACK_LINGER). Range: up to an eighth of the visibility timeout,
    /// because extensions linger too.
    pub fn ack_linger(mut self, linger: Duration) -> Self {
        self.settings.ack_linger = linger;
        self
    }

    /// Sets the time for which a message waits after its handling failed. Default:
    /// [`DEFAULT_BACKOFF_BASE`](Self::DEFAULT_BACKOFF_BASE) and [`DEFAULT_BACKOFF_MAX`](Self::DEFAULT_BACKOFF_MAX).
    ///
    /// The time is a random part of a bound. The bound is `base` at first and doubles with every receive and every
    /// retry in place since the last one, up to `max`. With zero, the message is visible again at once.
    pub fn backoff(mut self, base: Duration, max: Duration) -> Self {
        self.settings.backoff = (base, max);
        self
    }

    /// Requests only the message attributes of these names. Default: all. `prefix.*` stands for all names with that
    /// prefix.
    ///
    /// [`move_poison_to`](Self::move_poison_to) requests all of them, because it forwards whole messages.
    pub fn message_attribute_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.settings.message_attribute_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Asks for the message attributes of these names as well, in addition to what
    /// [`message_attribute_names`](Self::message_attribute_names) asks for, whenever that is called.
    pub fn extra_message_attribute_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.settings
            .extra_message_attribute_names
            .extend(names.into_iter().map(Into::into));
        self
    }

    /// Asks for these system attributes too, besides `ApproximateReceiveCount`, `SentTimestamp`, `MessageGroupId`,
    /// `MessageDeduplicationId` and `AWSTraceHeader`.
    pub fn message_system_attribute_names(
        mut self,
        names: impl IntoIterator<Item = MessageSystemAttributeName>,
    ) -> Self {
        self.settings.system_attribute_names = names.into_iter().collect();
        self
    }

    /// Moves messages whose [`handling_count`](Delivery::handling_count) is over `max_handlings` to this queue instead
    /// of handling them. Default: off. They are sent there, and deleted once that is confirmed.
    ///
    /// Body, message attributes, group and trace header stay. A FIFO queue gets the message's id as deduplication id.
    ///
    /// The count includes the receives of messages that waited through a restart, as the count of a redrive policy
    /// does. For [`run`](Self::run) only.
    pub fn move_poison_to(mut self, max_handlings: u32, queue_url: impl Into<String>) -> Self {
        self.settings.poison = Some(Poison::queue(max_handlings, self.client.clone(), queue_url.into()));
        self
    }

    /// Passes messages whose [`handling_count`](Delivery::handling_count) is over `max_handlings` to this handler.
    /// Default: off. Its `Ok` deletes them, and its `Err` returns them to the queue. For [`run`](Self::run) only.
    pub fn on_poison<H, F, E>(mut self, max_handlings: u32, hook: H) -> Self
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        self.settings.poison = Some(Poison::hook(max_handlings, hook));
        self
    }

    /// Wraps the handling of every message in this hook. Default: none. The hook gets the delivery and the handling,
    /// awaits the handling, and returns how it ended.
    ///
    /// The hook that was added first is the outermost. For [`run`](Self::run) only. A hook for every message that is
    /// sent is [`on_send`](crate::ClientBuilder::on_send).
    ///
    /// ```no_run
    /// # async fn f(consumer: sqs_client::Consumer) -> Result<(), sqs_client::Error> {
    /// use sqs_client::client::TraceCarrier;
    ///
    /// let consumer = consumer.wrap_handler(|delivery, handling| async move {
    ///     if let Some(trace) = TraceCarrier::AwsTraceHeader.extract(delivery.message()) {
    ///         println!("part of the trace {trace}");
    ///     }
    ///     handling.await
    /// });
    /// # Ok(()) }
    /// ```
    pub fn wrap_handler<H, F>(mut self, hook: H) -> Self
    where
        H: Fn(Delivery, HandlerFuture) -> F + Send + Sync + 'static,
        F: Future<Output = HandlerOutcome> + Send + 'static,
    {
        self.settings.middleware.add(hook);
        self
    }

    /// Handles messages until `shutdown` ends. A handler's `Ok` acknowledges the message; its `Err`, a panic, or a
    /// handler that took too long gives it back by the [backoff](Self::backoff). A handler may settle its delivery
    /// itself; then its result means nothing. Errors are not logged, as they may say what is in the message.
    ///
    /// # Blocking
    ///
    /// A handler that blocks its thread also stops the tasks that extend leases there. On a runtime with one thread, all
    /// leases are lost once that takes longer than the visibility timeout, and other consumers get the messages. Run such
    /// work in [`tokio::task::spawn_blocking`].
    ///
    /// # The end
    ///
    /// After `shutdown` no poll begins, and what waits for a handler is returned to the queue. An open poll has the
    /// [poll shutdown timeout](Self::poll_shutdown_timeout) to end, and what it brings is returned; then it is dropped,
    /// which may strand what SQS has just sent for one visibility timeout. Handlers and their acknowledgements have the
    /// [shutdown timeout](Self::shutdown_timeout) to end, less up to a second that is kept for returning what aborted
    /// handlers held.
    ///
    /// # Errors
    ///
    /// The settings cannot work, or SQS refused polls for the [`refusal_timeout`](Self::refusal_timeout). The handlers
    /// that ran have ended as said above.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, handlers are aborted, and all that was held is given back in the background, as long as
    /// the runtime lives.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime. Panics of handlers are contained, unless panics abort the process.
    pub async fn run<S, H, F, E>(self, shutdown: S, handler: H) -> Result<(), Error>
    where
        S: Future,
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        run::run(self, shutdown, handler).await
    }

    /// What the queue brings, as a stream for a loop of one's own, which settles each [`Delivery`] itself. The first
    /// poll begins when the stream is polled, which must be within a tokio runtime.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut deliveries = client.consumer(queue).deliveries();
    /// while let Some(delivery) = deliveries.try_next().await? {
    ///     println!("{}", delivery.message().body);
    ///     delivery.ack().await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn deliveries(self) -> Deliveries {
        Deliveries::new(self)
    }

    fn check(&self) -> Result<(), Error> {
        let settings = &self.settings;
        let range = Duration::from_secs(1)..=limits::MAX_VISIBILITY_TIMEOUT;
        validate::within(
            "visibility timeout of a consumer",
            Some(settings.visibility_timeout),
            range,
        )?;
        validate::no_longer_than(
            "time that acknowledgements linger, by its visibility timeout,",
            settings.ack_linger,
            settings.visibility_timeout / 8,
        )?;
        validate::no_longer_than("wait time", settings.wait_time, limits::MAX_WAIT_TIME)
    }
}

impl Client {
    /// A consumer of a queue: it receives, holds and settles messages, many at a time within bounds. Set it up, and
    /// [`run`](Consumer::run) it.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// client
    ///     .consumer(queue)
    ///     .run(tokio::signal::ctrl_c(), |delivery| async move {
    ///         println!("{}", delivery.message().body);
    ///         Ok::<(), std::io::Error>(())
    ///     })
    ///     .await
    /// # }
    /// ```
    pub fn consumer(&self, queue_url: impl Into<String>) -> Consumer {
        Consumer::new(self.clone(), queue_url.into())
    }
}
