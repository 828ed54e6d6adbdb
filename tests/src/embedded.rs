//! An SQS-compatible server in the process: both protocols, checked signatures, faults on demand.
//!
//! It is written from AWS's service model and from answers recorded from AWS, and shares no code with the client, so
//! that the two can be held against each other. It is strict where AWS is lenient: a member or parameter that the
//! model does not know is refused. Queues live in memory and end with the server.
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
//! How it is laid out: `http` reads a request, lets it in (`auth`) and writes the answer; `json`, `query` and `xml`
//! are the codecs, driven by the one table in `schema`; `service` sends each action to a function under `actions`; a
//! `queue` is a lock around a `store`, the state machine of its messages.

mod actions;
mod auth;
mod body;
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
pub use inspect::{MessageView, Place, QueueView};
pub use journal::Recorded;
pub use parcel::Counts;
pub use schema::Action;

use self::http::Shared;
use self::journal::Journal;
use self::service::{Limits, Service};

/// A running server. It stops, and closes its connections, when it is dropped.
#[derive(Debug)]
pub struct EmbeddedServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// What a server shall be like. The defaults are those of AWS where AWS has them.
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
    /// The region of ARNs, and the only one that signatures may be scoped to (default `us-east-1`).
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// The account that owns all queues (default `000000000000`).
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// What returned queue URLs begin with, if not the server's own address: `http://elsewhere:9324`.
    #[must_use]
    pub fn queue_url_base(mut self, base: impl Into<String>) -> Self {
        self.base_url = Some(base.into());
        self
    }

    /// Accepts one more access key, beside `test` with the secret `test`.
    #[must_use]
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Whether signatures are checked (default: yes).
    #[must_use]
    pub fn verify_signatures(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Speaks one protocol only.
    #[must_use]
    pub fn only(mut self, protocol: Protocol) -> Self {
        self.only = Some(protocol);
        self
    }

    /// The seed of all randomness: message ids, probabilities of faults, reordering (default 0).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many requests [`EmbeddedServer::requests`] remembers (default 1000).
    #[must_use]
    pub fn journal_capacity(mut self, requests: usize) -> Self {
        self.journal_capacity = requests;
        self
    }

    /// Whether [`EmbeddedServer::requests`] remembers what each asked for, message bodies included (default: no).
    #[must_use]
    pub fn keep_inputs(mut self, keep: bool) -> Self {
        self.keep_inputs = keep;
        self
    }

    /// How many messages may be in flight (default 120,000 on a standard and 20,000 on a FIFO queue).
    #[must_use]
    pub fn in_flight_limits(mut self, standard: usize, fifo: usize) -> Self {
        self.limits.in_flight_standard = standard;
        self.limits.in_flight_fifo = fifo;
        self
    }

    /// How long after a purge the next is refused (default 60 s).
    #[must_use]
    pub fn purge_interval(mut self, interval: Duration) -> Self {
        self.limits.purge_interval = interval;
        self
    }

    /// How long the name of a deleted queue stays taken: 60 s on AWS, and by default not at all.
    #[must_use]
    pub fn recreate_delay(mut self, delay: Duration) -> Self {
        self.limits.recreate_delay = delay;
        self
    }

    /// Sets the maximum number of bytes of a batch's messages together. Default: 1,048,576.
    #[must_use]
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.limits.batch_bytes = bytes;
        self
    }

    /// Starts the server on a free port of the loopback interface, on the runtime that this is called from.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
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
            // Apart from the service's own, so that rules do not change the ids of messages.
            faults: Faults::new(self.seed.wrapping_add(1)),
            journal: Journal::new(self.journal_capacity),
            keep_inputs: self.keep_inputs,
        });
        let task = tokio::spawn(http::serve(listener, shared.clone()));
        Ok(EmbeddedServer { shared, address, task })
    }
}

impl EmbeddedServer {
    /// Begins to describe a server.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a server with all defaults.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address behind [`EmbeddedServer::endpoint`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a queue, as the server returns it; the queue need not exist.
    pub fn queue_url(&self, name: &str) -> String {
        self.shared.service.url(name)
    }

    /// The ARN of a queue; the queue need not exist.
    pub fn queue_arn(&self, name: &str) -> String {
        self.shared.service.arn(name)
    }

    /// The rules by which requests go wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The access keys.
    pub fn keys(&self) -> &AccessKeys {
        &self.shared.keys
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.service.clock
    }

    /// A look into a queue.
    pub fn queue(&self, name: &str) -> Option<QueueView> {
        let service = self.shared.service.clone();
        let queue = service.queue_named(name)?;
        Some(QueueView { service, queue })
    }

    /// How many requests for an action have arrived, refused ones and those that met a fault included.
    pub fn count(&self, action: Action) -> u64 {
        self.shared.journal.count(action)
    }

    /// The counts of all actions that were asked for.
    pub fn counts(&self) -> BTreeMap<Action, u64> {
        self.shared.journal.counts()
    }

    /// The last requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.journal.last()
    }

    /// Forgets the requests and their counts.
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
        // The connections' tasks belong to this one and end with it.
        self.task.abort();
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        self.abort();
    }
}
