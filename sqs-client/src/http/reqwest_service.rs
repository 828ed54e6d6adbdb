//! The default [`HttpService`]: reqwest with this crate's TLS. No other file uses reqwest's requests.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use reqwest::redirect;

use crate::error::{Error, root_cause};
use crate::http::endpoint::shown;
use crate::http::service::{HttpFuture, HttpService};
use crate::http::tls::TlsConfig;

/// The time after which an idle connection is closed. Load balancers commonly close later, so the client closes first.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum buffer that is allocated at once because of a response's `Content-Length`.
const TRUSTED_LENGTH: usize = 1024 * 1024;

const FOLLOWED_A_REDIRECT: &str = "the given HTTP client followed a redirect to another server; \
                                   build it with http_client_builder, which follows none";
const REFUSED_A_REDIRECT: &str = "the given HTTP client refused a redirect, perhaps after it followed others; \
                                  build it with http_client_builder, which follows none";

/// The proxy of connections.
#[derive(Clone, Default)]
pub(crate) enum Proxy {
    /// The proxy that the environment names, if any.
    #[default]
    Environment,
    /// The proxy at this URL.
    Url(String),
    None,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            // The URL may contain a password.
            Self::Url(_) => "Url(_)",
            Self::None => "None",
        })
    }
}

/// The settings of a client that the crate builds itself.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionConfig {
    pub(crate) connect_timeout: Duration,
    pub(crate) extra_roots: Vec<u8>,
    pub(crate) proxy: Proxy,
    /// `true` if any request uses HTTPS.
    pub(crate) https: bool,
    /// `true` if all requests stay on this machine, which no proxy can reach.
    pub(crate) loopback: bool,
}

/// Sends requests with a [`reqwest::Client`].
///
/// The client uses it by default. Create one to put a service of your own around it.
///
/// ```
/// use bytes::Bytes;
/// use sqs_client::Client;
/// use sqs_client::client::{HttpFuture, HttpService, ReqwestService, http_client_builder};
///
/// #[derive(Debug)]
/// struct Logged(ReqwestService);
///
/// impl HttpService for Logged {
///     fn call(&self, request: http::Request<Bytes>) -> HttpFuture<'_> {
///         println!("{} {}", request.method(), request.uri());
///         self.0.call(request)
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let http = ReqwestService::new(http_client_builder()?.build()?);
/// let client = Client::builder().region("eu-west-1").http_service(Logged(http)).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestService {
    http: reqwest::Client,
    /// `true` if the HTTP client is the caller's, which may follow redirects.
    given: bool,
    max_response_bytes: usize,
}

impl ReqwestService {
    /// The default of [`max_response_bytes`](Self::max_response_bytes): 64 MiB.
    pub(crate) const DEFAULT_MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

    /// Creates a service from an HTTP client. [`http_client_builder`] builds a suitable one.
    ///
    /// The HTTP client should neither follow redirects nor retry. See
    /// [`ClientBuilder::http_client`](crate::ClientBuilder::http_client). Because it may, a request counts as possibly sent
    /// even if it could not connect.
    #[must_use]
    pub fn new(http: reqwest::Client) -> Self {
        Self {
            http,
            given: true,
            max_response_bytes: Self::DEFAULT_MAX_RESPONSE_BYTES,
        }
    }

    /// Limits the length of a response, in bytes, while it is read. Default: 64 MiB. Range: any. A longer response is an
    /// error.
    #[must_use]
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// Builds the HTTP client that these settings describe.
    pub(crate) fn own(config: ConnectionConfig) -> Result<Self, Error> {
        let tls = TlsConfig {
            // The connection to the proxy may also use HTTPS.
            needed: config.https || matches!(config.proxy, Proxy::Url(_)),
            extra_roots: config.extra_roots,
        };
        let builder = builder(&tls)?;
        let builder = match config.proxy {
            Proxy::Url(url) => builder.proxy(proxy_of(&url)?),
            Proxy::Environment if !config.loopback => builder,
            Proxy::Environment | Proxy::None => builder.no_proxy(),
        };
        Ok(Self {
            given: false,
            ..Self::new(own_client(builder, config.connect_timeout)?)
        })
    }

