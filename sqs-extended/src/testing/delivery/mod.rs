//! The settings of a delivery without a queue.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use sqs_client::internal::{DeliveryExt as _, Recording};
use sqs_client::types::MessageSystemAttributeName::{AwsTraceHeader, MessageDeduplicationId};
use sqs_client::{Credentials, OutgoingMessage, testing};
use tokio::time::Instant;

use crate::client::ExtendedClient;
use crate::consumer::ExtendedConsumer;
use crate::error::Error;
use crate::receive::ExtendedDelivery;
use crate::receive::claim::{Claim, Leased};
use crate::receive::lease::Lease;
use crate::receive::lease_requests::LeaseRequests;
use crate::send::message::ExtendedMessage;
use crate::send::prepare::prepare;
use crate::shared::Shared;
use crate::testing::recorder::Recorder;

/// The queue of a delivery that names none.
const QUEUE_URL: &str = "http://localhost/000000000000/test";

/// A delivery without a queue, for the unit test of a handler.
///
/// [`build`](Self::build) sends the message as [`ExtendedClient::send`] does, and hands it over in place of a queue. It
/// returns an [`ExtendedDelivery`] and a [`Recorder`] of what the handler does with it. The delivery behaves as in
/// production: only its requests to the queue go to the recorder instead of SQS. See the [module](crate::testing) for a
/// whole test.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_extended::Error> {
/// use sqs_extended::ExtendedMessage;
/// use sqs_extended::testing::TestDelivery;
///
/// let message = ExtendedMessage::new("content").message_attribute("lang", "en");
/// let (delivery, recorder) = TestDelivery::offloaded(message).receive_count(2).build().await?;
/// assert!(delivery.is_offloaded());
/// assert_eq!(delivery.text().await?, "content");
/// assert_eq!(recorder.settlement(), None);
/// # Ok(()) }
/// ```
#[must_use = "a test delivery must be built"]
pub struct TestDelivery {
    message: ExtendedMessage,
    sender: Sender,
    consumer: Option<sqs_client::Consumer>,
    message_id: String,
    receive_count: u32,
    queue_url: String,
    visibility_timeout: Option<Duration>,
    received: bool,
}

/// The client that sends the message.
enum Sender {
    /// A client with a store in memory.
    InMemory {
        always_offload: bool,
    },
    Client(ExtendedClient),
}

impl TestDelivery {
    /// Creates a delivery of this message from a client with a store in memory. The payload travels in the message, unless it
    /// exceeds the [default threshold](crate::ExtendedClientBuilder::DEFAULT_THRESHOLD).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, _) = TestDelivery::new("content").build().await?;
    /// assert!(!delivery.is_offloaded());
    /// # Ok(()) }
    /// ```
    pub fn new(message: impl Into<ExtendedMessage>) -> Self {
        let always_offload = false;
        Self::sent(message.into(), Sender::InMemory { always_offload })
    }

    /// Creates a delivery of this message whose payload is in a store in memory, whatever its size.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, _) = TestDelivery::offloaded(r#"{"id": 7}"#).build().await?;
    /// assert!(delivery.is_offloaded());
    /// assert_eq!(delivery.json::<serde_json::Value>().await?["id"], 7);
    /// # Ok(()) }
    /// ```
    pub fn offloaded(message: impl Into<ExtendedMessage>) -> Self {
        let always_offload = true;
        Self::sent(message.into(), Sender::InMemory { always_offload })
    }

    /// Creates a delivery of this message from this client, with its strategy, payload store and codec.
    ///
    /// The client must not have [`respect_queue_limits`](crate::ExtendedClientBuilder::respect_queue_limits) set, which
    /// requires a queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use object_store::memory::InMemory;
    /// use sqs_extended::ExtendedClient;
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// // Nothing is sent to this endpoint.
    /// let client = sqs_client::Client::builder().endpoint_url("http://localhost").build()?;
    /// let client = ExtendedClient::builder(client).offload_to(InMemory::new(), "my-bucket").threshold(5).build()?;
    /// let (delivery, _) = TestDelivery::sent_by(&client, "content").build().await?;
    /// assert_eq!(delivery.pointer().unwrap().bucket, "my-bucket");
    /// # Ok(()) }
    /// ```
    pub fn sent_by(client: &ExtendedClient, message: impl Into<ExtendedMessage>) -> Self {
        Self::sent(message.into(), Sender::Client(client.clone()))
    }

