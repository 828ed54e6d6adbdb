//! A client's settings and their defaults.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::batch::BatchLimits;
use crate::client::hooks::{SendHooks, TraceCarrier};
use crate::client::{Client, Inner};
use crate::clock::Clock;
use crate::credentials::{CredentialsCache, DefaultCredentials, ProvideCredentials};
use crate::error::Error;
use crate::http::endpoint::{Endpoint, EndpointConfig};
use crate::http::signer::Signer;
use crate::http::transport::{HttpConfig, Proxy, Transport, TransportConfig};
use crate::limits;
use crate::protocol::{Negotiation, Protocol};
use crate::random::Random;
use crate::retry::{RetryPolicy, RetryQuota};
use crate::types::OutgoingMessage;

/// Settings for a [`Client`].
///
/// Required is a region or an endpoint. Credentials are [`DefaultCredentials`] unless given.
///
/// ```
/// use std::time::Duration;
/// use sqs_client::{Client, Credentials, Protocol};
/// use sqs_client::client::RetryPolicy;
///
/// # fn main() -> Result<(), sqs_client::Error> {
/// let client = Client::builder()
///     .endpoint_url("http://localhost:9324")
///     .credentials(Credentials::new("x", "x"))
///     .protocol(Protocol::Query)
///     .retry(RetryPolicy::standard().max_attempts(5))
///     .operation_timeout(Duration::from_secs(60))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    endpoint: EndpointConfig,
    credentials: Arc<dyn ProvideCredentials>,
    protocol: Protocol,
    retry: RetryPolicy,
    connect_timeout: Duration,
    root_certificates: Vec<u8>,
    proxy: Proxy,
    http_client: Option<reqwest::Client>,
    attempt_timeout: Duration,
    operation_timeout: Option<Duration>,
    max_response_bytes: usize,
    verify_checksums: bool,
    max_batch_bytes: usize,
    send_hooks: SendHooks,
    clock: Clock,
    random: Random,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            endpoint: EndpointConfig::default(),
            credentials: Arc::new(DefaultCredentials::new()),
            protocol: Protocol::default(),
            retry: RetryPolicy::standard(),
            connect_timeout: Self::DEFAULT_CONNECT_TIMEOUT,
            root_certificates: Vec::new(),
            proxy: Proxy::default(),
            http_client: None,
            attempt_timeout: Self::DEFAULT_ATTEMPT_TIMEOUT,
            operation_timeout: None,
            max_response_bytes: Self::DEFAULT_MAX_RESPONSE_BYTES,
            verify_checksums: true,
            max_batch_bytes: limits::MAX_MESSAGE_BYTES,
            send_hooks: SendHooks::default(),
            clock: Clock::system(),
            random: Random::new(),
        }
    }
}

impl ClientBuilder {
    /// The largest difference between a server's clock and this machine's that the client corrects: 100 years.
    ///
    /// That is enough for a machine whose clock starts in 1970. A refusal with a `Date` beyond it changes nothing.
    pub const MAX_CLOCK_OFFSET: Duration = crate::clock::MAX_OFFSET;

    /// The default of [`connect_timeout`](Self::connect_timeout): 5 seconds.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// The default of [`attempt_timeout`](Self::attempt_timeout): 30 seconds.
    pub const DEFAULT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

    /// The default of [`max_response_bytes`](Self::max_response_bytes): 64 MiB. That is room for 10 messages of 1 MiB
    /// with every byte escaped as six.
    pub const DEFAULT_MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

    /// The maximum number of values in a response: list elements, map entries and members in JSON, elements in XML.
    ///
    /// It bounds the memory that reading a response takes to 64 MiB beyond a few times the response's length.
    pub const MAX_RESPONSE_VALUES: usize = crate::protocol::MAX_VALUES;

