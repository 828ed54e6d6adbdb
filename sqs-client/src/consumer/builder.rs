//! A consumer, its settings, and the ways to start it.

use std::time::Duration;

use crate::client::Client;
use crate::consumer::deliveries::Deliveries;
use crate::consumer::delivery::Delivery;
use crate::consumer::handler_settings::HandlerSettings;
use crate::consumer::middleware::{HandlerFuture, HandlerOutcome};
use crate::consumer::poison::Poison;
use crate::consumer::run;
use crate::consumer::settings::{self, Settings};
use crate::error::Error;
use crate::queue_ref::QueueRef;
use crate::types::MessageSystemAttributeName;

/// A consumer of one queue. Created by [`Client::consumer`].
///
/// # Behavior
///
/// The consumer handles up to [`concurrency`](Self::concurrency) messages at a time, and buffers up to
/// [`prefetch`](Self::prefetch) more. A poll requests only as many messages as fit. The consumer adds concurrent polls
/// while responses are full. A heartbeat extends the visibility of all messages in flight until they are settled.
/// [`Delivery`] describes the lease of a message. Acknowledgements, extensions and returns share requests.
///
/// * **Order.** On a FIFO queue, the messages of a group are handled one at a time, in order, and groups in parallel. A
///   message is handled only after the previous one was certainly deleted. If the server reports no groups, all
///   messages count as one group.
/// * **Rejected messages.** A message that cannot be read, or whose MD5 does not match, is logged. It returns to the
///   queue after the [backoff](Self::backoff), as if its handling had failed. On a FIFO queue, no later message of its
///   group is handled before it, and buffered ones stay in flight. A redrive policy moves only the rejected message.
/// * **Poll errors.** After a failed poll, the consumer pauses for longer each time, up to 20 seconds. Faults of the
///   network, of proxies and of the credentials provider never end the consumer. Refusals by SQS, such as a missing
///   queue or permission, end it once they have lasted for the [`refusal_timeout`](Self::refusal_timeout). It then
///   returns the error.
/// * **Redelivered messages.** SQS delivers a message again if its lease was lost. If the message's handler still runs,
///   the consumer waits for its result. After `Ok`, it deletes the message by the new receipt handle, and does not
///   handle it twice. It remembers the last 1,024 messages that were handled but not certainly deleted.
/// * **Early empty responses.** If an empty response arrives before the end of the wait time, the consumer pauses for
///   up to 1 second.
///
/// # Receive counts
///
/// SQS counts every receive of a message, whether or not it is handled. A redrive policy uses that count to move the
/// message to the dead-letter queue. On a FIFO queue, one receive can return up to 10 messages of a group. If all of
/// them returned to the queue whenever the first one fails, the later ones would reach the dead-letter queue unhandled.
///
/// The consumer therefore retries a failed message in place,
/// [`RETRIES_IN_PLACE`](crate::Consumer::RETRIES_IN_PLACE) times. The message stays in flight during
/// its [backoff](Self::backoff). If the retries fail, it returns to the queue alone, and the later messages stay in
/// flight. A receive returns the messages of a group in order, up to the first one in flight, so it returns only the
/// failed message. Only that message's count grows. With a `maxReceiveCount` of 3, it is handled at least 9 times.
///
/// The consumer expects a returned message again within 10 seconds, or within the visibility timeout if that is
/// shorter. If it does not arrive, the dead-letter queue or a competing consumer has it. The consumer then returns the
/// next message of the group alone. If that one does not arrive either, it returns all of them. Each of these returns
/// adds 1 to a receive count, so set `maxReceiveCount` to at least 2 on a FIFO queue. The same happens with a server
/// that locks a group while any of its messages is in flight, such as moto. Once the consumer recognizes such a server,
/// it receives messages one at a time.
///
/// Up to `concurrency + prefetch` messages that wait for a returned one do not count toward the in-flight limit. Beyond
/// that, a failed message is not returned. It is retried in place for as long as it can be in flight, and the messages
/// behind it count. If very many groups fail at once, the consumer therefore receives fewer messages until some groups
/// recover. No message is dead-lettered unhandled.
///
/// Every restart, crash and lost lease also adds 1 to the count of a buffered message. Set `maxReceiveCount` well above
/// the number of restarts during which a message may be buffered.
///
/// [`move_poison_to`](Self::move_poison_to) and [`on_poison`](Self::on_poison) also count retries in place. See
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
    pub(super) client: Client,
    pub(super) queue: QueueRef,
    pub(super) settings: Settings,
    pub(super) handler: HandlerSettings,
}

