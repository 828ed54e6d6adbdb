//! The settings of a delivery without a queue.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::client::Client;
use crate::consumer::builder::Consumer;
use crate::consumer::delivery::Delivery;
use crate::consumer::heartbeat;
use crate::consumer::recording::Recording;
use crate::consumer::settings::Settings;
use crate::consumer::shared::Shared;
use crate::consumer::testing::recorder::Recorder;
use crate::credentials::Credentials;
use crate::limits;
use crate::queue_name::is_fifo;
use crate::queue_ref::QueueRef;
use crate::types::{Message, MessageAttributeValue, MessageSystemAttributeName};

/// The queue of a message that names none.
const QUEUE_URL: &str = "http://localhost/000000000000/test";

/// A delivery without a queue, for the unit test of a handler.
///
/// [`build`](Self::build) returns a [`Delivery`] like those of a [`Consumer`], and a [`Recorder`] of what the handler does
/// with it. The delivery behaves as in production: only its requests go to the recorder instead of SQS. See the
/// [module](crate::testing) for a whole test.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_client::Error> {
/// use std::time::Duration;
/// use sqs_client::consumer::AckOutcome;
/// use sqs_client::testing::{Settlement, TestDelivery};
///
/// let (delivery, recorder) = TestDelivery::new(r#"{"id": 7}"#)
///     .message_id("5fea7756-0ea4-451a-a703-a558b933e274")
///     .message_attribute("lang", "en")
///     .receive_count(3)
///     .queue_url("http://localhost/000000000000/orders")
///     .visibility_timeout(Duration::from_secs(60))
///     .build();
/// assert_eq!(delivery.receive_count(), 3);
/// delivery.ack().await?;
/// assert_eq!(recorder.settlement(), Some(Settlement::Acked(AckOutcome::Deleted)));
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a test delivery must be built"]
pub struct TestDelivery {
    message: Message,
    system_attributes: Vec<(MessageSystemAttributeName, String)>,
    consumer: Option<Consumer>,
    queue_url: Option<String>,
    visibility_timeout: Option<Duration>,
}

impl TestDelivery {
    /// Creates a delivery of a message with this body. Its message id is `test-message`, its receipt handle
    /// `test-receipt-handle`, and it is received for the first time.
    ///
    /// ```
    /// use sqs_client::testing::TestDelivery;
    ///
    /// let (delivery, _) = TestDelivery::new("hello").build();
    /// assert_eq!(delivery.message().body, "hello");
    /// assert_eq!(delivery.receive_count(), 1);
    /// ```
    pub fn new(body: impl Into<String>) -> Self {
        Self::from_message(Message {
            message_id: "test-message".to_owned(),
            receipt_handle: "test-receipt-handle".to_owned(),
            body: body.into(),
            ..Message::unread()
        })
        .receive_count(1)
    }

    /// Creates a delivery of this message, for example of one that was received and saved.
    ///
    /// ```
    /// # fn main() -> Result<(), serde_json::Error> {
    /// use sqs_client::testing::TestDelivery;
    ///
    /// let saved = r#"{"MessageId": "1", "ReceiptHandle": "r", "Body": "hello"}"#;
    /// let (delivery, _) = TestDelivery::from_message(serde_json::from_str(saved)?).build();
    /// assert_eq!(delivery.message().message_id, "1");
    /// # Ok(()) }
    /// ```
    pub fn from_message(message: Message) -> Self {
        Self {
            message,
            system_attributes: Vec::new(),
            consumer: None,
            queue_url: None,
            visibility_timeout: None,
        }
    }