    /// The environment's settings: `AWS_REGION` or `AWS_DEFAULT_REGION`; `AWS_ENDPOINT_URL_SQS` or
    /// `AWS_ENDPOINT_URL`; `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`, `true` or not; [`DefaultCredentials`].
    /// A variable that is empty is not set.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 2]| {
            let mut set = names
                .into_iter()
                .filter_map(|name| variable(name).filter(|value| !value.is_empty()));
            set.next()
        };
        let on = |name| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = EndpointConfig {
            region: first(["AWS_REGION", "AWS_DEFAULT_REGION"]),
            url: first(["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"]),
            fips: on("AWS_USE_FIPS_ENDPOINT"),
            dual_stack: on("AWS_USE_DUALSTACK_ENDPOINT"),
            followed: Vec::new(),
        };
        Self {
            endpoint,
            ..Self::default()
        }
    }

    /// The AWS region, such as `eu-west-1`: where requests go unless an endpoint is given, and what they are signed
    /// for. With an endpoint and no region, `us-east-1` is signed for.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.endpoint.region = Some(region.into());
        self
    }

    /// The server, such as `http://localhost:9324`. All requests go there, whatever host a queue's URL names, unless
    /// [`follow_queue_urls`](Self::follow_queue_urls) says otherwise. Plain HTTP is spoken only where this URL says so.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint.url = Some(url.into());
        self
    }

    /// Whether to use AWS's FIPS 140 validated endpoint of the region; not together with an endpoint URL.
    pub fn use_fips(mut self, fips: bool) -> Self {
        self.endpoint.fips = fips;
        self
    }

    /// Whether to use AWS's endpoint for IPv4 and IPv6 of the region; not together with an endpoint URL.
    pub fn use_dual_stack(mut self, dual_stack: bool) -> Self {
        self.endpoint.dual_stack = dual_stack;
        self
    }

    /// Sends requests about a queue to the server that the queue's URL names, where that is the endpoint or one of
    /// these, given as `https://host` or `http://host:port`. The signing region is the client's for all of them.
    ///
    /// Where this is set, a queue URL of any other server is an error of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is signed or sent. Not following is the default,
    /// as servers can name hosts that cannot be reached, and a queue URL may come from a stranger.
    ///
    /// ```
    /// # fn main() -> Result<(), sqs_client::Error> {
    /// let client = sqs_client::Client::builder()
    ///     .region("eu-west-1")
    ///     .follow_queue_urls(["https://eu-west-1.queue.amazonaws.com"])
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn follow_queue_urls<U: Into<String>>(mut self, servers: impl IntoIterator<Item = U>) -> Self {
        self.endpoint.followed = servers.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the credentials, or a provider of them. Default: [`DefaultCredentials`].
    pub fn credentials(mut self, provider: impl ProvideCredentials) -> Self {
        self.credentials = Arc::new(provider);
        self
    }

    /// Sets the wire protocol. Default: [`Protocol::default`], which is JSON.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets when and how often a request is retried. Default: [`RetryPolicy::standard`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Limits the time to connect. Default: [`DEFAULT_CONNECT_TIMEOUT`](Self::DEFAULT_CONNECT_TIMEOUT).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Trusts these certificates, one or more in PEM, beside the platform's: of a private certificate authority.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = pem.into();
        self
    }

    /// Connects by way of the proxy of this URL, such as `http://user:password@proxy:3128`.
    ///
    /// Unless set, the proxy is that of `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` where `NO_PROXY` does not except the
    /// server; requests to this machine itself then go to none.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Proxy::Url(url.into());
        self
    }

    /// Connects by way of no proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = Proxy::None;
        self
    }

    /// Makes requests by this HTTP client, whose own settings then hold in place of
    /// [`connect_timeout`](Self::connect_timeout), [`proxy`](Self::proxy) and
    /// [`root_certificates`](Self::root_certificates).
    ///
    /// It should neither follow redirects nor retry, as each attempt has to be signed anew, and keep idle connections
    /// for less long than the server does: some 20 seconds.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let http = sqs_client::client::http_client_builder()?
    ///     .retry(reqwest::retry::never())
    ///     .pool_idle_timeout(std::time::Duration::from_secs(20))
    ///     .build()?;
    /// let client = sqs_client::Client::builder().region("eu-west-1").http_client(http).build()?;
    /// # Ok(()) }
    /// ```
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Limits the time of one attempt, from connecting to the last byte of the response. Default:
    /// [`DEFAULT_ATTEMPT_TIMEOUT`](Self::DEFAULT_ATTEMPT_TIMEOUT). The wait time of a receive is added to it.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Limits the time of a whole request with its retries and pauses. Default: no limit but that of the attempts.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = Some(timeout);
        self
    }

    /// Limits the length of a response, in bytes. Default:
    /// [`DEFAULT_MAX_RESPONSE_BYTES`](Self::DEFAULT_MAX_RESPONSE_BYTES). A response of any length may have up to
    /// [`MAX_RESPONSE_VALUES`](Self::MAX_RESPONSE_VALUES) values.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// Sets the maximum number of bytes of a batch of messages that the client fills, as SQS counts them. A message that
    /// is longer travels alone. Default: 1 MiB ([`MAX_MESSAGE_BYTES`](crate::limits::MAX_MESSAGE_BYTES)). Range: up to
    /// that.
    ///
    /// Servers that limit a batch to less work without this setting: see [`Batches`](crate::batch::Batches). It saves the
    /// requests that they refuse at first.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.max_batch_bytes = bytes;
        self
    }

    /// Sets whether to compare the server's MD5s of bodies and attributes. Default: `true`. Turn it off for a server that
    /// computes them differently from SQS.
    ///
    /// The MD5 of received message attributes is compared only where all of them were requested (`All`), because some
    /// servers send that of all attributes although only some were requested.
    pub fn verify_checksums(mut self, verify: bool) -> Self {
        self.verify_checksums = verify;
        self
    }

    /// Calls this with every message before it is sent, alone or in a batch, and the queue's URL: to add an attribute,
    /// for one. What it leaves is checked and sent. Hooks are called in the order in which they were added. They do not see
    /// messages that a consumer sends on as they were received, such as those for its poison queue.
    ///
    /// What should be around the handling of messages goes to `Consumer::wrap_handler`.
    ///
    /// ```
    /// # fn main() -> Result<(), sqs_client::Error> {
    /// let client = sqs_client::Client::builder()
    ///     .region("eu-west-1")
    ///     .on_send(|_queue_url, message| {
    ///         message.message_attributes.insert("tenant".to_owned(), "a".into());
    ///     })
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn on_send(mut self, hook: impl Fn(&str, &mut OutgoingMessage) + Send + Sync + 'static) -> Self {
        self.send_hooks.add(hook);
        self
    }

    /// Names the current trace in every message that is sent: `current` is asked for it, in the carrier's form.
    ///
    /// ```
    /// # fn current_traceparent() -> Option<String> { None }
    /// # fn main() -> Result<(), sqs_client::Error> {
    /// use sqs_client::Client;
    /// use sqs_client::client::TraceCarrier;
    ///
    /// let carrier = TraceCarrier::MessageAttribute("traceparent".into());
    /// let client = Client::builder().region("eu-west-1").propagate_trace(carrier, current_traceparent).build()?;
    /// # Ok(()) }
    /// ```
    pub fn propagate_trace(
        self,
        carrier: TraceCarrier,
        current: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.on_send(move |_, message| {
            if let Some(context) = current() {
                carrier.inject(message, context);
            }
        })
    }

    /// Replaces the wall clock that requests are signed with, for simulations. Default: the system's clock.
    ///
    /// After a refusal that says that the clock is off, the client signs with the server's time, up to
    /// [`MAX_CLOCK_OFFSET`](Self::MAX_CLOCK_OFFSET) from this clock.
    pub fn time_source(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Seeds all randomness, of pauses and of ids, for simulations: two clients of one seed ask for the same messages of a
    /// FIFO queue.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::with_seed(seed);
        self
    }

    /// Builds the client. Nothing is sent, and credentials are asked for on the first request.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) where neither region nor endpoint is set; one of them, the
    /// proxy or a certificate is not well-formed; or TLS cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let endpoint = Endpoint::resolve(self.endpoint)?;
        let http = match self.http_client {
            Some(client) => HttpConfig::Given(client),
            None => HttpConfig::Own {
                connect_timeout: self.connect_timeout,
                extra_roots: self.root_certificates,
                proxy: self.proxy,
            },
        };
        let transport = Transport::new(TransportConfig {
            http,
            max_response_bytes: self.max_response_bytes,
            https: endpoint.uses_https(),
            loopback: endpoint.is_loopback(),
        })?;
        // Clients of one builder may have servers whose clocks differ.
        let clock = self.clock.uncorrected();
        Ok(Client::new(Inner {
            signer: Signer::new(endpoint.region()),
            endpoint,
            protocol: Negotiation::new(self.protocol),
            credentials: CredentialsCache::with_clock(self.credentials, clock.clone()),
            transport,
            retry: self.retry,
            quota: RetryQuota::default(),
            clock,
            random: self.random,
            attempt_timeout: self.attempt_timeout,
            operation_timeout: self.operation_timeout,
            verify_checksums: self.verify_checksums,
            send_hooks: self.send_hooks,
            batch_limits: BatchLimits::new(self.max_batch_bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_more_specific_variable_wins() {
        let builder = ClientBuilder::from_variables(|name| {
            let value = match name {
                "AWS_REGION" => "",
                "AWS_DEFAULT_REGION" => "eu-west-1",
                "AWS_ENDPOINT_URL_SQS" => "http://sqs",
                "AWS_ENDPOINT_URL" => "http://all",
                _ => return None,
            };
            Some(value.to_owned())
        });
        assert_eq!(builder.endpoint.region.as_deref(), Some("eu-west-1"));
        assert_eq!(builder.endpoint.url.as_deref(), Some("http://sqs"));
    }

    #[test]
    fn the_builder_shows_no_secret() {
        let builder = ClientBuilder::default().credentials(crate::Credentials::new("AKID", "hidden"));
        assert!(!format!("{builder:?}").contains("hidden"));
        let client = builder.region("us-east-1").build().unwrap();
        assert!(!format!("{client:?}").contains("hidden"));
    }
}