impl Consumer {
    /// The default `base` of the [`backoff`](Self::backoff): 1 second.
    pub const DEFAULT_BACKOFF_BASE: Duration = settings::BACKOFF_BASE;

    /// The default `max` of the [`backoff`](Self::backoff): 5 minutes.
    pub const DEFAULT_BACKOFF_MAX: Duration = settings::BACKOFF_MAX;

    /// The default of [`concurrency`](Self::concurrency): 10 messages.
    pub const DEFAULT_CONCURRENCY: usize = settings::CONCURRENCY;

    /// The default of [`visibility_timeout`](Self::visibility_timeout): 30 seconds.
    pub const DEFAULT_VISIBILITY_TIMEOUT: Duration = settings::VISIBILITY_TIMEOUT;

    /// The default of [`shutdown_timeout`](Self::shutdown_timeout): 30 seconds.
    pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = settings::SHUTDOWN_TIMEOUT;

    /// The default of [`poll_shutdown_timeout`](Self::poll_shutdown_timeout): 1 second.
    pub const DEFAULT_POLL_SHUTDOWN_TIMEOUT: Duration = settings::POLL_SHUTDOWN_TIMEOUT;

    /// The default of [`refusal_timeout`](Self::refusal_timeout): 5 minutes.
    pub const DEFAULT_REFUSAL_TIMEOUT: Duration = settings::REFUSAL_TIMEOUT;

    /// The number of times that a message of a FIFO queue is retried in place before it returns to the queue: 2.
    pub const RETRIES_IN_PLACE: u32 = settings::RETRIES_IN_PLACE;

    /// The default of [`ack_linger`](Self::ack_linger): 5 ms.
    pub const DEFAULT_ACK_LINGER: Duration = settings::ACK_LINGER;

    fn new(client: Client, queue: QueueRef) -> Self {
        Self {
            client,
            settings: Settings::new(queue.given()),
            handler: HandlerSettings::default(),
            queue,
        }
    }

    /// Sets the maximum number of messages that are handled concurrently. Default:
    /// [`DEFAULT_CONCURRENCY`](Self::DEFAULT_CONCURRENCY). Range: at least 1.
    pub fn concurrency(mut self, messages: usize) -> Self {
        self.settings.concurrency = messages.max(1);
        self
    }

    /// Sets the maximum number of messages that are buffered for handlers, so that no handler idles during a poll.
    /// Default: the [`concurrency`](Self::concurrency), or 9 times that on a FIFO queue, because a receive can return
    /// 10 messages of one group. Zero disables prefetching.
    ///
    /// Slow handlers reduce the number. A buffered message waits for at most half a lease, by the average handling time
    /// so far. The consumer buffers nothing until it has timed one message.
    ///
    /// Up to `concurrency + prefetch` messages are in flight, including those being settled. On a FIFO queue, as many
    /// again may wait for failed messages.
    pub fn prefetch(mut self, messages: usize) -> Self {
        self.settings.prefetch = Some(messages);
        self
    }

    /// Sets the maximum number of concurrent polls. Default: the number that fills `concurrency + prefetch` with 10
    /// messages each, up to 8. Range: at least 1.
    pub fn pollers(mut self, polls: usize) -> Self {
        self.settings.pollers = Some(polls.max(1));
        self
    }

    /// Sets the time for which each receive and each extension hides a message. Default:
    /// [`DEFAULT_VISIBILITY_TIMEOUT`](Self::DEFAULT_VISIBILITY_TIMEOUT). Range: 1 second–12 hours, in whole seconds
    /// (rounded up).
    ///
    /// If the consumer is killed, competing consumers receive its messages after this time.
    pub fn visibility_timeout(mut self, timeout: Duration) -> Self {
        self.settings.visibility_timeout = timeout;
        self
    }