    /// Sets the message id. Default: `test-message`.
    ///
    /// ```
    /// # use sqs_client::testing::TestDelivery;
    /// let (delivery, _) = TestDelivery::new("hello").message_id("42").build();
    /// assert_eq!(delivery.message().message_id, "42");
    /// ```
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message.message_id = id.into();
        self
    }

    /// Adds a message attribute. Default: none.
    ///
    /// ```
    /// # use sqs_client::testing::TestDelivery;
    /// let (delivery, _) = TestDelivery::new("hello").message_attribute("lang", "en").build();
    /// assert_eq!(delivery.message().message_attributes["lang"].as_str(), Some("en"));
    /// ```
    pub fn message_attribute(mut self, name: impl Into<String>, value: impl Into<MessageAttributeValue>) -> Self {
        self.message.message_attributes.insert(name.into(), value.into());
        self
    }

    /// Adds a system attribute. Default: only `ApproximateReceiveCount`, which is 1.
    ///
    /// ```
    /// # use sqs_client::testing::TestDelivery;
    /// use sqs_client::types::MessageSystemAttributeName::SenderId;
    ///
    /// let (delivery, _) = TestDelivery::new("hello").system_attribute(SenderId, "AIDAEXAMPLE").build();
    /// assert_eq!(delivery.message().attributes.sender_id(), Some("AIDAEXAMPLE"));
    /// ```
    pub fn system_attribute(mut self, name: MessageSystemAttributeName, value: impl Into<String>) -> Self {
        self.system_attributes.push((name, value.into()));
        self
    }

    /// Sets the message group. Default: none.
    ///
    /// ```
    /// # use sqs_client::testing::TestDelivery;
    /// let (delivery, _) = TestDelivery::new("hello")
    ///     .queue_url("http://localhost/000000000000/orders.fifo")
    ///     .message_group_id("customer 7")
    ///     .build();
    /// assert_eq!(delivery.message().attributes.message_group_id(), Some("customer 7"));
    /// ```
    pub fn message_group_id(self, group: impl Into<String>) -> Self {
        self.system_attribute(MessageSystemAttributeName::MessageGroupId, group)
    }

    /// Sets the number of receives, this one included. Default: 1.
    ///
    /// ```
    /// # use sqs_client::testing::TestDelivery;
    /// let (delivery, _) = TestDelivery::new("hello").receive_count(5).build();
    /// assert_eq!(delivery.handling_count(), 5);
    /// ```
    pub fn receive_count(self, receives: u32) -> Self {
        self.system_attribute(
            MessageSystemAttributeName::ApproximateReceiveCount,
            receives.to_string(),
        )
    }

    /// Sets the queue's URL. Default: the [consumer's](Self::consumer) queue, or else
    /// `http://localhost/000000000000/test`. A URL that ends with `.fifo` is that of a FIFO queue.
    ///
    /// ```
    /// # use sqs_client::testing::TestDelivery;
    /// let (delivery, _) = TestDelivery::new("hello").queue_url("http://localhost/000000000000/orders").build();
    /// assert_eq!(delivery.queue_url(), "http://localhost/000000000000/orders");
    /// ```
    pub fn queue_url(mut self, url: impl Into<String>) -> Self {
        self.queue_url = Some(url.into());
        self
    }

    /// Sets the visibility timeout. Default: the [consumer's](Self::consumer), or else 30 seconds. Range: 1 second–12
    /// hours. A time outside counts as the nearest one.
    ///
    /// ```
    /// # use sqs_client::testing::TestDelivery;
    /// use std::time::Duration;
    ///
    /// let (delivery, _) = TestDelivery::new("hello").visibility_timeout(Duration::from_secs(300)).build();
    /// assert!(delivery.lease_remaining() > Duration::from_secs(250));
    /// ```
    pub fn visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility_timeout = Some(timeout);
        self
    }

    /// Delivers the message from this consumer, with its queue, visibility timeout and backoff. Default: a consumer with the
    /// default settings. Use it with [`handle`](crate::testing::handle).
    ///
    /// ```
    /// # fn main() -> Result<(), sqs_client::Error> {
    /// # use sqs_client::testing::TestDelivery;
    /// use std::time::Duration;
    ///
    /// let client = sqs_client::Client::builder().endpoint_url("http://localhost").build()?;
    /// let consumer = client.consumer("orders").backoff(Duration::ZERO, Duration::ZERO);
    /// let (delivery, _) = TestDelivery::new("hello").consumer(&consumer).build();
    /// assert_eq!(delivery.backoff(), Duration::ZERO);
    /// # Ok(()) }
    /// ```
    pub fn consumer(mut self, consumer: &Consumer) -> Self {
        self.consumer = Some(consumer.clone());
        self
    }

    /// Returns the message, for the tests of sqs-extended.
    #[doc(hidden)]
    #[must_use]
    pub fn into_message(self) -> Message {
        let mut message = self.message;
        let received = message
            .attributes
            .iter()
            .map(|(name, text)| (name.clone(), text.to_owned()));
        message.attributes = received.chain(self.system_attributes).collect();
        message
    }

    /// Builds the delivery and its recorder.
    ///
    /// Within a tokio runtime, a heartbeat extends the delivery in the background until it is settled, and returns it after
    /// it was dropped. Without one there is no heartbeat, and the lease ends with the visibility timeout.
    ///
    /// ```
    /// use sqs_client::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("hello").build();
    /// assert_eq!(recorder.settlement(), None);
    /// assert_eq!(delivery.message().body, "hello");
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if an HTTP client cannot be set up on this machine.
    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    #[must_use]
    pub fn build(self) -> (Delivery, Recorder) {
        let consumer = self.consumer.clone();
        let (queue_url, timeout) = (self.queue_url.clone(), self.visibility_timeout);
        let message = self.into_message();

        let (client, queue, mut settings) = match consumer {
            Some(consumer) => (consumer.client, consumer.queue, consumer.settings),
            None => {
                let client = unused_client().expect("an HTTP client for http://localhost");
                (client, QueueRef::new(QUEUE_URL), Settings::new(QUEUE_URL))
            }
        };
        let queue = queue_url.map_or(queue, QueueRef::new);
        settings.ordered = is_fifo(queue.given());
        let timeout = timeout.unwrap_or(settings.visibility_timeout);
        settings.visibility_timeout = timeout.clamp(Duration::from_secs(1), limits::MAX_VISIBILITY_TIMEOUT);

        let recording = Arc::new(Recording::default());
        let mut shared = Shared::new(client, queue, settings);
        shared.requests.recording = Some(Arc::clone(&recording));
        let (shared, now) = (Arc::new(shared), Instant::now());
        let tracked = shared.update(|state| {
            state.only_message = true;
            state.arrive(vec![message.into()], now, now);
            state.next(now)
        });
        let tracked = tracked.expect("the only message is next");
        if Handle::try_current().is_ok() {
            tokio::spawn(heartbeat::run(Arc::clone(&shared)));
        }
        let recorder = Recorder {
            recording,
            tracked: Arc::clone(&tracked),
        };
        (Delivery::new(shared, tracked), recorder)
    }
}

/// Returns the client of a delivery without a consumer, which sends nothing.
fn unused_client() -> Result<Client, crate::Error> {
    Client::builder()
        .endpoint_url("http://localhost")
        .credentials(Credentials::new("test", "test"))
        .build()
}

impl fmt::Debug for TestDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDelivery")
            .field("message_id", &self.message.message_id)
            .field("queue_url", &self.queue_url)
            .finish_non_exhaustive()
    }
}
