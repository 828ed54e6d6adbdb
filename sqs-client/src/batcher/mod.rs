//! The coalescing batcher: single calls of many tasks, sent as full batches.

mod driver;
mod gate;
mod lane;
mod queue;
mod rounds;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;

use crate::batch::{self, Batch, Destination, FailedGroups};
use crate::client::Client;
use crate::error::Error;
use crate::operation::{ChangeMessageVisibilityBatch, DeleteMessageBatch, SendMessageBatch, SendMessageOutput};
use crate::telemetry;
use crate::types::OutgoingMessage;
use lane::{Lane, LaneConfig, SendBatch};

/// How many entries the batches of a [`Batcher`] have.
const BATCH_FILL: &str = "sqs.batch.entries";

/// Sends, deletes and changes the visibility of single messages of one queue, for any number of tasks, in as few
/// requests as they fit into.
///
/// Calls are gathered into batches of up to 10 entries and 1 MiB, as SQS counts it. A batch goes out when it is full, or
/// once its first entry has waited for the [`linger`](BatcherBuilder::linger) time, and always only while fewer than
/// [`concurrency`](BatcherBuilder::concurrency) requests are under way; until then it fills further. While another batch
/// that was not full is under way, the next such waits for its answer, at most ten times the linger time: so batches are
/// full under load, and single calls still quick. Each caller gets the result of its own entry.
///
/// Sends, deletes and changes do not wait for each other: the settings hold for each of these kinds.
///
/// What fails by the fault of the network or the server is tried again as the client's
/// [`RetryPolicy`](crate::client::RetryPolicy) says: a request as a whole, or the entries that failed. The latter is not done
/// for messages to a FIFO queue, as it would change their order.
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
/// let batcher = client.batcher(queue).build();
/// let mut tasks = Vec::new();
/// for task in 0..64 {
///     tasks.push(tokio::spawn(batcher.send(format!("from task {task}"))));
/// }
/// // The calls were made, so that their messages are sent before the shutdown ends.
/// batcher.shutdown().await;
/// for task in tasks {
///     let sent = task.await.expect("a task that does not panic")?;
///     println!("{}", sent.message_id);
/// }
/// # Ok(()) }
/// ```
///
/// # Order
///
/// The messages of a FIFO queue's group are sent in the order in which their calls were first polled: no batch is under
/// way while an earlier one holds a message of the same group. Different groups are sent side by side. Calls of several
/// tasks have no order among themselves. Callers that need one await each call before they make the next.
///
/// After a message failed, the calls of its group that were already polled are not sent. They fail with an error of kind
/// [`HeldBack`](crate::ErrorKind::HeldBack), whose source is the failure. A call that is made after its caller was told of
/// the failure is sent. There are two exceptions. SQS handles the entries of a failed entry's own batch one by one, and
/// may accept later messages of the group in it. A message that no server accepts fails before it has a place in the
/// order, and holds back nothing.
///
/// # Memory
///
/// A call takes one place of the [`capacity`](BatcherBuilder::capacity), and one more for each
/// [`SLOT_BYTES`](crate::batcher::BatcherBuilder::SLOT_BYTES) of its message, until it has its result. While all places
/// are taken, further calls wait in the order in which they were first polled. A message that is larger than all places
/// together takes all of them.
///
/// # Runtime
///
/// The work is done by a task for each kind of call, spawned at the first call on the tokio runtime which that is made
/// on; building needs no runtime. It ends when all clones are dropped, after what is queued was sent. If that runtime
/// is shut down, calls get an error of kind [`Closed`](crate::ErrorKind::Closed).
///
/// # Cancel safety
///
/// If the future of a call is dropped while it waits for a place, or before it was polled, its entry is certainly not
/// sent. From then on the entry is sent all the same, and only its result is lost.
///
/// A future that was polled once and then is kept without being polled delays nothing. Its entry gets its place and is
/// sent as the others are.
#[derive(Clone)]
pub struct Batcher {
    lanes: Arc<Lanes>,
}

struct Lanes {
    client: Client,
    queue_url: String,
    sends: Lane<SendMessageBatch>,
    deletes: Lane<DeleteMessageBatch>,
    changes: Lane<ChangeMessageVisibilityBatch>,
}

impl Batcher {
    /// The maximum time for which a [`Batcher`]'s shutdown waits for calls that were made and whose futures are not polled:
    /// 1 second.
    pub const UNPOLLED_TIMEOUT: Duration = Duration::from_secs(1);