    pub(super) async fn exchange(&self, request: reqwest::Request) -> Result<Response<Bytes>, Error> {
        let origin = self.given.then(|| request.url().origin());
        let executed = self.http.execute(request).await;
        let mut response = match &origin {
            Some(origin) => executed.map_err(|error| failed_with_given_client(error, origin))?,
            None => executed.map_err(failed)?,
        };
        if origin.is_some_and(|origin| origin != response.url().origin()) {
            return Err(Error::response(FOLLOWED_A_REDIRECT));
        }
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut whole = Response::new(self.body(response, status.as_u16()).await?);
        *whole.status_mut() = status;
        *whole.headers_mut() = headers;
        Ok(whole)
    }

    async fn body(&self, mut response: reqwest::Response, status: u16) -> Result<Bytes, Error> {
        let length = response
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        let broken = |error| failed(error).sent(true).with_response(status, None);
        let Some(first) = response.chunk().await.map_err(broken)? else {
            return Ok(Bytes::new());
        };
        if length == Some(first.len()) && first.len() <= self.max_response_bytes {
            return Ok(first);
        }
        let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(TRUSTED_LENGTH).max(first.len()));
        let mut next = Some(first);
        while let Some(chunk) = next {
            if body.len() + chunk.len() > self.max_response_bytes {
                return Err(Error::response_too_long(self.max_response_bytes).with_response(status, None));
            }
            body.extend_from_slice(&chunk);
            next = response.chunk().await.map_err(broken)?;
        }
        Ok(body.freeze())
    }
}

impl HttpService for ReqwestService {
    fn call(&self, request: Request<Bytes>) -> HttpFuture<'_> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(failed)?;
            self.exchange(request).await
        })
    }
}

/// Converts a failure of the connection. The request may have arrived, unless the connection was never made.
fn failed(error: reqwest::Error) -> Error {
    let server = error.url().map_or_else(|| "the server".to_owned(), shown);
    let unsent = error.is_connect() || error.is_builder();
    failed_at(&server, error).sent(!unsent)
}

/// Converts a failure of the caller's client, which may follow redirects and retry by itself. Whatever its last attempt
/// says, an earlier one may have arrived. After a redirect, reqwest's error still has the URL of the first request.
fn failed_with_given_client(error: reqwest::Error, origin: &url::Origin) -> Error {
    if error.is_redirect() {
        return Error::response(REFUSED_A_REDIRECT).with_source(error.without_url());
    }
    if error.url().is_some_and(|url| url.origin() != *origin) {
        return Error::response(FOLLOWED_A_REDIRECT).with_source(error.without_url());
    }
    let server = error.url().map_or_else(|| "the server".to_owned(), shown);
    let server = format!("{server} (or to a server that it redirected to)");
    failed_at(&server, error).sent(true)
}

fn failed_at(server: &str, error: reqwest::Error) -> Error {
    let unsent = error.is_connect() || error.is_builder();
    let timed_out = error.is_timeout();
    // reqwest's own text has the URL with its query.
    let error = error.without_url();
    let cause = root_cause(&error);
    let mapped = match (unsent, timed_out) {
        (true, true) => Error::timeout(format!("could not connect to {server} in time: {cause}")),
        (true, false) => Error::transport(format!("could not connect to {server}: {cause}")),
        (false, _) => Error::transport(format!(
            "the connection to {server} broke before the whole response arrived: {cause}"
        )),
    };
    mapped.with_source(error)
}

