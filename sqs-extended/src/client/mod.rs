//! The client, which is the entry point of the crate.

pub(crate) mod builder;

pub use builder::ExtendedClientBuilder;

use std::fmt;
use std::sync::Arc;

use crate::consumer::ExtendedConsumer;
use crate::payload_store::PayloadStore;
use crate::receive::request::ReceiveRequest;
use crate::send::message::ExtendedMessage;
use crate::send::request::{SendMessagesRequest, SendRequest};
use crate::shared::Shared;

/// A client that sends and receives messages of any size.
///
/// Small payloads travel in a message. The [`Strategy`](crate::Strategy) decides about large ones. They travel through an
/// object store, with a pointer in the queue, or in several messages.
///
/// Clones are cheap and share everything.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use object_store::memory::InMemory;
/// use sqs_extended::ExtendedClient;
///
/// let extended = ExtendedClient::builder(sqs_client::Client::from_env()?)
///     .offload_to(InMemory::new(), "my-bucket")
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ExtendedClient(pub(crate) Arc<Shared>);

impl ExtendedClient {
    /// Returns the underlying queue client, for example to create queues or to read their attributes.
    #[must_use]
    pub fn client(&self) -> &sqs_client::Client {
        &self.0.client
    }

    /// Returns the payload store, if there is one.
    #[must_use]
    pub fn payload_store(&self) -> Option<&PayloadStore> {
        self.0.payloads.as_ref()
    }

    /// Sends a message with this payload. Await the returned [`SendRequest`], which describes errors and cancellation.
    pub fn send(&self, queue_url: impl Into<String>, payload: impl Into<ExtendedMessage>) -> SendRequest {
        SendRequest::new(Arc::clone(&self.0), queue_url.into(), payload.into())
    }

    /// Sends any number of messages. Await the returned [`SendMessagesRequest`].
    pub fn send_messages<I>(&self, queue_url: impl Into<String>, messages: I) -> SendMessagesRequest
    where
        I: IntoIterator<Item: Into<ExtendedMessage>>,
    {
        let messages = messages.into_iter().map(Into::into).collect();
        SendMessagesRequest::new(Arc::clone(&self.0), queue_url.into(), messages)
    }

    /// Receives messages. Await the returned [`ReceiveRequest`].
    pub fn receive(&self, queue_url: impl Into<String>) -> ReceiveRequest {
        ReceiveRequest::new(Arc::clone(&self.0), queue_url.into())
    }

    /// Creates a consumer of a queue. Configure it, then [`run`](ExtendedConsumer::run) it.
    ///
    /// `queue` is the queue's URL or its name. The consumer looks a name up once, like
    /// [`Client::consumer`](sqs_client::Client::consumer), and refuses an ARN when it starts.
    pub fn consumer(&self, queue: impl Into<String>) -> ExtendedConsumer {
        ExtendedConsumer::new(Arc::clone(&self.0), queue.into())
    }

    /// Waits until the payload store has finished its [background work](PayloadStore::flush). Call it before the process
    /// exits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&self) {
        if let Some(payloads) = &self.0.payloads {
            payloads.flush().await;
        }
    }
}

impl fmt::Debug for ExtendedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExtendedClient").field(&self.0).finish()
    }
}