    /// Creates a delivery of this message to this consumer, from the consumer's own client. It has the consumer's queue,
    /// visibility timeout and backoff. Use it with [`handle`](crate::testing::handle).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sqs_extended::ExtendedClient;
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// // Nothing is sent to this endpoint.
    /// let client = sqs_client::Client::builder().endpoint_url("http://localhost").build()?;
    /// let consumer = ExtendedClient::builder(client).build()?.consumer("backups");
    /// let (delivery, _) = TestDelivery::sent_to(&consumer, "content").build().await?;
    /// assert_eq!(delivery.queue_url(), "backups");
    /// # Ok(()) }
    /// ```
    pub fn sent_to(consumer: &ExtendedConsumer, message: impl Into<ExtendedMessage>) -> Self {
        let client = ExtendedClient(Arc::clone(&consumer.shared));
        Self {
            consumer: Some(consumer.consumer.clone()),
            queue_url: consumer.queue.clone(),
            ..Self::sent(message.into(), Sender::Client(client))
        }
    }

    fn sent(message: ExtendedMessage, sender: Sender) -> Self {
        Self {
            message,
            sender,
            consumer: None,
            message_id: "test-message".to_owned(),
            receive_count: 1,
            queue_url: QUEUE_URL.to_owned(),
            visibility_timeout: None,
            received: false,
        }
    }

    /// Delivers the message as [`ExtendedClient::receive`] does: no heartbeat extends it, and a handler extends it with
    /// [`extend_visibility`](ExtendedDelivery::extend_visibility). Default: as an
    /// [`ExtendedConsumer`](crate::ExtendedConsumer) does.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("content").received().build().await?;
    /// delivery.lease_lost().await; // at the end of the visibility timeout
    /// assert!(recorder.extensions().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn received(mut self) -> Self {
        self.received = true;
        self
    }

    /// Sets the message id. Default: `test-message`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// # use sqs_extended::testing::TestDelivery;
    /// let (delivery, _) = TestDelivery::new("content").message_id("42").build().await?;
    /// assert_eq!(delivery.message_id(), "42");
    /// # Ok(()) }
    /// ```
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = id.into();
        self
    }

    /// Sets the number of receives, this one included. Default: 1.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// # use sqs_extended::testing::TestDelivery;
    /// let (delivery, _) = TestDelivery::new("content").receive_count(5).build().await?;
    /// assert_eq!(delivery.receive_count(), 5);
    /// # Ok(()) }
    /// ```
    pub fn receive_count(mut self, receives: u32) -> Self {
        self.receive_count = receives;
        self
    }

    /// Sets the queue's URL. Default: `http://localhost/000000000000/test`. A URL that ends with `.fifo` is that of a FIFO
    /// queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// # use sqs_extended::testing::TestDelivery;
    /// let url = "http://localhost/000000000000/backups";
    /// let (delivery, _) = TestDelivery::new("content").queue_url(url).build().await?;
    /// assert_eq!(delivery.queue_url(), url);
    /// # Ok(()) }
    /// ```
    pub fn queue_url(mut self, url: impl Into<String>) -> Self {
        self.queue_url = url.into();
        self
    }

    /// Sets the visibility timeout. Default: the consumer's, which is 30 seconds by default. For a
    /// [received](Self::received) message, the client's
    /// [`visibility_timeout`](crate::ExtendedClientBuilder::visibility_timeout). Range: 1 second to 12 hours. A time outside
    /// counts as the nearest one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// # use sqs_extended::testing::TestDelivery;
    /// use std::time::Duration;
    ///
    /// let ten_seconds = Duration::from_secs(10);
    /// let (delivery, _) = TestDelivery::new("content").received().visibility_timeout(ten_seconds).build().await?;
    /// let begin = tokio::time::Instant::now();
    /// delivery.lease_lost().await;
    /// assert!(begin.elapsed() < ten_seconds);
    /// # Ok(()) }
    /// ```
    pub fn visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility_timeout = Some(timeout);
        self
    }

    /// Stores the payload if it is to be offloaded, and builds the delivery and its recorder.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("content").build().await?;
    /// assert_eq!(delivery.text().await?, "content");
    /// assert_eq!(recorder.settlement(), None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The client cannot send the message, or sends it in several segments.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the payload in the store.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub async fn build(self) -> Result<(ExtendedDelivery, Recorder), Error> {
        let client = match self.sender {
            Sender::Client(client) => client,
            Sender::InMemory { always_offload } => in_memory(always_offload)?,
        };
        let shared = client.0;
        let prepared = prepare(&shared, &self.queue_url, self.message).await?;
        let stored = prepared.stored.map(|stored| stored.into_pointer().key);
        let several = |_| Error::invalid("the message has several segments, but a test delivery has only one message");
        let sent = prepared.messages.into_one().map_err(several)?;
        let message = incoming(sent)
            .message_id(self.message_id)
            .receive_count(self.receive_count)
            .queue_url(&*self.queue_url);
        let message = match &self.consumer {
            Some(consumer) => message.consumer(consumer),
            None => message,
        };
        let (delivery, recording, end_lease) = match self.received {
            true => received(&shared, message, self.queue_url, self.visibility_timeout)?,
            false => consumed(&shared, message, self.visibility_timeout)?,
        };
        let recorder = Recorder {
            recording,
            end_lease,
            stored: shared.payloads.clone().zip(stored),
        };
        Ok((delivery, recorder))
    }
}