    /// Sets the time for which a poll waits for a message. Default: 20 seconds. Range: 0–20 seconds, in whole seconds.
    ///
    /// A poll waits for at most 70 % of a lease, because the lease counts from before the poll was sent.
    pub fn wait_time(mut self, time: Duration) -> Self {
        self.settings.wait_time = time;
        self
    }

    /// Sets the time after which the consumer drops a handler and returns its message to the queue. Default: 12 hours,
    /// because no message can be in flight for longer.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.handler.timeout = timeout;
        self
    }

    /// Sets the time within which [`run`](Self::run) ends after its `shutdown`. Default:
    /// [`DEFAULT_SHUTDOWN_TIMEOUT`](Self::DEFAULT_SHUTDOWN_TIMEOUT). Range: up to 12 hours. A longer time counts as that.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.shutdown_timeout = timeout;
        self
    }

    /// Sets the time for which an open poll may continue after [`run`](Self::run)'s `shutdown`. Default:
    /// [`DEFAULT_POLL_SHUTDOWN_TIMEOUT`](Self::DEFAULT_POLL_SHUTDOWN_TIMEOUT). Range: up to half of the [shutdown
    /// timeout](Self::shutdown_timeout). A longer time counts as half.
    ///
    /// The poll is then dropped. Messages that SQS has already sent to it stay hidden for one visibility timeout. A
    /// longer time makes that less likely.
    pub fn poll_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.poll_shutdown_timeout = timeout;
        self
    }

    /// Sets the time for which SQS may refuse all polls before the consumer ends with the error. Default:
    /// [`DEFAULT_REFUSAL_TIMEOUT`](Self::DEFAULT_REFUSAL_TIMEOUT). Zero ends it with the first refusal.
    ///
    /// A refusal needs an operator, for example because of a missing queue or permission, an unknown access key, or a
    /// disabled KMS key. The consumer keeps polling in the meantime, so it survives the re-creation of a queue or the
    /// correction of a policy.
    pub fn refusal_timeout(mut self, timeout: Duration) -> Self {
        self.settings.refusal_timeout = timeout;
        self
    }

    /// Sets the time for which an acknowledgement waits for up to 9 others to share its request. Default:
    /// [`DEFAULT_ACK_LINGER`](Self::DEFAULT_ACK_LINGER). Range: up to an eighth of the visibility timeout, because
    /// extensions linger too.
    pub fn ack_linger(mut self, linger: Duration) -> Self {
        self.settings.ack_linger = linger;
        self
    }

    /// Sets the pause before a message is handled again after a failure. Default:
    /// [`DEFAULT_BACKOFF_BASE`](Self::DEFAULT_BACKOFF_BASE) and [`DEFAULT_BACKOFF_MAX`](Self::DEFAULT_BACKOFF_MAX).
    /// Range: any.
    ///
    /// The pause is a random part of a bound. The bound starts at `base`. It doubles with every receive, and with every
    /// retry in place since the last receive, up to `max`. With zero, there is no pause. SQS hides a message for at
    /// most 12 hours.
    pub fn backoff(mut self, base: Duration, max: Duration) -> Self {
        self.settings.backoff = (base, max);
        self
    }

    /// Requests only the message attributes with these names. Default: all. `prefix.*` stands for all names with that
    /// prefix.
    ///
    /// [`move_poison_to`](Self::move_poison_to) requests all of them, because it forwards whole messages.
    pub fn message_attribute_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.settings.message_attribute_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Requests these additional system attributes. Default: none besides `ApproximateReceiveCount`, `SentTimestamp`,
    /// `MessageGroupId`, `MessageDeduplicationId` and `AWSTraceHeader`, which are always requested.
    pub fn message_system_attribute_names(
        mut self,
        names: impl IntoIterator<Item = MessageSystemAttributeName>,
    ) -> Self {
        self.settings.system_attribute_names = names.into_iter().collect();
        self
    }

    /// Moves messages whose [`handling_count`](Delivery::handling_count) exceeds `max_handlings` to this queue instead of
    /// handling them. Default: off. Range of the count: any. Zero moves every message.
    ///
    /// The consumer deletes a message once the queue has confirmed its copy.
    ///
    /// The copy has the message's body, message attributes, group and trace header. If this queue is a FIFO queue, the
    /// message id becomes the deduplication id, and also the group of a message without one.
    ///
    /// Like the count of a redrive policy, the count includes receives after which the message was only buffered, for
    /// example during a restart. Applies to [`run`](Self::run) only.
    pub fn move_poison_to(mut self, max_handlings: u32, queue_url: impl Into<String>) -> Self {
        let poison = Poison::move_to(max_handlings, self.client.clone(), queue_url.into());
        self.settings.whole_messages = true;
        self.handler.poison = Some(poison);
        self
    }

    /// Passes messages whose [`handling_count`](Delivery::handling_count) exceeds `max_handlings` to this handler
    /// instead. Default: off. `Ok` deletes the message, and `Err` returns it to the queue. Applies to
    /// [`run`](Self::run) only.
    ///
    /// [`move_poison_to`](Self::move_poison_to) and this setting replace each other.
    pub fn on_poison<H, F, E>(mut self, max_handlings: u32, hook: H) -> Self
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        self.settings.whole_messages = false;
        self.handler.poison = Some(Poison::hook(max_handlings, hook));
        self
    }

    /// Wraps the handling of every message in this hook. Default: none. The hook receives the delivery and the
    /// handler's future. It awaits the future and returns its outcome.
    ///
    /// The first hook added is the outermost. Applies to [`run`](Self::run) only. For a hook on every message that is
    /// sent, see [`on_send`](crate::ClientBuilder::on_send).
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
        self.handler.middleware.add(hook);
        self
    }

    /// Handles messages until `shutdown` completes.
    ///
    /// A handler's `Ok` acknowledges the message. Its `Err`, a panic or a timeout returns the message to the queue
    /// after the [backoff](Self::backoff). If the handler settles its delivery itself, its result is ignored. The
    /// consumer does not log a handler's error, because it may contain message data.
    ///
    /// # Blocking
    ///
    /// A handler that blocks its thread also stops the heartbeat if both run on that thread. On a runtime with one
    /// thread, all leases are lost if the handler blocks for longer than the visibility timeout. Competing consumers
    /// then receive the messages. Run blocking work in [`tokio::task::spawn_blocking`].
    ///
    /// # Shutdown
    ///
    /// After `shutdown`, no poll begins, and buffered messages return to the queue. An open poll may continue for the
    /// [poll shutdown timeout](Self::poll_shutdown_timeout), and its messages return to the queue. The poll is then
    /// dropped. Messages that SQS has just sent to it stay hidden for one visibility timeout. Handlers and their
    /// acknowledgements may continue for the [shutdown timeout](Self::shutdown_timeout). The last part of it, up to 1
    /// second, is reserved for returning the messages of aborted handlers.
    ///
    /// # Errors
    ///
    /// A setting or the queue URL is not valid, or SQS refused polls for the
    /// [`refusal_timeout`](Self::refusal_timeout). By then the handlers have ended as described under Shutdown.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, handlers are aborted. While the runtime lives, a background task returns all messages
    /// in flight to the queue.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime. The consumer catches panics of handlers, unless panics abort the process.
    pub async fn run<S, H, F, E>(self, shutdown: S, handler: H) -> Result<(), Error>
    where
        S: Future,
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        let settings = self.handler.clone();
        run::run(self.deliveries(), settings, shutdown, handler).await
    }

    /// Returns a stream of the queue's messages. The program settles each [`Delivery`] itself. The first poll begins
    /// when the stream is first polled, which must happen within a tokio runtime.
    ///
    /// If a setting is not valid, the error is the stream's only item.
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
        let checked = self.queue.check().and_then(|()| self.settings.check());
        Deliveries::new(self.client, self.queue, self.settings, checked)
    }
}

impl Client {
    /// Returns a consumer of a queue, which receives and settles messages concurrently. Start it with
    /// [`run`](Consumer::run).
    ///
    /// `queue` is the queue's URL or its name. The consumer looks a name up by [`get_queue_url`](Self::get_queue_url) once,
    /// before its first poll. A failed lookup counts as a failed poll. See [`Consumer`] on poll errors. An ARN is an invalid
    /// setting, which the consumer refuses when it starts.
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
    pub fn consumer(&self, queue: impl Into<String>) -> Consumer {
        Consumer::new(self.clone(), QueueRef::new(queue))
    }
}
