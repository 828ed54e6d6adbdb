//! The client: the way in to all that this crate does.

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

/// Sends and receives messages of any size: small ones through the queue alone, large ones through an object store,
/// with a pointer to them in the queue, or in several messages ([`Strategy`](crate::Strategy)).
///
/// Cheap to clone; clones share everything.
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
    /// The queue's client underneath, for what this layer does not change: queues, their attributes, and so on.
    #[must_use]
    pub fn client(&self) -> &sqs_client::Client {
        &self.0.client
    }

    /// Where large payloads are stored, if anywhere.
    #[must_use]
    pub fn payload_store(&self) -> Option<&PayloadStore> {
        self.0.payloads.as_ref()
    }

    /// Sends a message with this payload; see [`SendRequest`].
    pub fn send(&self, queue_url: impl Into<String>, payload: impl Into<ExtendedMessage>) -> SendRequest {
        SendRequest::new(Arc::clone(&self.0), queue_url.into(), payload.into())
    }

    /// Sends messages of any number; see [`SendMessagesRequest`].
    pub fn send_messages<I>(&self, queue_url: impl Into<String>, messages: I) -> SendMessagesRequest
    where
        I: IntoIterator<Item: Into<ExtendedMessage>>,
    {
        let messages = messages.into_iter().map(Into::into).collect();
        SendMessagesRequest::new(Arc::clone(&self.0), queue_url.into(), messages)
    }

    /// Receives messages; see [`ReceiveRequest`].
    pub fn receive(&self, queue_url: impl Into<String>) -> ReceiveRequest {
        ReceiveRequest::new(Arc::clone(&self.0), queue_url.into())
    }

    /// A consumer of a queue for payloads of any size. Set it up, and [`run`](ExtendedConsumer::run) it.
    pub fn consumer(&self, queue_url: impl Into<String>) -> ExtendedConsumer {
        ExtendedConsumer::new(Arc::clone(&self.0), queue_url.into())
    }

    /// Waits until the payload store has [settled](PayloadStore::flush): call it before the process ends.
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
