//! The settings of a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::actions::Actions;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::http::auth::{AccessKey, AccessKeys};
use crate::http::gateway::Gateway;
use crate::journal::Journal;
use crate::protocol::Protocol;
use crate::service::{Limits, Service};

/// The access key id that every server accepts.
pub const ACCESS_KEY_ID: &str = "test";
/// The secret of [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "test";
/// The region of a server whose builder was given no other.
pub const DEFAULT_REGION: &str = "us-east-1";

/// The settings of a [`LocalSqs`](crate::LocalSqs). Defaults are AWS's where AWS has one.
#[derive(Debug)]
pub struct Builder {
    region: String,
    account: String,
    pub(crate) address: SocketAddr,
    base_url: Option<String>,
    keys: Vec<AccessKey>,
    verify: bool,
    only: Option<Protocol>,
    seed: u64,
    start_time: Option<SystemTime>,
    journal_capacity: usize,
    keep_inputs: bool,
    limits: Limits,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            region: DEFAULT_REGION.into(),
            account: "000000000000".into(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            base_url: None,
            keys: vec![AccessKey::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY)],
            verify: true,
            only: None,
            seed: 0,
            start_time: None,
            journal_capacity: 1000,
            keep_inputs: false,
            limits: Limits {
                in_flight_standard: 120_000,
                in_flight_fifo: 120_000,
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

    /// Sets the time at which the server's wall clock starts. Default: the system's time.
    ///
    /// With it, two runs with the same [`seed`](Self::seed) have the same timestamps too.
    #[must_use]
    pub fn start_time(mut self, time: SystemTime) -> Self {
        self.start_time = Some(time);
        self
    }

    /// Sets the number of requests that [`crate::LocalSqs::requests`] remembers. Default: 1,000.
    #[must_use]
    pub fn journal_capacity(mut self, requests: usize) -> Self {
        self.journal_capacity = requests;
        self
    }

    /// Sets whether [`crate::LocalSqs::requests`] remembers each request's input, message bodies included. Default:
    /// `false`.
    #[must_use]
    pub fn keep_inputs(mut self, keep: bool) -> Self {
        self.keep_inputs = keep;
        self
    }

    /// Sets the maximum number of messages in flight on a standard and on a FIFO queue. Default: 120,000 for both.
    ///
    /// At the limit, a short poll of a standard queue fails with `OverLimit`. A long poll, and any receive from a FIFO queue,
    /// gets no messages until one in flight is deleted or becomes visible.
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

    /// Sets the address to listen on. Default: a free port of `127.0.0.1`.
    ///
    /// Everybody who can reach the address can use the server.
    #[must_use]
    pub fn address(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// Builds the server without its sockets. `origin` is the start of its URLs.
    pub(crate) fn gateway(self, origin: &str) -> Arc<Gateway> {
        let base_url = self.base_url.unwrap_or_else(|| origin.to_owned());
        let clock = Arc::new(Clock::new(self.start_time));
        let service = Arc::new(Service::new(
            self.region,
            self.account,
            base_url,
            self.limits,
            clock,
            self.seed,
        ));
        let keys = AccessKeys::default();
        self.keys.into_iter().for_each(|key| keys.add(key));
        Arc::new(Gateway {
            actions: Actions::new(service.clone()),
            service,
            keys,
            verify: self.verify,
            only: self.only,
            // A seed of its own, so that fault rules do not change message ids.
            faults: Faults::new(self.seed.wrapping_add(1)),
            journal: Journal::new(self.journal_capacity),
            keep_inputs: self.keep_inputs,
        })
    }
}
