//! An SQS-compatible server in the process, with both protocols, signature checks and fault injection.
//!
//! The server follows AWS's service model and responses recorded from AWS. It shares no code with the client, so that
//! each can be tested against the other. It is strict where AWS is lenient: it refuses members and parameters that the
//! model does not have. Queues are in memory and end with the server.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> anyhow::Result<()> {
//! use sqs_tests::embedded::{Action, EmbeddedServer, Fault, FaultKind};
//!
//! let server = EmbeddedServer::builder().seed(7).start().await?;
//! let client = server.client()?;
//! let queue = client.create_queue("orders").await?.queue_url;
//!
//! server.faults().add(Fault::on(Action::SendMessage, FaultKind::Throttle).times(2));
//! client.send_message(&queue, "retried twice").await?;
//! assert_eq!(server.count(Action::SendMessage), 3);
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! `http` reads a request, checks its signature (`auth`) and writes the response. The codecs `json`, `query` and `xml`
//! share the table in `schema`. `service` dispatches each action to a function under `actions`. A `queue` is a lock
//! around a `store`, the state machine of its messages. `client` builds clients of the server.

mod actions;
mod auth;
mod client;
mod clock;
mod dedup;
mod error;
mod faults;
mod fifo;
mod handle;
mod http;
mod input;
mod inspect;
mod journal;
mod json;
mod md5;
mod message;
mod parcel;
mod query;
mod queue;
mod ready;
mod redrive;
mod response_body;
mod rng;
mod schema;
mod service;
mod settings;
mod sigv4;
mod store;
mod wire;
mod xml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use auth::{AccessKey, AccessKeys};
pub use client::{ACCESS_KEY_ID, DEFAULT_REGION, SECRET_ACCESS_KEY, client_builder};
pub use clock::Clock;
pub use faults::{Fault, FaultId, FaultKind, Faults, Reply};
pub use http::Protocol;
pub use inspect::{MessageState, MessageView, QueueView};
pub use journal::Recorded;
pub use parcel::Counts;
pub use schema::Action;

use self::http::Shared;
use self::journal::Journal;
use self::service::{Limits, Service};

/// A running server. Dropping it stops it and closes its connections.
///
/// See the [module's example](self).
#[derive(Debug)]
pub struct EmbeddedServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// Settings for an [`EmbeddedServer`]. Defaults are AWS's where AWS has one.
#[derive(Debug)]
pub struct Builder {
    region: String,
    account: String,
    base_url: Option<String>,
    keys: Vec<AccessKey>,
    verify: bool,
    only: Option<Protocol>,
    seed: u64,
    journal_capacity: usize,
    keep_inputs: bool,
    limits: Limits,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            region: DEFAULT_REGION.into(),
            account: "000000000000".into(),
            base_url: None,
            keys: vec![AccessKey::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY)],
            verify: true,
            only: None,
            seed: 0,
            journal_capacity: 1000,
            keep_inputs: false,
            limits: Limits {
                in_flight_standard: 120_000,
                in_flight_fifo: 20_000,
                purge_interval: Duration::from_secs(60),
                recreate_delay: Duration::ZERO,
                batch_bytes: 1_048_576,
            },
        }
    }
}

impl Builder {
    /// Sets the region, which ARNs contain and signatures must be scoped to. Default: [`DEFAULT_REGION`].
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Sets the account that owns all queues. Default: `000000000000`.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// Sets the start of returned queue URLs, such as `http://sqs.example:9324`. Default: the server's own address.
    #[must_use]
    pub fn queue_url_base(mut self, base: impl Into<String>) -> Self {
        self.base_url = Some(base.into());
        self
    }

