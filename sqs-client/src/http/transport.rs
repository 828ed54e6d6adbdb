//! The HTTP transport. No file outside this folder uses reqwest's internals or a TLS library.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use reqwest::redirect;
use url::Url;

use crate::error::{Error, root_cause};
use crate::protocol::Response;

pub(crate) use crate::http::tls::TlsConfig;

/// The time after which an idle connection is closed. Load balancers commonly close later, so the client closes first.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum buffer that is allocated at once because of a response's `Content-Length`.
const TRUSTED_LENGTH: usize = 1024 * 1024;

/// The settings of a [`Transport`].
#[derive(Clone, Debug)]
pub(crate) struct TransportConfig {
    pub(crate) http: HttpConfig,
    pub(crate) max_response_bytes: usize,
    /// `true` if any request uses HTTPS.
    pub(crate) https: bool,
    /// `true` if all requests stay on this machine, which no proxy can reach.
    pub(crate) loopback: bool,
}

/// The HTTP client that makes the connections.
#[derive(Clone, Debug)]
pub(crate) enum HttpConfig {
    /// A client with these settings.
    Own {
        connect_timeout: Duration,
        extra_roots: Vec<u8>,
        proxy: Proxy,
    },
    /// The caller's client.
    Given(reqwest::Client),
}

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

#[derive(Clone, Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    /// `true` if the HTTP client is the caller's, which may follow redirects.
    given: bool,
    max_response_bytes: usize,
}

impl Transport {
    pub(crate) fn new(config: TransportConfig) -> Result<Self, Error> {
        let given = matches!(config.http, HttpConfig::Given(_));
        let http = match config.http {
            HttpConfig::Given(http) => http,
            HttpConfig::Own {
                connect_timeout,
                extra_roots,
                proxy,
            } => {
                let tls = TlsConfig {
                    // The connection to the proxy may also use HTTPS.
                    needed: config.https || matches!(proxy, Proxy::Url(_)),
                    extra_roots,
                };
                let builder = builder(&tls)?;
                let builder = match proxy {
                    Proxy::Url(url) => builder.proxy(proxy_of(&url)?),
                    Proxy::Environment if !config.loopback => builder,
                    Proxy::Environment | Proxy::None => builder.no_proxy(),
                };
                own_client(builder, connect_timeout)?
            }
        };
        Ok(Self {
            http,
            given,
            max_response_bytes: config.max_response_bytes,
        })
    }

    /// Sends a POST and reads the whole response within this time.
    pub(crate) async fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Response, Error> {
        let mut request = reqwest::Request::new(Method::POST, url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => {
                let server = shown(&url);
                Err(Error::timeout(format!("no response from {server} within {timeout:?}")).sent(true))
            }
        }
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<Response, Error> {
        let origin = self.given.then(|| request.url().origin());
        let mut response = self.http.execute(request).await.map_err(failed)?;
        if origin.is_some_and(|origin| origin != response.url().origin()) {
            let why = "the given HTTP client followed a redirect to another server; \
                       build it with http_client_builder, which follows none";
            return Err(Error::response(why));
        }
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let body = self.body(response, status).await?;
        Ok(Response { status, headers, body })
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
                let limit = self.max_response_bytes;
                return Err(Error::response(format!(
                    "the response is longer than {limit} bytes; raise ClientBuilder::max_response_bytes"
                ))
                .with_response(status, None));
            }
            body.extend_from_slice(&chunk);
            next = response.chunk().await.map_err(broken)?;
        }
        Ok(body.freeze())
    }
}

/// Converts a failure of the connection. The request may have arrived, unless the connection was never made.
fn failed(error: reqwest::Error) -> Error {
    let server = error.url().map_or_else(|| "the server".to_owned(), shown);
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
    mapped.sent(!unsent).with_source(error)
}

/// Returns a URL for errors: without user name, password, query and fragment, which may be secret.
fn shown(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    format!("{}{path}", url.origin().ascii_serialization())
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
    use super::*;
    use crate::error::ErrorKind;

    async fn post(url: &str) -> Error {
        let config = TransportConfig {
            http: HttpConfig::Own {
                connect_timeout: Duration::from_secs(5),
                extra_roots: Vec::new(),
                proxy: Proxy::None,
            },
            max_response_bytes: 1024,
            https: false,
            loopback: true,
        };
        let (transport, url) = (Transport::new(config).unwrap(), Url::parse(url).unwrap());
        let posted = transport.post(url, HeaderMap::new(), Bytes::new(), Duration::from_secs(5));
        posted.await.unwrap_err()
    }

    #[tokio::test]
    async fn a_connect_error_names_the_server_and_the_root_cause_and_no_secret() {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = post(&format!("http://user:hidden@127.0.0.1:{port}/0/orders?token=hidden")).await;
        assert!(error.kind() == ErrorKind::Transport && !error.may_have_been_sent());
        let text = error.to_string();
        let expected = format!("could not connect to http://127.0.0.1:{port}/0/orders: ");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.to_ascii_lowercase().contains("refused"), "{text}");
        assert!(
            !text.contains("hidden") && !format!("{error:?}").contains("hidden"),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_broken_connection_names_the_server_and_the_root_cause() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || drop(listener.accept()));
        let error = post(&format!("http://{address}/")).await;
        server.join().unwrap();
        let text = error.to_string();
        assert!(
            error.kind() == ErrorKind::Transport && error.may_have_been_sent(),
            "{error:?}"
        );
        assert!(
            text.starts_with(&format!("the connection to http://{address} broke")),
            "{text}"
        );
        assert!(!text.ends_with("arrived: "), "{text}");
    }
}
