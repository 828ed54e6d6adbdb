//! The client, and the whole life of a request.

pub(crate) mod builder;
pub(crate) mod erased;
pub(crate) mod hooks;

pub use crate::http::transport::http_client_builder;
pub use crate::protocol::Protocol;
pub use crate::request::Request;
pub use crate::retry::RetryPolicy;
pub use builder::ClientBuilder;
pub use hooks::TraceCarrier;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::batch::{BatchLimit, BatchLimits};
use crate::client::erased::{Success, Task, Typed};
use crate::client::hooks::SendHooks;
use crate::clock::Clock;
use crate::credentials::{Credentials, CredentialsCache};
use crate::error::Error;
use crate::http::endpoint::{Endpoint, Target};
use crate::http::signer::{Signer, Unsigned};
use crate::http::transport::Transport;
use crate::operation::Operation;
use crate::protocol::{Negotiation, Wire};
use crate::random::Random;
use crate::retry::{Attempts, Next, RetryQuota};
use crate::telemetry;
use crate::types::OutgoingMessage;

/// An SQS client: a method for each action of the service.
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
    /// Settings for a client, to be built.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client of the environment's settings: see [`ClientBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) where neither region nor endpoint is set, or one of them is
    /// not well-formed. Credentials that are missing show on the first request.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env().build()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
            shows_messages_to_hooks: true,
        }
    }

    pub(crate) fn request<Op: Operation>(&self, input: Op) -> Request<Op> {
        Request::new(self.clone(), input)
    }

    /// Shows a message that is about to be sent to the caller's hooks, unless they have seen it.
    pub(crate) fn before_send(&self, queue_url: &str, message: &mut OutgoingMessage) {
        if self.shows_messages_to_hooks {
            self.apply_send_hooks(queue_url, message);
        }
    }

    /// Runs the hooks of [`on_send`](ClientBuilder::on_send) on a message.
    ///
    /// Not part of the API: a layer that plans messages by their size runs the hooks first, and sends the messages
    /// [without](Self::without_send_hooks) them.
    #[doc(hidden)]
    pub fn apply_send_hooks(&self, queue_url: &str, message: &mut OutgoingMessage) {
        self.inner.send_hooks.apply(queue_url, message);
    }

    /// Returns this client, which shares everything, but runs no hooks on the messages that it sends.
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

    pub(crate) fn new_id(&self) -> String {
        self.inner.random.id()
    }

    #[cfg(feature = "consumer")]
    pub(crate) fn random(&self) -> &Random {
        &self.inner.random
    }

    #[cfg(feature = "consumer")]
    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Returns the credentials that requests are signed with: for another service of the same account, such as a store.
    #[must_use]
    pub fn credentials(&self) -> &CredentialsCache {
        &self.inner.credentials
    }

    /// Returns the limit of this queue's batches.
    pub(crate) fn batch_limit(&self, queue_url: &str) -> BatchLimit {
        self.inner.batch_limits.of(queue_url)
    }

    /// The attempts of a request, or of a part of one, by the client's policy and quota.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(&self.inner.retry, &self.inner.quota, &self.inner.random)
    }

    /// A request, from its input to its output.
    pub(crate) async fn execute<Op: Operation>(&self, operation: &Op) -> Result<Op::Output, Error> {
        Ok(self.execute_noting_attempts(operation).await?.output)
    }

    /// Executes a request, and returns with its output whether an earlier attempt may have taken effect, too.
    pub(crate) async fn execute_noting_attempts<Op: Operation>(
        &self,
        operation: &Op,
    ) -> Result<Success<Op::Output>, Error> {
        let mut task = Typed::new(operation);
        self.observed(&mut task).await?;
        let unread = || Error::response("the request ended without an answer");
        task.into_success().ok_or_else(unread)
    }

    /// A request's life, within its span.
    async fn observed(&self, task: &mut dyn Task) -> Result<(), Error> {
        let seen = telemetry::Seen::begin(task);
        let result = self.life(task).instrument(seen.span()).await;
        seen.end(task, &result);
        result
    }

    /// The whole life of a request: checked and encoded once, then tried until it succeeds, fails for good, or
    /// attempts or time run out. What can fail or grow stale is within the loop.
    async fn life(&self, task: &mut dyn Task) -> Result<(), Error> {
        let this = &*self.inner;
        task.validate()?;
        let deadline = this
            .operation_timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let mut call = this.call(task, this.protocol.wire(), deadline)?;
        let mut attempts = self.attempts();
        loop {
            let (error, credentials) = match this.attempt(task, &call).await {
                Ok(()) => {
                    this.protocol.succeeded(call.wire);
                    attempts.succeeded();
                    task.note_earlier_attempts(attempts.may_have_been_sent());
                    return Ok(());
                }
                Err(failed) => failed,
            };
            let instead = this.protocol.instead_of(call.wire, &error);
            if let Some(wire) = instead.filter(|_| !attempts.may_have_been_sent()) {
                call = this.call(task, wire, deadline)?;
                continue;
            }
            let replaced = this.replaces(&error, credentials.as_ref(), &call).await;
            let retryable = error.is_retryable() || replaced;
            let (delay, error) = match attempts.after(error, retryable) {
                Next::Retry(delay, error) => (delay, error),
                Next::NoQuota(delay, error) => {
                    // A caller that polls in a loop would spin.
                    if !task.server_wait().is_zero() {
                        tokio::time::sleep(call.within_deadline(delay)).await;
                    }
                    return Err(error);
                }
                Next::End(error) => return Err(error),
            };
            // Other credentials need no pause.
            let delay = if replaced { Duration::ZERO } else { delay };
            let next = Instant::now().checked_add(delay);
            if deadline.is_some_and(|deadline| next.is_none_or(|next| next >= deadline)) {
                return Err(error);
            }
            telemetry::retried(task, delay, &error);
            tokio::time::sleep(delay).await;
        }
    }
}