fn own_client(builder: reqwest::ClientBuilder, connect_timeout: Duration) -> Result<reqwest::Client, Error> {
    builder
        // SQS uses HTTP/1.1. The crate retries itself, because each attempt must be signed anew.
        .http1_only()
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .user_agent(concat!("sqs-client/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::configuration("the HTTP client could not be built").with_source(error))
}

fn proxy_of(url: &str) -> Result<reqwest::Proxy, Error> {
    // Neither the URL nor reqwest's error is shown, because either may contain a password.
    reqwest::Proxy::all(url).map_err(|_| {
        Error::configuration("the proxy's URL is malformed; it should look like http://user:password@proxy:3128")
    })
}

/// Returns a builder of clients that follow no redirects. Another host must not receive a signed request: reqwest removes
/// `Authorization` from a request that it redirects, but not `X-Amz-Security-Token`.
fn builder(tls: &TlsConfig) -> Result<reqwest::ClientBuilder, Error> {
    let builder = crate::http::tls::client_builder(tls)?;
    Ok(builder.redirect(redirect::Policy::none()).referer(false))
}

/// Returns a builder of HTTP clients with this crate's TLS, which trust the platform's certificates and follow no
/// redirects.
///
/// Use it for other connections of the same program, such as to an object store, so that the program has one TLS stack.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let http = sqs_client::client::http_client_builder()?.build()?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`Configuration`](crate::ErrorKind::Configuration) if TLS cannot be set up.
pub fn http_client_builder() -> Result<reqwest::ClientBuilder, Error> {
    builder(&TlsConfig {
        needed: true,
        ..TlsConfig::default()
    })
}

/// Builds an HTTP client for sources of credentials.
#[cfg(feature = "aws-config")]
pub(crate) fn credentials_client(
    settings: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, Error> {
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
    own_client(settings(http_client_builder()?), CONNECT_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;
    use crate::error::ErrorKind;

    /// Reads one request, and sends this response before it closes the connection.
    fn server(response: String) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/0/q", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            assert!(connection.read(&mut [0; 4096]).unwrap() > 0);
            connection.write_all(response.as_bytes()).unwrap();
        });
        (url, served)
    }

    fn redirect_to(url: &str) -> String {
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {url}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    }

    fn unreachable() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/0/q", listener.local_addr().unwrap())
    }

    async fn post(policy: redirect::Policy, url: &str) -> Error {
        let http = http_client_builder().unwrap().redirect(policy).no_proxy();
        let service = ReqwestService::new(http.build().unwrap());
        let request = Request::post(url).body(Bytes::from_static(b"{}")).unwrap();
        service.call(request).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_redirect_to_a_server_that_cannot_be_reached_may_have_been_sent_to_the_first_one() {
        let (url, first) = server(redirect_to(&unreachable()));
        let error = post(redirect::Policy::default(), &url).await;
        first.join().unwrap();
        assert!(error.may_have_been_sent(), "{error:?}");
        assert!(error.to_string().contains("redirected to"), "{error}");
    }

    #[tokio::test]
    async fn a_redirect_to_a_server_that_breaks_the_connection_is_not_blamed_on_the_first_one() {
        let (other, second) = server(String::new());
        let (url, first) = server(redirect_to(&other));
        let error = post(redirect::Policy::default(), &url).await;
        first.join().unwrap();
        second.join().unwrap();
        assert!(error.may_have_been_sent(), "{error:?}");
        assert!(error.to_string().contains("redirected to"), "{error}");
    }

    #[tokio::test]
    async fn a_redirect_that_the_clients_policy_or_scheme_refuses_is_named_and_not_retried() {
        for (policy, location, expected) in [
            (redirect::Policy::limited(0), unreachable(), "refused a redirect"),
            (
                redirect::Policy::custom(|attempt| attempt.error("no")),
                unreachable(),
                "refused a redirect",
            ),
            (
                redirect::Policy::default(),
                "ftp://example.com/".to_owned(),
                "followed a redirect to another server",
            ),
        ] {
            let (url, first) = server(redirect_to(&location));
            let error = post(policy, &url).await;
            first.join().unwrap();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.kind(), ErrorKind::Response);
            assert!(error.may_have_been_sent() && !error.is_retryable(), "{error:?}");
        }
    }
}
