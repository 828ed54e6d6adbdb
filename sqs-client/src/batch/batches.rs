use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::batch::actions::{Batch, keeps_order};
use crate::batch::order::FailedGroups;
use crate::batch::plan::Plan;
use crate::batch::run::Destination;
use crate::client::Client;
use crate::error::Error;
use crate::operation::{ChangeMessageVisibilityBatch, DeleteMessageBatch, SendMessageBatch};
use crate::types::OutgoingMessage;

/// A batch action with any number of inputs. `.await` sends them, and returns one result for each, in the order of the
/// inputs.
///
/// The call splits its inputs, in their order, into batches of up to 10 entries and 1 MiB as SQS counts it. Several
/// requests run concurrently. The client's [`RetryPolicy`](crate::client::RetryPolicy) also applies to entries that
/// failed by the server's fault. They are retried together with other failed entries of their batch. An input that
/// every server would refuse fails alone, before any I/O.
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, queue: &str) {
/// let results = client.send_messages(queue, ["a", "b", "c"]).concurrency(2).await;
/// assert_eq!(results.len(), 3);
/// # }
/// ```
///
/// # FIFO queues
///
/// Messages to a FIFO queue are sent in one request at a time and keep their order. After a message fails, the call
/// sends no later message of its group. Those fail with an error of kind [`HeldBack`](crate::ErrorKind::HeldBack),
/// whose source is the failure. The call still sends the messages of other groups. An input that every server would
/// refuse also ends its group. There is one exception. SQS handles the entries of a request one by one. It may accept
/// later messages of the group in the request of the failed one. A failed entry is not retried, because that would
/// change the order.
///
/// # Lower limits
///
/// Some servers limit a batch to less than 1 MiB. A batch that such a server refuses as too long is halved and sent
/// again. The client remembers the lower limit for up to 1,024 queues.
/// [`max_batch_bytes`](crate::ClientBuilder::max_batch_bytes) sets it from the start.
///
/// # Errors
///
/// Each result has its own error. [`may_have_been_sent`](crate::Error::may_have_been_sent) returns `true` if any
/// request with the entry may have taken effect, even if the server later reported the entry as failed.
///
/// # Cancel safety
///
/// If the future is dropped, requests in progress may or may not take effect, and no further request begins.
#[must_use = "batches are sent by `.await`"]
pub struct Batches<B: Batch> {
    client: Client,
    queue_url: String,
    items: Box<dyn Iterator<Item = B::Item> + Send>,
    concurrency: usize,
}

impl<B: Batch> Batches<B> {
    fn new(
        client: &Client,
        queue_url: impl Into<String>,
        items: impl Iterator<Item = B::Item> + Send + 'static,
    ) -> Self {
        Self {
            client: client.clone(),
            queue_url: queue_url.into(),
            items: Box::new(items),
            concurrency: Client::DEFAULT_BATCH_CONCURRENCY,
        }
    }

    /// Sets the number of concurrent requests. Default:
    /// [`DEFAULT_BATCH_CONCURRENCY`](Client::DEFAULT_BATCH_CONCURRENCY). Range: at least 1.
    ///
    /// Messages to a FIFO queue are always sent in one request at a time.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests.max(1);
        self
    }
}

impl<B: Batch> std::fmt::Debug for Batches<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches")
            .field("operation", &B::NAME)
            .field("queue_url", &self.queue_url)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl<B: Batch> IntoFuture for Batches<B> {
    type Output = Vec<Result<B::Result, Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let ordered = keeps_order::<B>(&self.queue_url);
        let destination = Destination::new(&self.client, self.queue_url);
        let batches = Plan::<B>::new(self.items, destination.limit().clone(), ordered);
        if ordered {
            return Box::pin(in_order(destination, batches));
        }
        let results = stream::iter(batches)
            .map(move |batch| {
                let destination = destination.clone();
                async move { destination.send::<B>(batch, &mut FailedGroups::default()).await }
            })
            .buffered(self.concurrency)
            .flat_map(stream::iter)
            .collect();
        Box::pin(results)
    }
}

/// Sends one batch after the other, so that each batch knows the failed groups of those before it.
async fn in_order<B: Batch>(destination: Destination, batches: Plan<B>) -> Vec<Result<B::Result, Error>> {
    let mut failed_groups = FailedGroups::default();
    let mut results = Vec::new();
    for batch in batches {
        results.extend(destination.send::<B>(batch, &mut failed_groups).await);
    }
    results
}

impl Client {
    /// The default number of concurrent requests of one [`Batches`] call.
    pub const DEFAULT_BATCH_CONCURRENCY: usize = 4;

    /// Sends any number of messages, in as few requests as possible. See [`Batches`].
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) {
    /// let results = client.send_messages(queue, (0..1000).map(|i| format!("message {i}"))).await;
    /// for (i, result) in results.iter().enumerate() {
    ///     if let Err(error) = result {
    ///         eprintln!("message {i}: {error}");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn send_messages<I>(&self, queue_url: impl Into<String>, messages: I) -> Batches<SendMessageBatch>
    where
        I: IntoIterator<Item: Into<OutgoingMessage> + 'static, IntoIter: Send + 'static>,
    {
        let (client, queue_url) = (self.clone(), queue_url.into());
        let hooked = {
            let queue_url = queue_url.clone();
            move |message: I::Item| {
                let mut message = message.into();
                client.before_send(&queue_url, &mut message);
                message
            }
        };
        Batches::new(self, queue_url, messages.into_iter().map(hooked))
    }

    /// Deletes any number of received messages by their receipt handles, in as few requests as possible. See
    /// [`Batches`].
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// let messages = client.receive_message(queue).max_messages(10).await?.messages;
    /// let results = client.delete_messages(queue, messages.into_iter().map(|message| message.receipt_handle)).await;
    /// assert!(results.iter().all(Result::is_ok));
    /// # Ok(()) }
    /// ```
    pub fn delete_messages<I>(&self, queue_url: impl Into<String>, receipt_handles: I) -> Batches<DeleteMessageBatch>
    where
        I: IntoIterator<Item: Into<String> + 'static, IntoIter: Send + 'static>,
    {
        Batches::new(self, queue_url, receipt_handles.into_iter().map(Into::into))
    }

    /// Hides any number of received messages, each for its own time from now, in as few requests as possible. See
    /// [`Batches`].
    ///
    /// Each item is a receipt handle and a time. Range: 0 seconds–12 hours. With zero, the message returns to the queue
    /// at once.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    ///
    /// let messages = client.receive_message(queue).max_messages(10).await?.messages;
    /// let returned = messages.into_iter().map(|message| (message.receipt_handle, Duration::ZERO));
    /// let results = client.change_visibilities(queue, returned).await;
    /// # Ok(()) }
    /// ```
    pub fn change_visibilities<I, H>(
        &self,
        queue_url: impl Into<String>,
        timeouts: I,
    ) -> Batches<ChangeMessageVisibilityBatch>
    where
        I: IntoIterator<Item = (H, Duration), IntoIter: Send + 'static>,
        H: Into<String>,
    {
        let timeouts = timeouts.into_iter().map(|(handle, timeout)| (handle.into(), timeout));
        Batches::new(self, queue_url, timeouts)
    }
}
