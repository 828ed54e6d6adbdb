//! The batcher, which sends the single calls of many tasks as full batches.

mod builder;
mod call;
mod config;
mod driver;
mod gate;
mod lane;
mod queue;
mod rounds;
mod send_batch;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;

use crate::client::Client;
use crate::error::Error;
use crate::operation::{ChangeMessageVisibilityBatch, DeleteMessageBatch, SendMessageBatch, SendMessageOutput};
use crate::queue_ref::QueueRef;
use crate::types::OutgoingMessage;
use lane::Lane;

pub use builder::BatcherBuilder;

/// Sends, deletes and changes the visibility of single messages of one queue for any number of tasks, in few requests.
///
/// The batcher gathers calls into batches of up to 10 entries and 1 MiB, as SQS counts them. Each caller gets the result
/// of its own entry. Sends, deletes and changes do not wait for each other: the settings apply to each of these kinds.
///
/// A batch goes out when it is full, or once its first entry has waited for the [`linger`](BatcherBuilder::linger) time.
/// It always waits, and fills further, while [`concurrency`](BatcherBuilder::concurrency) requests are in flight. While
/// another batch that was not full is in flight, the next such batch waits for its response, for up to ten times the
/// linger time. So batches are full under load, and single calls stay fast.
///
/// The batcher retries after faults of the network or the server as the client's
/// [`RetryPolicy`](crate::client::RetryPolicy) says: a whole request, or the entries that failed. It does not retry single
/// entries of a FIFO queue, because that would change their order.
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
/// let batcher = client.batcher(queue).build();
/// let mut tasks = Vec::new();
/// for task in 0..64 {
///     tasks.push(tokio::spawn(batcher.send(format!("from task {task}"))));
/// }
/// // The calls were made, so the shutdown waits until their messages are sent.
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
/// The messages of a FIFO queue's group are sent in the order in which their calls were first polled. A batch with a
/// message of the group waits until the group's earlier batch has its results. Different groups are sent side by side.
/// Calls of several tasks have no order among themselves. If you need one, await each call before you make the next.
///
/// After a message failed, the calls of its group that were already polled are not sent. They fail with an error of kind
/// [`HeldBack`](crate::ErrorKind::HeldBack), whose source is the failure. A call that is made after its caller received
/// the failure is sent. There are two exceptions. SQS handles the entries of a failed entry's own batch one by one, and
/// may accept later messages of the group in it. A message that every server refuses fails before it enters the order, and
/// holds back nothing.
///
/// # Memory
///
/// A call uses one unit of the [`capacity`](BatcherBuilder::capacity), and one more for each
/// [`SLOT_BYTES`](crate::batcher::BatcherBuilder::SLOT_BYTES) of its message, until it has its result. Without enough
/// capacity, further calls wait in the order in which they were first polled. A message that is larger than the whole
/// capacity uses all of it.
///
/// # Runtime
///
/// A task for each kind of call does the work. The first call spawns it on the tokio runtime that the call runs on.
/// Building a batcher needs no runtime. The task ends after all clones are dropped and the queued calls are sent. If the
/// runtime is shut down, calls fail with an error of kind [`Closed`](crate::ErrorKind::Closed).
///
/// # Cancel safety
///
/// If you drop a call's future while it waits for capacity, or before it was polled, its entry is certainly not sent.
/// After that the entry is sent all the same, and only its result is lost.
///
/// A future that was polled once and then is kept without being polled delays nothing. Its entry is sent as the others
/// are.
#[derive(Clone)]
pub struct Batcher {
    lanes: Arc<Lanes>,
}

struct Lanes {
    client: Client,
    queue: QueueRef,
    sends: Lane<SendMessageBatch>,
    deletes: Lane<DeleteMessageBatch>,
    changes: Lane<ChangeMessageVisibilityBatch>,
}

impl Batcher {
    /// The maximum time for which a shutdown waits for calls that were made and whose futures are not polled: 1 second.
    pub const UNPOLLED_TIMEOUT: Duration = lane::UNPOLLED_TIMEOUT;

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
    /// Those of [`Client::send_message`], those of [`Client::get_queue_url`] if the batcher was given the queue's name, and
    /// [`Closed`](crate::ErrorKind::Closed) after a [`shutdown`](Self::shutdown) or the end of the runtime. [`may_have_been_sent`](Error::may_have_been_sent) always tells whether the message is
    /// certainly not sent. A message that every server refuses fails at once and alone.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for capacity: not sent. Dropped later: sent all the same.
    pub fn send<M: Into<OutgoingMessage>>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<SendMessageOutput, Error>> + Send + use<M> {
        let (lanes, call) = (self.lanes.clone(), self.lanes.sends.begin());
        let mut message = message.into();
        async move {
            lanes.client.before_send(lanes.queue.given(), &mut message);
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
    /// Those of [`Client::delete_message`], and [`Closed`](crate::ErrorKind::Closed) as for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for capacity: not deleted. Dropped later: deleted all the same.
    pub fn delete<H: Into<String>>(
        &self,
        receipt_handle: H,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<H> {
        let (lanes, call) = (self.lanes.clone(), self.lanes.deletes.begin());
        with_lanes(lanes, call.run(receipt_handle.into()))
    }

    /// Hides a received message for this time. Range: 0 seconds–12 hours from when SQS receives the request.
    ///
    /// With zero, the message returns to the queue at once.
    ///
    /// ```no_run
    /// # async fn f(batcher: sqs_client::Batcher, message: sqs_client::Message) -> Result<(), sqs_client::Error> {
    /// batcher.change_visibility(message.receipt_handle, std::time::Duration::from_secs(300)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::change_message_visibility`], and [`Closed`](crate::ErrorKind::Closed) as for
    /// [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for capacity: not changed. Dropped later: changed all the same.
    pub fn change_visibility<H: Into<String>>(
        &self,
        receipt_handle: H,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<H> {
        let (lanes, call) = (self.lanes.clone(), self.lanes.changes.begin());
        with_lanes(lanes, call.run((receipt_handle.into(), timeout)))
    }

    /// Sends without lingering, and returns when all calls that were polled before this one have their results.
    ///
    /// It does not wait for other calls, or for callers to poll their futures.
    ///
    /// # Cancel safety
    ///
    /// If you drop the future, queued calls are sent as without it.
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
    /// shutdown waits for it for up to [`UNPOLLED_TIMEOUT`](crate::Batcher::UNPOLLED_TIMEOUT). After that the call fails
    /// like all later ones on any clone. The error is of kind [`Closed`](crate::ErrorKind::Closed), and nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// If you drop the future after it was polled, the batcher still accepts no more calls. It sends the calls that were
    /// made before while the runtime lives.
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
            .field("queue", &self.lanes.queue.given())
            .finish_non_exhaustive()
    }
}

/// Keeps a call's lanes alive until it has its result, because their drop ends the driver.
async fn with_lanes<T>(lanes: Arc<Lanes>, call: impl Future<Output = T>) -> T {
    let result = call.await;
    drop(lanes);
    result
}
