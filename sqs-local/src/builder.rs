//! The settings of a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use crate::actions::Actions;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::http::auth::{AccessKey, AccessKeys};
use crate::http::gateway::Gateway;
use crate::http::request::Reader;
use crate::journal::Journal;
use crate::memory::Memory;
use crate::protocol::{Protocol, Strictness};
use crate::service::{Limits, Service};

/// The access key id that a server always accepts.
pub const ACCESS_KEY_ID: &str = "test";
/// The secret of [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "test";
/// The region of a server whose builder was given no other.
pub const DEFAULT_REGION: &str = "us-east-1";
/// The account of a server whose builder was given no other.
pub const DEFAULT_ACCOUNT: &str = "000000000000";
/// The maximum memory of all messages in bytes, if the builder was given no other: 1 GiB.
pub const DEFAULT_MAX_MEMORY: usize = 1024 * 1024 * 1024;

/// AWS's time between two purges, and between the deletion of a queue and its creation.
const AWS_DELAY: Duration = Duration::from_secs(60);

/// The settings of a [`LocalSqs`](crate::LocalSqs). Defaults are AWS's where AWS has one, except that a program needs no
/// valid signature and never waits for a purge. [`Builder::strict`] changes that.
///
/// # Accounts and regions
///
/// Every access key and every region is accepted. Each account has its own queues in each region.
///
/// - The region is the one that the request is signed for, or [`Builder::region`] if it is not signed.
/// - The account is the one in the request's queue URL. Without a URL, it is the access key id if that has 12 digits, as in
///   LocalStack and moto, and otherwise [`Builder::account`].
///
/// A queue URL contains the account, but not the region. It starts with the address by which the client reached the server.
///
/// # Limits
///
/// The memory of messages is bounded by [`Builder::max_memory`]. Besides the settings below, these limits are fixed:
///
/// - [`MAX_QUEUES`](crate::MAX_QUEUES) queues, in [`MAX_REALMS`](crate::MAX_REALMS) pairs of account and region. More are
///   refused with `OverLimit`.
/// - [`MAX_FAULTS`](crate::MAX_FAULTS) fault rules.
/// - [`MAX_JOURNAL_BYTES`](crate::MAX_JOURNAL_BYTES) of remembered requests.
/// - [`MAX_CONNECTIONS`](crate::MAX_CONNECTIONS) open connections, with [`MAX_HEAD`](crate::MAX_HEAD) bytes of headers and
///   [`MAX_BODY`](crate::MAX_BODY) bytes of body in each request. While a body is parsed, it may occupy up to 20 times its
///   length, which `max_memory` does not count.
#[derive(Debug)]
pub struct Builder {
    region: String,
    account: String,
    pub(crate) address: SocketAddr,
    base_url: Option<String>,
    keys: Vec<AccessKey>,
    strict: bool,
    verify: Option<bool>,
    purge_interval: Option<Duration>,
    recreate_delay: Option<Duration>,
    only: Option<Protocol>,
    seed: u64,
    start_time: Option<SystemTime>,
    journal_capacity: usize,
    keep_inputs: bool,
    in_flight: (usize, usize),
    batch_bytes: usize,
    min_retention: Duration,
    max_memory: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            region: DEFAULT_REGION.into(),
            account: DEFAULT_ACCOUNT.into(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            base_url: None,
            keys: vec![AccessKey::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY)],
            strict: false,
            verify: None,
            purge_interval: None,
            recreate_delay: None,
            only: None,
            seed: 0,
            start_time: None,
            journal_capacity: 1000,
            keep_inputs: false,
            in_flight: (120_000, 120_000),
            batch_bytes: 1_048_576,
            min_retention: Duration::from_secs(60),
            max_memory: DEFAULT_MAX_MEMORY,
        }
    }
}

impl Builder {
    /// Sets the region of requests that are not signed, and of [`LocalSqs`](crate::LocalSqs)'s own methods. Default:
    /// [`DEFAULT_REGION`].
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Sets the account of requests that name no other, and of [`LocalSqs`](crate::LocalSqs)'s own methods. Default:
    /// [`DEFAULT_ACCOUNT`].
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// Sets the start of returned queue URLs, such as `http://sqs.example:9324`. Default: the address by which the client
    /// reached the server, which its `Host` header tells.
    #[must_use]
    pub fn queue_url_base(mut self, base: impl Into<String>) -> Self {
        self.base_url = Some(base.into());
        self
    }