type Delivered = (ExtendedDelivery, Arc<Recording>, Arc<dyn Fn() + Send + Sync>);

/// Delivers a message as a consumer does.
fn consumed(
    shared: &Arc<Shared>,
    message: testing::TestDelivery,
    visibility_timeout: Option<Duration>,
) -> Result<Delivered, Error> {
    let message = match visibility_timeout {
        Some(timeout) => message.visibility_timeout(timeout),
        None => message,
    };
    let (mut delivery, recorder) = message.build();
    let message = delivery.take_message();
    let opened = ExtendedDelivery::open(shared, Claim::Consumed(delivery), message);
    let recording = recorder.recording();
    let end_lease = Arc::new(move || recorder.lose_lease());
    Ok((opened.map_err(Error::from)?, recording, end_lease))
}

/// Delivers a message as a single receive does.
fn received(
    shared: &Arc<Shared>,
    message: testing::TestDelivery,
    queue_url: String,
    visibility_timeout: Option<Duration>,
) -> Result<Delivered, Error> {
    let timeout = visibility_timeout.unwrap_or(shared.visibility_timeout);
    let timeout = timeout.clamp(Duration::from_secs(1), sqs_client::limits::MAX_VISIBILITY_TIMEOUT);
    let message = message.into_message();
    let recording = Arc::new(Recording::default());
    let claim = Claim::Leased(Leased {
        requests: LeaseRequests::Recording(Arc::clone(&recording)),
        queue_url: queue_url.into(),
        receipt_handle: message.receipt_handle.clone(),
        lease: Lease::new(Instant::now(), timeout),
    });
    let delivery = ExtendedDelivery::open(shared, claim, message).map_err(Error::from)?;
    let end_lease = Arc::new(delivery.lease_ender());
    Ok((delivery, recording, end_lease))
}

/// Returns a client with a store in memory, whose queues cannot be reached.
fn in_memory(always_offload: bool) -> Result<ExtendedClient, Error> {
    let client = sqs_client::Client::builder()
        .endpoint_url("http://localhost")
        .credentials(Credentials::new("test", "test"))
        .build()
        .map_err(|error| Error::queue("failed to build the client of a test delivery", error))?;
    ExtendedClient::builder(client)
        .offload_to(InMemory::new(), "test-bucket")
        .always_offload(always_offload)
        .build()
}

/// Turns a sent message into the one that a receive returns.
fn incoming(sent: OutgoingMessage) -> testing::TestDelivery {
    let mut message = testing::TestDelivery::new(sent.body);
    for (name, value) in sent.message_attributes {
        message = message.message_attribute(name, value);
    }
    if let Some(group) = sent.message_group_id {
        message = message.message_group_id(group);
    }
    if let Some(id) = sent.message_deduplication_id {
        message = message.system_attribute(MessageDeduplicationId, id);
    }
    let trace_header = sent.message_system_attributes.get(AwsTraceHeader.as_str());
    match trace_header.and_then(|header| header.as_str()) {
        Some(header) => message.system_attribute(AwsTraceHeader, header),
        None => message,
    }
}

impl fmt::Debug for TestDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDelivery")
            .field("message_id", &self.message_id)
            .field("queue_url", &self.queue_url)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
