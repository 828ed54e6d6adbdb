//! The client, which programs clone and share.

use std::sync::Arc;
use std::time::Duration;

use crate::action::{SendContext, SendHooks};
use crate::client::batch_limit::{BatchLimit, BatchLimits};
use crate::clock::Clock;
use crate::credentials::CredentialsCache;
use crate::error::QueueContext;
use crate::http::endpoint::Endpoint;
use crate::http::signer::Signer;
use crate::http::transport::Transport;
use crate::protocol::Negotiation;
use crate::queue_name::queue_name;
use crate::random::Random;
use crate::retry::{Attempts, RetryPolicy, RetryQuota};
use crate::types::OutgoingMessage;

/// An SQS client with a method for each action of the service.
///
/// A clone is cheap and shares connections, credentials and the retry quota.
///
/// ```no_run
/// # async fn f() -> Result<(), sqs_client::Error> {
/// use sqs_client::{Client, Credentials};
///
/// let client = Client::builder()
///     .region("eu-west-1")
///     .credentials(Credentials::new("AKIDEXAMPLE", "secret"))
///     .build()?;
/// let queue = client.get_queue_url("orders").await?.queue_url;
/// client.send_message(&queue, "hello").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
    shows_messages_to_hooks: bool,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) endpoint: Endpoint,
    pub(crate) protocol: Negotiation,
    pub(crate) credentials: CredentialsCache,
    pub(crate) signer: Signer,
    pub(crate) transport: Transport,
    pub(crate) retry: RetryPolicy,
    pub(crate) quota: RetryQuota,
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    pub(crate) attempt_timeout: Duration,
    pub(crate) operation_timeout: Option<Duration>,
    pub(crate) verify_checksums: bool,
    pub(crate) send_hooks: SendHooks,
    pub(crate) batch_limits: BatchLimits,
}

impl Client {
    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
            shows_messages_to_hooks: true,
        }
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(super) fn send_context(&self) -> SendContext<'_> {
        let hooks = self.shows_messages_to_hooks.then_some(&self.inner.send_hooks);
        SendContext::new(hooks, &self.inner.random)
    }

    /// Shows a message that is about to be sent to the caller's hooks, unless they have seen it.
    pub(crate) fn before_send(&self, queue_url: &str, message: &mut OutgoingMessage) {
        self.send_context().before_send(queue_url, message);
    }

    /// Runs the hooks of [`on_send`](crate::ClientBuilder::on_send) on a message.
    ///
    /// Not part of the API: a layer that plans messages by their size runs the hooks first, and sends the messages
    /// [without](Self::without_send_hooks) them.
    #[doc(hidden)]
    pub fn apply_send_hooks(&self, queue_url: &str, message: &mut OutgoingMessage) {
        self.inner.send_hooks.apply(queue_url, message);
    }

    /// Returns a clone of this client that runs no hooks on the messages that it sends.
    ///
    /// Not part of the API: see [`apply_send_hooks`](Self::apply_send_hooks).
    #[doc(hidden)]
    #[must_use]
    pub fn without_send_hooks(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            shows_messages_to_hooks: false,
        }
    }

    #[cfg(feature = "consumer")]
    pub(crate) fn random(&self) -> &Random {
        &self.inner.random
    }

    #[cfg(feature = "consumer")]
    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Returns the credentials that the client signs with, for another service of the same account, such as a store.
    #[must_use]
    pub fn credentials(&self) -> &CredentialsCache {
        &self.inner.credentials
    }

    /// Returns the limit of this queue's batches.
    pub(crate) fn batch_limit(&self, queue_url: &str) -> BatchLimit {
        self.inner.batch_limits.of(queue_url)
    }

    /// Describes a queue for errors.
    pub(crate) fn queue_context(&self, queue_url: &str) -> Option<QueueContext> {
        let name = queue_name(queue_url);
        QueueContext::new(name, self.inner.endpoint.server_name(queue_url))
    }

    /// Returns the attempts of a request, or of a part of one, under the client's policy and quota.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(&self.inner.retry, &self.inner.quota, &self.inner.random)
    }
}
