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

/// Gathers the single calls of any number of tasks on one queue into few requests.
///
/// It sends messages, deletes them and changes their visibility, in batches of up to 10 entries and 1 MiB as SQS counts
/// it. Each caller gets the result of its own entry. The three kinds of calls do not wait for each other, and each
/// setting applies to each kind.
///
/// The batcher sends a batch when it is full, or once its first entry has waited for the
/// [`linger`](BatcherBuilder::linger) time. While [`concurrency`](BatcherBuilder::concurrency) requests are in
/// progress, a batch waits and fills further. A partly filled batch also waits for the response to an earlier partly
/// filled one, for up to ten times the linger time. Batches are therefore full under load, and single calls stay fast.
///
/// After faults of the network or the server, the client's [`RetryPolicy`](crate::client::RetryPolicy) applies to whole
/// requests and to single failed entries. Single entries of a FIFO queue are not retried, because that would change
/// their order.
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
/// message of the group waits until the group's earlier batch has its results. Different groups are sent concurrently.
/// Calls of several tasks have no order among themselves. For such an order, await each call before the next is made.
///
/// After a message fails, the batcher does not send the calls of its group that were already polled. They fail with an
/// error of kind [`HeldBack`](crate::ErrorKind::HeldBack), whose source is the failure. A call that is made after its
/// caller received the failure is sent. There are two exceptions. SQS handles the entries of a request one by one. It
/// may accept later messages of the group in the request of the failed one. A message that every server refuses fails
/// at once, and the later messages of its group are sent.
///
/// # Memory
///
/// A call uses one unit of the [`capacity`](BatcherBuilder::capacity), and one more for each
/// [`SLOT_BYTES`](crate::batcher::BatcherBuilder::SLOT_BYTES) of its message, until it has its result. When the
/// capacity is used up, further calls wait in the order in which they were first polled. A message that is larger than
/// the whole capacity uses all of it.
///
/// # Runtime
///
/// Each kind of call has a task. The first call of that kind spawns it on the current tokio runtime. Building a batcher
/// needs no runtime. The task ends after all clones are dropped and the queued calls are sent. If the runtime is shut
/// down, calls fail with an error of kind [`Closed`](crate::ErrorKind::Closed).
///
/// # Cancel safety
///
/// If a call's future is dropped before it was polled, or while it waits for capacity, its entry is certainly not sent.
/// If it is dropped later, the entry is still sent, and only its result is lost.
///
/// A future that was polled once delays no other call, even if it is not polled again. Its entry is sent like any
/// other.
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
    /// The maximum time for which a shutdown waits for calls whose futures were created but not polled: 1 second.
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
    /// [`Closed`](crate::ErrorKind::Closed) after a [`shutdown`](Self::shutdown)
    /// or the end of the runtime. If [`may_have_been_sent`](Error::may_have_been_sent) returns `false`, the message was
    /// certainly not sent. A message that every server refuses fails at once and alone.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits for capacity, the message is not sent. If it is dropped later, the
    /// message is still sent.
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
    /// If the future is dropped while it waits for capacity, the message is not deleted. If it is dropped later, the
    /// message is still deleted.
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
    /// If the future is dropped while it waits for capacity, the visibility does not change. If it is dropped later, it
    /// still does.
    pub fn change_visibility<H: Into<String>>(
        &self,
        receipt_handle: H,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<H> {
        let (lanes, call) = (self.lanes.clone(), self.lanes.changes.begin());
        with_lanes(lanes, call.run((receipt_handle.into(), timeout)))
    }

    /// Sends queued calls without lingering. Returns when all calls that were first polled before this one have their
    /// results.
    ///
    /// It waits neither for later calls nor for callers to poll their futures.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, queued calls are sent as if it had not been called.
    pub async fn flush(&self) {
        let Lanes {
            sends,
            deletes,
            changes,
            ..
        } = &*self.lanes;
        future::join3(sends.flush(), deletes.flush(), changes.flush()).await;
    }

    /// Rejects new calls and sends the earlier ones without lingering. Returns when all of those have their results.
    ///
    /// A call is made when [`send`](Self::send), [`delete`](Self::delete) or
    /// [`change_visibility`](Self::change_visibility) returns its future. If that future has not been polled yet, the
    /// shutdown waits for it for up to [`UNPOLLED_TIMEOUT`](crate::Batcher::UNPOLLED_TIMEOUT). After that the call
    /// fails, as later calls on any clone do. The error is of kind [`Closed`](crate::ErrorKind::Closed), and nothing
    /// was sent.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after it was polled, the batcher still rejects new calls. It sends the earlier ones
    /// while the runtime lives.
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