/// A request that was checked and encoded.
struct Call<'a> {
    wire: Wire,
    target: Target<'a>,
    body: Bytes,
    deadline: Option<Instant>,
}

impl Call<'_> {
    /// This time, or what is left of the whole's.
    fn within_deadline(&self, time: Duration) -> Duration {
        match self.deadline {
            Some(deadline) => time.min(deadline.saturating_duration_since(Instant::now())),
            None => time,
        }
    }
}

impl Inner {
    fn call(&self, task: &dyn Task, wire: Wire, deadline: Option<Instant>) -> Result<Call<'_>, Error> {
        Ok(Call {
            wire,
            target: self.endpoint.target(wire, task.queue_url())?,
            body: task.encode(wire)?,
            deadline,
        })
    }

    /// One attempt; on failure, with the credentials it used.
    async fn attempt(&self, task: &mut dyn Task, call: &Call<'_>) -> Result<(), (Error, Option<Credentials>)> {
        let credentials = self.credentials(call.deadline).await.map_err(|error| (error, None))?;
        self.signed_attempt(task, call, &credentials)
            .await
            .map_err(|error| (error, Some(credentials)))
    }

    /// The credentials to sign with, within the whole's deadline.
    async fn credentials(&self, deadline: Option<Instant>) -> Result<Credentials, Error> {
        let get = self.credentials.get();
        let Some(deadline) = deadline else { return get.await };
        let late = |_| Error::credentials("there were no credentials within the operation's time");
        tokio::time::timeout_at(deadline, get)
            .await
            .unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    async fn signed_attempt(
        &self,
        task: &mut dyn Task,
        call: &Call<'_>,
        credentials: &Credentials,
    ) -> Result<(), Error> {
        let unsigned = Unsigned {
            host: call.target.host,
            path: call.target.url.path(),
            content_type: call.wire.content_type(),
            target: (call.wire == Wire::Json).then_some(task.target()),
            body: &call.body,
        };
        let headers = self.signer.sign(&unsigned, credentials, self.clock.now())?;
        let timeout = call.within_deadline(self.attempt_timeout.saturating_add(task.server_wait()));
        let answer = self
            .transport
            .post(call.target.url.clone(), headers, call.body.clone(), timeout)
            .await?;
        let read = task.read(call.wire, &answer, self.verify_checksums);
        read.inspect_err(|error| {
            if error.is_clock_skew()
                && let Some(date) = answer.header("date")
            {
                self.clock.correct(date);
            }
        })
    }

    /// Returns `true` if the server refused the credentials, and the provider has others by now.
    async fn replaces(&self, error: &Error, used: Option<&Credentials>, call: &Call<'_>) -> bool {
        let Some(used) = used.filter(|_| error.rejects_credentials()) else {
            return false;
        };
        let time = call.within_deadline(CredentialsCache::FETCH_TIMEOUT);
        tokio::time::timeout(time, self.credentials.replace(used))
            .await
            .unwrap_or(false)
    }
}
