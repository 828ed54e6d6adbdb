use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ClientBuilder;
use crate::client::trace_carrier::TraceCarrier;
use crate::clock::Clock;
use crate::credentials::ProvideCredentials;
use crate::http::reqwest_service::{Proxy, ReqwestService};
use crate::http::service::HttpService;
use crate::http::transport::Carrier;
use crate::protocol::Protocol;
use crate::random::Random;
use crate::retry::RetryPolicy;
use crate::types::OutgoingMessage;

/// The server.
impl ClientBuilder {
    /// Sets the AWS region, such as `eu-west-1`. Requests go to its endpoint and are signed for it.
    ///
    /// Required without an endpoint URL. With one, the region appears only in signatures. Default with an endpoint URL:
    /// `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.endpoint.region = Some(region.into());
        self
    }

    /// Sets the server's URL, such as `http://localhost:9324`. Default: the region's endpoint.
    ///
    /// All requests go to this server, whatever host a queue URL names. [`follow_queue_urls`](Self::follow_queue_urls)
    /// adds exceptions. The client uses plain HTTP only if this URL does.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint.url = Some(url.into());
        self
    }

    /// Selects the region's FIPS 140 validated endpoint. Default: `false`. Not allowed with an endpoint URL.
    pub fn use_fips(mut self, fips: bool) -> Self {
        self.endpoint.fips = fips;
        self
    }

    /// Selects the region's endpoint for both IPv4 and IPv6. Default: `false`. Not allowed with an endpoint URL.
    pub fn use_dual_stack(mut self, dual_stack: bool) -> Self {
        self.endpoint.dual_stack = dual_stack;
        self
    }

    /// Sends each request to the server that the queue's URL names, if that is the endpoint or one of these servers.
    /// Default: all requests go to the endpoint.
    ///
    /// Name the servers as `https://host` or `http://host:port`. Requests to all of them are signed for the client's
    /// region. For any other server, a request fails with [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing
    /// is signed or sent. The default ignores the host, because servers can name unreachable hosts and a queue URL may
    /// come from an untrusted sender.
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

    /// Sets the credentials, or a provider of them. Default:
    /// [`DefaultCredentials`](crate::credentials::DefaultCredentials).
    pub fn credentials(mut self, provider: impl ProvideCredentials) -> Self {
        self.credentials = Arc::new(provider);
        self
    }

    /// Sets the wire protocol. Default: [`Protocol::default`], which is JSON.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }
}

/// Connections, time and memory.
impl ClientBuilder {
    /// Sets when and how often a request is retried. Default: [`RetryPolicy::standard`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Limits the time to connect. Default: [`DEFAULT_CONNECT_TIMEOUT`](Self::DEFAULT_CONNECT_TIMEOUT). Range: above
    /// zero.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Trusts these certificates of private certificate authorities, in addition to the platform's. The PEM text may
    /// contain several. Default: only the platform's certificates.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = pem.into();
        self
    }

    /// Connects through the proxy at this URL, such as `http://user:password@proxy:3128`.
    ///
    /// Default: the proxy of `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, unless `NO_PROXY` exempts the server. By
    /// default, requests to this machine itself use no proxy.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Proxy::Url(url.into());
        self
    }

    /// Connects without a proxy, whatever the environment says. Default: see [`proxy`](Self::proxy).
    pub fn no_proxy(mut self) -> Self {
        self.proxy = Proxy::None;
        self
    }

    /// Sets the HTTP client. Default: a client that this builder's settings describe.
    ///
    /// Its own settings then replace [`connect_timeout`](Self::connect_timeout), [`proxy`](Self::proxy) and
    /// [`root_certificates`](Self::root_certificates). It should neither follow redirects nor retry, because each
    /// attempt must be signed anew. Because it may, [`Error::may_have_been_sent`](crate::Error::may_have_been_sent) is
    /// `true` even if it could not connect. It should close idle connections after about 20 seconds, which is before the
    /// server does.
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
        self.carrier = Some(Carrier::Reqwest(ReqwestService::new(client)));
        self
    }

    /// Sets what carries requests to the server, such as a mock or a server in the process. Default: a
    /// [`ReqwestService`](crate::client::ReqwestService).
    ///
    /// It replaces [`http_client`](Self::http_client), [`connect_timeout`](Self::connect_timeout), [`proxy`](Self::proxy) and
    /// [`root_certificates`](Self::root_certificates). The client still signs, limits the time of, and retries each request.
    /// See [`HttpService`] for an example.
    pub fn http_service(mut self, service: impl HttpService) -> Self {
        self.carrier = Some(Carrier::Service(Arc::new(service)));
        self
    }

    /// Limits the time of one attempt, from the connection to the last byte of the response. Default:
    /// [`DEFAULT_ATTEMPT_TIMEOUT`](Self::DEFAULT_ATTEMPT_TIMEOUT). The wait time of a receive is added to it.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Limits the time of a whole request with its retries and pauses. Default: no limit besides that of each attempt.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = Some(timeout);
        self
    }

    /// Limits the length of a response, in bytes. Default:
    /// [`DEFAULT_MAX_RESPONSE_BYTES`](Self::DEFAULT_MAX_RESPONSE_BYTES). Range: any. A longer response is an error.
    ///
    /// [`MAX_RESPONSE_VALUES`](Self::MAX_RESPONSE_VALUES) limits the number of values separately.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }
}

/// Messages.
impl ClientBuilder {
    /// Sets the maximum size of the batches that the client fills, in bytes as SQS counts them. A longer message gets a
    /// batch of its own. Default: 1 MiB ([`MAX_MESSAGE_BYTES`](crate::limits::MAX_MESSAGE_BYTES)). Range: 1 byte–1 MiB.
    /// A value outside counts as the nearest bound.
    ///
    /// Servers with a lower limit also work without this setting. See [`Batches`](crate::batch::Batches). The setting
    /// avoids the first refused requests.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.max_batch_bytes = bytes;
        self
    }

    /// Enables the comparison of the server's MD5s of bodies and attributes. Default: `true`. Disable it for a server
    /// whose MD5s differ from those of SQS.
    ///
    /// The client compares the MD5 of received message attributes only if the receive requested all of them (`All`).
    /// Some servers send the MD5 of all attributes even if only some were requested.
    pub fn verify_checksums(mut self, verify: bool) -> Self {
        self.verify_checksums = verify;
        self
    }

    /// Adds a hook that may change each message before it is sent, alone or in a batch. Default: none.
    ///
    /// The hook receives the queue's URL and the message, for example to add an attribute. For a batcher that was given the
    /// queue's name, it receives that name. The client then checks and sends the changed message. Hooks run in the order in
    /// which they were added. They do not see messages that a consumer forwards as they were received, such as those for its
    /// poison queue.
    ///
    /// To run code around the handling of messages, use `Consumer::wrap_handler`.
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

    /// Adds the current trace context to each message that is sent. Default: none.
    ///
    /// `current` returns the trace context in the carrier's format, or `None` outside of a trace.
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
}

/// Simulations.
impl ClientBuilder {
    /// Replaces the wall clock that requests are signed with, for simulations. Default: the system's clock.
    ///
    /// If a server refuses a request because the clock is wrong, the client signs with the server's time, up to
    /// [`MAX_CLOCK_OFFSET`](Self::MAX_CLOCK_OFFSET) from this clock.
    pub fn time_source(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Seeds the randomness of pauses and ids, for simulations. Default: a random seed. Range: any.
    ///
    /// Give each client its own seed. Clients with the same seed send the same receive attempt ids, so a FIFO queue
    /// returns the same messages to each of them.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::with_seed(seed);
        self
    }
}
