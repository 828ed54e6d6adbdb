//! A client's settings and their defaults.

mod settings;

use std::sync::Arc;
use std::time::Duration;

use crate::action::SendHooks;
use crate::client::batch_limit::BatchLimits;
use crate::client::handle::{Client, Inner};
use crate::clock::Clock;
use crate::credentials::{CredentialsCache, DefaultCredentials, ProvideCredentials};
use crate::error::Error;
use crate::http::endpoint::{Endpoint, EndpointConfig};
use crate::http::reqwest_service::{ConnectionConfig, Proxy, ReqwestService};
use crate::http::signer::Signer;
use crate::http::transport::{Carrier, Transport};
use crate::limits;
use crate::protocol::{Negotiation, Protocol};
use crate::random::Random;
use crate::retry::{RetryPolicy, RetryQuota};

/// The settings of a [`Client`].
///
/// Requires a region or an endpoint. Reads credentials from [`DefaultCredentials`] by default.
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
    /// `None` for the client that the other settings describe.
    carrier: Option<Carrier>,
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
            carrier: None,
            attempt_timeout: Self::DEFAULT_ATTEMPT_TIMEOUT,
            operation_timeout: None,
            max_response_bytes: Self::DEFAULT_MAX_RESPONSE_BYTES,
            verify_checksums: true,
            max_batch_bytes: limits::MAX_MESSAGE_BYTES,
            send_hooks: SendHooks::default(),
            clock: Clock::system(),
            random: Random::default(),
        }
    }
}

impl ClientBuilder {
    /// The maximum clock difference between server and this machine that the client corrects: 100 years.
    ///
    /// That is enough for a machine whose clock starts in 1970. The client ignores a `Date` that is further away.
    pub const MAX_CLOCK_OFFSET: Duration = crate::clock::MAX_OFFSET;

    /// The default of [`connect_timeout`](Self::connect_timeout): 5 seconds.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// The default of [`attempt_timeout`](Self::attempt_timeout): 30 seconds.
    pub const DEFAULT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

    /// The default of [`max_response_bytes`](Self::max_response_bytes): 64 MiB. That fits 10 messages of 1 MiB, even if
    /// each byte is escaped as six.
    pub const DEFAULT_MAX_RESPONSE_BYTES: usize = ReqwestService::DEFAULT_MAX_RESPONSE_BYTES;

    /// The maximum number of values in a response: list elements, map entries and members in JSON, elements in XML.
    ///
    /// It limits the memory for reading a response to 64 MiB beyond a few times the response's length. JSON of up to 1
    /// MiB is not counted, because it can never exceed that memory.
    pub const MAX_RESPONSE_VALUES: usize = crate::protocol::MAX_VALUES;

    /// Reads the settings from the environment. An empty variable counts as not set.
    ///
    /// * Region: `AWS_REGION` or `AWS_DEFAULT_REGION`.
    /// * Endpoint: `AWS_ENDPOINT_URL_SQS` or `AWS_ENDPOINT_URL`.
    /// * AWS's endpoint variants: `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`. The value `true` enables
    ///   them.
    /// * Credentials: [`DefaultCredentials`].
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 2]| {
            let mut values = names
                .into_iter()
                .filter_map(|name| variable(name).filter(|value| !value.is_empty()));
            values.next()
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

    /// Builds the client. It sends nothing, and fetches credentials on the first request.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) if neither region nor endpoint is set, or if TLS cannot be
    /// set up. The same applies if one of the URLs or certificates is malformed.
    pub fn build(self) -> Result<Client, Error> {
        let endpoint = Endpoint::resolve(self.endpoint)?;
        let carrier = match self.carrier {
            Some(given) => given,
            None => Carrier::Reqwest(ReqwestService::own(ConnectionConfig {
                connect_timeout: self.connect_timeout,
                extra_roots: self.root_certificates,
                proxy: self.proxy,
                https: endpoint.uses_https(),
                loopback: endpoint.is_loopback(),
            })?),
        };
        // The servers of one builder's clients may have different clocks.
        let clock = self.clock.uncorrected();
        Ok(Client::new(Inner {
            signer: Signer::new(endpoint.region()),
            endpoint,
            protocol: Negotiation::new(self.protocol),
            credentials: CredentialsCache::with_clock(self.credentials, clock.clone()),
            transport: Transport::new(carrier, self.max_response_bytes),
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

impl Client {
    /// Returns a builder with the default settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Builds a client with the environment's settings: see [`ClientBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) if neither region nor endpoint is set, or if one of them is
    /// malformed. Missing credentials fail the first request.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env().build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_specific_environment_variable_wins() {
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
    fn debug_of_builder_and_client_shows_no_secret() {
        let builder = ClientBuilder::default().credentials(crate::Credentials::new("AKID", "hidden"));
        assert!(!format!("{builder:?}").contains("hidden"));
        let client = builder.region("us-east-1").build().unwrap();
        assert!(!format!("{client:?}").contains("hidden"));
    }
}
