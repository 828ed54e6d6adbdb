//! A consumer: receives, holds and settles messages, with a bound on how many at a time.
//!
//! `state` says what is held and what there is room for, `lease`, `backlog` and `pace` decide; they do no I/O. Two tasks
//! do: the poller fills the state, and the keeper extends and gives back what it holds. The stream of deliveries takes
//! from it, and `run` is a loop over the stream.

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
/// A message that failed is therefore handled again in place, [`DEFAULT_RETRIES_IN_PLACE`](crate::Consumer::DEFAULT_RETRIES_IN_PLACE) times. It stays in
/// flight while its [backoff](Self::backoff) runs. After that it is returned to the queue alone, and those behind it stay
/// in flight. SQS yields the messages of a group in order, up to the first one that is in flight, so the message comes
/// again by itself. Its count grows, and theirs do not. With a `maxReceiveCount` of 3 it is handled 9 times.
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
    /// The default time for which a failed message stays hidden after its first failure.
    pub const DEFAULT_BACKOFF_BASE: Duration = settings::BACKOFF_BASE;

    /// The default maximum of the time for which a failed message stays hidden.
    pub const DEFAULT_BACKOFF_MAX: Duration = settings::BACKOFF_MAX;

    /// The default number of messages that a consumer handles at a time.
    pub const DEFAULT_CONCURRENCY: usize = settings::CONCURRENCY;

    /// The default visibility timeout that a consumer asks for with each receive and extension.
    pub const DEFAULT_VISIBILITY_TIMEOUT: Duration = settings::VISIBILITY_TIMEOUT;

    /// The default time in which a consumer comes to its end.
    pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = settings::SHUTDOWN_TIMEOUT;

    /// The default time for which a poll may go on that is open at the end: see
    /// [`Consumer::poll_shutdown_timeout`](crate::Consumer::poll_shutdown_timeout).
    pub const DEFAULT_POLL_SHUTDOWN_TIMEOUT: Duration = settings::POLL_SHUTDOWN_TIMEOUT;

    /// How long refusals of polls may last before they end a consumer. Default of
    /// [`Consumer::refusal_timeout`](crate::Consumer::refusal_timeout).
    pub const DEFAULT_REFUSAL_TIMEOUT: Duration = settings::REFUSAL_TIMEOUT;

    /// The number of times that a message of a FIFO queue is handled again after a failure, before it is returned to the
    /// queue.
    pub const DEFAULT_RETRIES_IN_PLACE: u32 = settings::RETRIES_IN_PLACE;

    /// The default time for which an acknowledgement waits for others to share its request.
    pub const DEFAULT_ACK_LINGER: Duration = settings::ACK_LINGER;

    fn new(client: Client, queue_url: String) -> Self {
        Self {
            client,
            settings: Settings::new(&queue_url),
            queue_url,
        }
    }

    /// How many messages are handled at a time, at least 1; [`DEFAULT_CONCURRENCY`](crate::Consumer::DEFAULT_CONCURRENCY) unless set.
    pub fn concurrency(mut self, messages: usize) -> Self {
        self.settings.concurrency = messages.max(1);
        self
    }

    /// How many messages may wait for a handler, so that none idles while a poll is on its way; unless set as many as are
    /// handled at a time, and 9 times as many where groups are kept in order, as a receive brings up to 10 of one.
    /// Fewer wait where handling takes long: no more than are handled within half of a visibility timeout, by the
    /// average so far.
    ///
    /// HandlerOutcome, waiting and being settled, no more messages are in flight than this and the concurrency together. On a
    /// FIFO queue, as many again may wait for messages that failed.
    pub fn prefetch(mut self, messages: usize) -> Self {
        self.settings.prefetch = Some(messages);
        self
    }

    /// No poll asks for fewer messages than this, 1–10; 1 unless set. A poll waits until there is room for as many, and
    /// at least one fewer may always wait for a handler. For queues whose messages belong together.
    pub fn min_receive(mut self, messages: u8) -> Self {
        self.settings.min_receive = usize::from(messages).clamp(1, limits::MAX_BATCH_ENTRIES);
        self
    }

    /// Most polls that are under way at a time, at least 1; unless set as many as fill what can be held with 10 messages
    /// each, and at most 8.
    pub fn pollers(mut self, polls: usize) -> Self {
        self.settings.pollers = Some(polls.max(1));
        self
    }

    /// For how long each receive and each extension hides a message: 1 s–12 h, in whole seconds (a fraction counts as
    /// one); [`DEFAULT_VISIBILITY_TIMEOUT`](crate::Consumer::DEFAULT_VISIBILITY_TIMEOUT) unless set. So long it takes until another consumer gets what this
    /// one held when it was killed.
    pub fn visibility_timeout(mut self, timeout: Duration) -> Self {
        self.settings.visibility_timeout = timeout;
        self
    }

    /// How long a poll waits for a message: 0–20 s, in whole seconds; 20 s unless set. At most 7 tenths of the
    /// visibility timeout are used, as a lease counts from before the poll was sent.
    pub fn wait_time(mut self, time: Duration) -> Self {
        self.settings.wait_time = time;
        self
    }

    /// How long a handler may take before it is dropped and the message given back; 12 hours unless set, as no message
    /// can be held for longer.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.settings.handler_timeout = timeout;
        self
    }

    /// How long [`run`](Self::run) may take to come to its end; [`DEFAULT_SHUTDOWN_TIMEOUT`](crate::Consumer::DEFAULT_SHUTDOWN_TIMEOUT) unless set.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.shutdown_timeout = timeout;
        self
    }

    /// Sets how long a poll that is open at the end of [`run`](Self::run) may go on before it is dropped. A longer time
    /// strands fewer messages: what SQS has sent into a dropped poll stays in flight for one visibility timeout.
    /// Default: [`DEFAULT_POLL_SHUTDOWN_TIMEOUT`](crate::Consumer::DEFAULT_POLL_SHUTDOWN_TIMEOUT).
    pub fn poll_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.poll_shutdown_timeout = timeout;
        self
    }

    /// Sets how long SQS may refuse all polls before the consumer ends with the error. A refusal names what someone has
    /// to change: no such queue, no permission, unknown keys, a disabled KMS key. Until then the consumer goes on polling,
    /// so that it survives a queue's re-creation or a policy's correction. Zero ends it with the first refusal.
    /// Default: [`DEFAULT_REFUSAL_TIMEOUT`](crate::Consumer::DEFAULT_REFUSAL_TIMEOUT).
    pub fn refusal_timeout(mut self, timeout: Duration) -> Self {
        self.settings.refusal_timeout = timeout;
        self
    }

    /// How long an acknowledgement waits for others to share its request, while there are fewer than 10;
    /// [`DEFAULT_ACK_LINGER`](crate::Consumer::DEFAULT_ACK_LINGER) unless set. At most an eighth of the visibility timeout, as extensions linger too.
    pub fn ack_linger(mut self, linger: Duration) -> Self {
        self.settings.ack_linger = linger;
        self
    }

    /// Sets the time for which a message waits after its handling failed. It is a random part of a bound that is `base` at
    /// first and doubles with every receive and every retry in place since the last one, up to `max`. Zero shows the message
    /// again at once. Default: [`DEFAULT_BACKOFF_BASE`](Self::DEFAULT_BACKOFF_BASE) and [`DEFAULT_BACKOFF_MAX`](Self::DEFAULT_BACKOFF_MAX).
    pub fn backoff(mut self, base: Duration, max: Duration) -> Self {
        self.settings.backoff = (base, max);
        self
    }

    /// Whether messages of a group are handled one at a time, in the order in which they came; on FIFO queues unless
    /// set. Without it, what is to be gathered from one group can be held at the same time.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.settings.ordered = ordered;
        self
    }

    /// Asks for the message attributes of these names only; `prefix.*` stands for all that begin so. All unless set, and
    /// with a [`move_poison_to`](Self::move_poison_to), which gets messages whole.
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

    /// Moves messages whose [`handling_count`](Delivery::handling_count) is over `max_handlings` to this queue instead of
    /// handling them: they are sent there, and deleted once that is confirmed. Body, message attributes, group and trace
    /// header stay; a FIFO queue gets the message's id as deduplication id.
    ///
    /// The count has the receives of messages that waited through a restart in it, as a redrive policy's has. For
    /// [`run`](Self::run) only.
    pub fn move_poison_to(mut self, max_handlings: u32, queue_url: impl Into<String>) -> Self {
        self.settings.poison = Some(Poison::queue(max_handlings, self.client.clone(), queue_url.into()));
        self
    }

    /// Gives messages whose [`handling_count`](Delivery::handling_count) is over `max_handlings` to this handler. Its `Ok`
    /// deletes them, and its `Err` returns them to the queue. For [`run`](Self::run) only.
    pub fn on_poison<H, F, E>(mut self, max_handlings: u32, hook: H) -> Self
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        self.settings.poison = Some(Poison::hook(max_handlings, hook));
        self
    }

    /// Puts this around the handling of every message: it is given the delivery and the handling, awaits the latter, and
    /// says how it ended. The first that is added is the outermost. For [`run`](Self::run) only.
    ///
    /// What should be done to every message that is sent goes to [`on_send`](crate::ClientBuilder::on_send).
    ///
    /// ```no_run
    /// # async fn f(consumer: sqs_client::Consumer) -> Result<(), sqs_client::Error> {
    /// use sqs_client::client::TraceCarrier;
    ///
    /// let consumer = consumer.around(|delivery, handling| async move {
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
        self.settings.around.add(hook);
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
    /// [poll grace](Self::poll_shutdown_timeout) to end, and what it brings is returned; then it is dropped, which may strand what SQS
    /// has just sent for one visibility timeout. Handlers and their acknowledgements have the [shutdown timeout](Self::shutdown_timeout) to
    /// end, less up to a second that is kept for returning what aborted handlers held.
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