    /// Sends a message of up to 1 MiB.
    ///
    /// ```no_run
    /// # async fn f(batcher: sqs_client::Batcher) -> Result<(), sqs_client::Error> {
    /// use sqs_client::OutgoingMessage;
    ///
    /// let sent = batcher.send(OutgoingMessage::new("hello").message_attribute("lang", "en")).await?;
    /// println!("{}", sent.message_id);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::send_message`], and [`Closed`](crate::ErrorKind::Closed) after a [`shutdown`](Self::shutdown)
    /// or the end of the runtime; [`may_have_been_sent`](Error::may_have_been_sent) tells in all cases whether the
    /// message is certainly not sent. What no server takes fails at once and alone.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for a place: not sent. Dropped later: sent all the same.
    pub fn send<M: Into<OutgoingMessage>>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<SendMessageOutput, Error>> + Send + use<M> {
        let (lanes, call) = (self.lanes.clone(), self.lanes.sends.begin());
        let mut message = message.into();
        async move {
            lanes.client.before_send(&lanes.queue_url, &mut message);
            with_lanes(lanes, call.run(message)).await
        }
    }

    /// Deletes a received message by its receipt handle.
    ///
    /// ```no_run
    /// # async fn f(batcher: sqs_client::Batcher, message: sqs_client::Message) -> Result<(), sqs_client::Error> {
    /// batcher.delete(message.receipt_handle).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::delete_message`], and [`Closed`](crate::ErrorKind::Closed) as of [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for a place: not deleted. Dropped later: deleted all the same.
    pub fn delete<H: Into<String>>(
        &self,
        receipt_handle: H,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<H> {
        let (lanes, call) = (self.lanes.clone(), self.lanes.deletes.begin());
        with_lanes(lanes, call.run(receipt_handle.into()))
    }

    /// Hides a received message for so long, up to 12 hours from when SQS is told; zero gives it back to the queue.
    ///
    /// ```no_run
    /// # async fn f(batcher: sqs_client::Batcher, message: sqs_client::Message) -> Result<(), sqs_client::Error> {
    /// batcher.change_visibility(message.receipt_handle, std::time::Duration::from_secs(300)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::change_message_visibility`], and [`Closed`](crate::ErrorKind::Closed) as of
    /// [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for a place: not changed. Dropped later: changed all the same.
    pub fn change_visibility<H: Into<String>>(
        &self,
        receipt_handle: H,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<H> {
        let (lanes, call) = (self.lanes.clone(), self.lanes.changes.begin());
        with_lanes(lanes, call.run((receipt_handle.into(), timeout)))
    }

    /// Sends without lingering, and returns when all calls that were polled before this one have their results. It waits
    /// for no other calls, and for no caller to poll its future.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, what is queued is sent as without it.
    pub async fn flush(&self) {
        let Lanes {
            sends,
            deletes,
            changes,
            ..
        } = &*self.lanes;
        future::join3(sends.flush(), deletes.flush(), changes.flush()).await;
    }

    /// Accepts no more calls, sends without lingering, and returns when all calls that were made before have their
    /// results.
    ///
    /// A call is made when [`send`](Self::send), [`delete`](Self::delete) or
    /// [`change_visibility`](Self::change_visibility) returns its future. If that future has not been polled yet, the
    /// shutdown waits for it for up to [`UNPOLLED_TIMEOUT`](crate::Batcher::UNPOLLED_TIMEOUT). After that the call
    /// fails like all later ones, on any clone: with an error of kind [`Closed`](crate::ErrorKind::Closed), certainly
    /// not sent.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped after it was polled, no more calls are accepted all the same, and those that were made before are
    /// sent while the runtime lives.
    pub async fn shutdown(&self) {
        let Lanes {
            sends,
            deletes,
            changes,
            ..
        } = &*self.lanes;
        future::join3(sends.shutdown(), deletes.shutdown(), changes.shutdown()).await;
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("queue_url", &self.lanes.queue_url)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Batcher`], from [`Client::batcher`].
#[derive(Clone, Debug)]
#[must_use = "a batcher has to be built"]
pub struct BatcherBuilder {
    client: Client,
    queue_url: String,
    settings: Settings,
}

/// What holds for each kind of call.
#[derive(Clone, Copy, Debug)]
struct Settings {
    linger: Duration,
    concurrency: usize,
    capacity: usize,
    /// The time limit of a batch with all its attempts, where it has one of its own.
    request_time: Option<Duration>,
}

impl BatcherBuilder {
    /// The default of [`linger`](Self::linger): 5 ms.
    pub const DEFAULT_LINGER: Duration = Duration::from_millis(5);

    /// The default of [`concurrency`](Self::concurrency), in requests of each kind.
    pub const DEFAULT_CONCURRENCY: usize = 8;

    /// The default of [`capacity`](Self::capacity), in calls of each kind.
    pub const DEFAULT_CAPACITY: usize = 1000;

    /// The number of message bytes that one unit of the [`capacity`](Self::capacity) stands for: 32 KiB. The default
    /// capacity therefore accepts up to 32 MiB of messages.
    pub const SLOT_BYTES: usize = 32 * 1024;

    /// Sets the time for which a call waits for others to fill its batch. Default:
    /// [`DEFAULT_LINGER`](Self::DEFAULT_LINGER).
    ///
    /// The time is ten times as long while another batch that was not full is under way. With zero, a batch is whatever
    /// is queued when a request can be made.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }

    /// Sets the number of concurrent requests of each kind. Default:
    /// [`DEFAULT_CONCURRENCY`](Self::DEFAULT_CONCURRENCY). Range: at least 1.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.settings.concurrency = requests.max(1);
        self
    }

    /// Sets the number of calls of each kind that the batcher accepts at a time, queued or under way. Default:
    /// [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY). Range: at least 1.
    ///
    /// A message counts once more for each [`SLOT_BYTES`](Self::SLOT_BYTES) of its size.
    pub fn capacity(mut self, calls: usize) -> Self {
        self.settings.capacity = calls.max(1);
        self
    }

    /// Sets how long a batch may take with all its attempts.
    #[cfg(feature = "consumer")]
    pub(crate) fn request_time(mut self, time: Duration) -> Self {
        self.settings.request_time = Some(time);
        self
    }

    /// Builds the batcher. Nothing runs before its first call.
    #[must_use]
    pub fn build(self) -> Batcher {
        let Self {
            client,
            queue_url,
            settings,
        } = self;
        let destination = Destination::new(&client, queue_url.clone());
        let lanes = Lanes {
            sends: lane(&destination, &queue_url, settings),
            deletes: lane(&destination, &queue_url, settings),
            changes: lane(&destination, &queue_url, settings),
            client,
            queue_url,
        };
        Batcher { lanes: Arc::new(lanes) }
    }
}

fn lane<B: Batch>(destination: &Destination, queue_url: &str, settings: Settings) -> Lane<B> {
    let (sender, queue) = (destination.clone(), queue_url.to_owned());
    let send: SendBatch<B> = Arc::new(move |items| {
        telemetry::record(BATCH_FILL, telemetry::queue_name(Some(&queue)), items.len() as f64);
        let (count, sender) = (items.len(), sender.clone());
        let results = async move { sender.send::<B>(items, &mut FailedGroups::default()).await };
        match settings.request_time {
            None => Box::pin(results),
            Some(time) => Box::pin(async move {
                let late = || Err(Error::timeout("the batch had no response in time").sent(true));
                let results = tokio::time::timeout(time, results).await;
                results.unwrap_or_else(|_| std::iter::repeat_with(late).take(count).collect())
            }),
        }
    });
    Lane::new(LaneConfig {
        settings,
        ordered: batch::keeps_order::<B>(queue_url),
        limit: destination.limit().clone(),
        send,
    })
}

/// Keeps a call's lanes alive until it has its result: their end would be that of the driver.
async fn with_lanes<T>(lanes: Arc<Lanes>, call: impl Future<Output = T>) -> T {
    let result = call.await;
    drop(lanes);
    result
}

impl Client {
    /// Settings of a [`Batcher`] for this queue, which gathers single calls into batches.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    ///
    /// let batcher = client.batcher(queue).linger(Duration::from_millis(2)).build();
    /// batcher.send("hello").await?;
    /// batcher.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn batcher(&self, queue_url: impl Into<String>) -> BatcherBuilder {
        BatcherBuilder {
            client: self.clone(),
            queue_url: queue_url.into(),
            settings: Settings {
                linger: BatcherBuilder::DEFAULT_LINGER,
                concurrency: BatcherBuilder::DEFAULT_CONCURRENCY,
                capacity: BatcherBuilder::DEFAULT_CAPACITY,
                request_time: None,
            },
        }
    }
}