    /// Adds an access key besides [`ACCESS_KEY_ID`]. Only a server that [verifies signatures](Self::verify_signatures)
    /// needs to know keys.
    #[must_use]
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets whether the server is as strict as AWS or stricter, to find a program's mistakes. Default: `false`.
    ///
    /// A strict server verifies signatures, which must be of a known key and for [`Builder::region`]. It refuses members that
    /// are not in the service's model. It has AWS's purge interval and recreate delay of 60 seconds. Settings of their own
    /// take precedence, in any order.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let server = sqs_local::LocalSqs::builder()
    ///     .strict(true)
    ///     .recreate_delay(Duration::ZERO)
    ///     .start()
    ///     .await?;
    /// server.client()?.list_queues().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Sets whether signatures are verified. Default: `true` for a [strict](Self::strict) server, otherwise `false`.
    ///
    /// A verified signature must be of a known key and for [`Builder::region`].
    #[must_use]
    pub fn verify_signatures(mut self, verify: bool) -> Self {
        self.verify = Some(verify);
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

    /// Sets the number of requests that [`crate::LocalSqs::requests`] remembers, of
    /// [`MAX_JOURNAL_BYTES`](crate::MAX_JOURNAL_BYTES) in total. Default: 1,000.
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
        self.in_flight = (standard, fifo);
        self
    }

    /// Sets the time after a purge during which another is refused. Default: zero, or 60 seconds for a
    /// [strict](Self::strict) server.
    #[must_use]
    pub fn purge_interval(mut self, interval: Duration) -> Self {
        self.purge_interval = Some(interval);
        self
    }

    /// Sets the time for which a deleted queue's name stays taken. Default: zero, or 60 seconds for a
    /// [strict](Self::strict) server.
    #[must_use]
    pub fn recreate_delay(mut self, delay: Duration) -> Self {
        self.recreate_delay = Some(delay);
        self
    }

    /// Sets the minimum of the attribute `MessageRetentionPeriod`, in whole seconds. Default: 60 seconds. Range: from 1
    /// second.
    ///
    /// A shorter one lets a test see a message expire.
    #[must_use]
    pub fn min_retention(mut self, period: Duration) -> Self {
        self.min_retention = period.max(Duration::from_secs(1));
        self
    }

    /// Sets the maximum memory of all messages in bytes. Default: [`DEFAULT_MAX_MEMORY`].
    ///
    /// A message counts with its body, its attributes and [`MESSAGE_OVERHEAD_BYTES`](crate::MESSAGE_OVERHEAD_BYTES). A
    /// deduplication id and a remembered receive attempt count with
    /// [`DEDUPLICATION_ID_BYTES`](crate::DEDUPLICATION_ID_BYTES) each. A message for which there is no
    /// room is refused with `OverLimit`. Deleted, purged and expired messages make room.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = sqs_local::LocalSqs::builder().max_memory(4096).start().await?;
    /// let queue = server.create_queue("orders")?;
    /// let refused = server.client()?.send_message(&queue, "x".repeat(4096)).await;
    /// assert!(refused.is_err());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = bytes;
        self
    }

    /// Sets the maximum total size of a batch's messages in bytes. Default: 1,048,576.
    #[must_use]
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
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
        let (in_flight_standard, in_flight_fifo) = self.in_flight;
        let delay = if self.strict { AWS_DELAY } else { Duration::ZERO };
        let limits = Limits {
            in_flight_standard,
            in_flight_fifo,
            purge_interval: self.purge_interval.unwrap_or(delay),
            recreate_delay: self.recreate_delay.unwrap_or(delay),
            batch_bytes: self.batch_bytes,
            min_retention: self.min_retention,
        };
        let follows_host = self.base_url.is_none();
        let service = Service::new(
            self.region,
            self.account,
            self.base_url.unwrap_or_else(|| origin.to_owned()),
            limits,
            Clock::new(self.start_time),
            Memory::new(self.max_memory),
            self.seed,
        );
        let keys = AccessKeys::default();
        self.keys.into_iter().for_each(|key| keys.add(key));
        Arc::new(Gateway {
            service: Arc::new(service),
            actions: Actions::default(),
            keys,
            verify: self.verify.unwrap_or(self.strict),
            reader: Reader {
                only: self.only,
                strictness: match self.strict {
                    true => Strictness::Strict,
                    false => Strictness::Lenient,
                },
            },
            follows_host,
            // A seed of its own, so that fault rules do not change message ids.
            faults: Faults::new(self.seed.wrapping_add(1)),
            journal: Journal::new(self.journal_capacity, self.keep_inputs),
            stopped: AtomicBool::new(false),
        })
    }
}