    /// Accepts another access key besides [`ACCESS_KEY_ID`].
    #[must_use]
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets whether signatures are checked. Default: `true`.
    #[must_use]
    pub fn verify_signatures(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Restricts the server to one protocol. Default: both protocols.
    #[must_use]
    pub fn only(mut self, protocol: Protocol) -> Self {
        self.only = Some(protocol);
        self
    }

    /// Sets the seed of all randomness: message ids, fault probabilities and reordering. Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of requests that [`EmbeddedServer::requests`] remembers. Default: 1,000.
    #[must_use]
    pub fn journal_capacity(mut self, requests: usize) -> Self {
        self.journal_capacity = requests;
        self
    }

    /// Sets whether [`EmbeddedServer::requests`] remembers each request's input, message bodies included. Default:
    /// `false`.
    #[must_use]
    pub fn keep_inputs(mut self, keep: bool) -> Self {
        self.keep_inputs = keep;
        self
    }

    /// Sets the maximum number of messages in flight on a standard and on a FIFO queue. Default: 120,000 and 20,000.
    #[must_use]
    pub fn in_flight_limits(mut self, standard: usize, fifo: usize) -> Self {
        self.limits.in_flight_standard = standard;
        self.limits.in_flight_fifo = fifo;
        self
    }

    /// Sets the time after a purge during which another is refused. Default: 60 seconds.
    #[must_use]
    pub fn purge_interval(mut self, interval: Duration) -> Self {
        self.limits.purge_interval = interval;
        self
    }

    /// Sets the time for which a deleted queue's name stays taken. Default: zero. AWS has 60 seconds.
    #[must_use]
    pub fn recreate_delay(mut self, delay: Duration) -> Self {
        self.limits.recreate_delay = delay;
        self
    }

    /// Sets the maximum total size of a batch's messages in bytes. Default: 1,048,576.
    #[must_use]
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.limits.batch_bytes = bytes;
        self
    }

    /// Starts the server on a free loopback port, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be bound.
    pub async fn start(self) -> io::Result<EmbeddedServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let base_url = self.base_url.unwrap_or_else(|| format!("http://{address}"));
        let clock = Arc::new(Clock::new());
        let service = Service::new(self.region, self.account, base_url, self.limits, clock, self.seed);
        let keys = AccessKeys::default();
        self.keys.into_iter().for_each(|key| keys.add(key));
        let shared = Arc::new(Shared {
            service: Arc::new(service),
            keys,
            verify: self.verify,
            only: self.only,
            // A seed of its own, so that fault rules do not change message ids.
            faults: Faults::new(self.seed.wrapping_add(1)),
            journal: Journal::new(self.journal_capacity),
            keep_inputs: self.keep_inputs,
        });
        let task = tokio::spawn(http::serve(listener, shared.clone()));
        Ok(EmbeddedServer { shared, address, task })
    }
}

impl EmbeddedServer {
    /// Returns a builder with default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a server with default settings.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns the server's URL: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the socket address of [`EmbeddedServer::endpoint`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL that the server gives a queue of this name. The queue need not exist.
    pub fn queue_url(&self, name: &str) -> String {
        self.shared.service.url(name)
    }

    /// Returns the ARN of a queue of this name. The queue need not exist.
    pub fn queue_arn(&self, name: &str) -> String {
        self.shared.service.arn(name)
    }

    /// Returns the rules for injected faults.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Returns the accepted access keys.
    pub fn keys(&self) -> &AccessKeys {
        &self.shared.keys
    }

    /// Returns the server's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.service.clock
    }

    /// Returns a view of a queue, or `None` if it does not exist.
    pub fn queue(&self, name: &str) -> Option<QueueView> {
        let service = self.shared.service.clone();
        let queue = service.queue_named(name)?;
        Some(QueueView { service, queue })
    }

    /// Returns the number of requests for an action, including refused requests and those with a fault.
    pub fn count(&self, action: Action) -> u64 {
        self.shared.journal.count(action)
    }

    /// Returns the number of requests for each requested action.
    pub fn counts(&self) -> BTreeMap<Action, u64> {
        self.shared.journal.counts()
    }

    /// Returns the last requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.journal.last()
    }

    /// Clears the remembered requests and their counts.
    pub fn forget_requests(&self) {
        self.shared.journal.clear();
    }

    /// Stops the server and waits until its port is free and its connections are closed.
    pub async fn stop(mut self) {
        self.abort();
        let _ = (&mut self.task).await;
    }

    fn abort(&self) {
        self.shared.service.stop();
        // The connections' tasks are children of this one and end with it.
        self.task.abort();
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        self.abort();
    }
}
