//! HTTP: this file and its folder are the only ones that know reqwest and TLS libraries.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use reqwest::redirect;
use url::Url;

use crate::error::Error;
use crate::protocol::Answer;

pub(crate) use crate::http::tls::TlsConfig;

/// How long an idle connection is kept: less than load balancers commonly do, so that it is ours to close.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of an answer is set aside at once on the word of its `Content-Length`.
const TRUSTED_LENGTH: usize = 1024 * 1024;

/// Settings of a [`Transport`].
#[derive(Clone, Debug)]
pub(crate) struct TransportConfig {
    pub(crate) http: HttpConfig,
    pub(crate) max_response_bytes: usize,
    /// Whether any request goes by HTTPS.
    pub(crate) https: bool,
    /// Whether all requests stay on this machine, where no proxy leads to.
    pub(crate) loopback: bool,
}

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) enum HttpConfig {
    /// By an HTTP client of ours.
    Own {
        connect_timeout: Duration,
        extra_roots: Vec<u8>,
        proxy: Proxy,
    },
    /// By the caller's.
    Given(reqwest::Client),
}

/// By way of what connections are made.
#[derive(Clone, Default)]
pub(crate) enum Proxy {
    /// What the environment says.
    #[default]
    Environment,
    /// Of this URL.
    Url(String),
    None,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            // The URL may hold a password.
            Self::Url(_) => "Url(_)",
            Self::None => "None",
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    /// The client is the caller's, which may follow redirects.
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
                    // The proxy, too, may be reached by HTTPS.
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

    /// Sends a POST and reads the whole answer, within this time.
    pub(crate) async fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, Error> {
        let mut request = reqwest::Request::new(Method::POST, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(Error::timeout(format!("no answer within {timeout:?}")).sent(true)),
        }
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<Answer, Error> {
        let asked = self.given.then(|| request.url().origin());
        let mut response = self.http.execute(request).await.map_err(failed)?;
        if asked.is_some_and(|asked| asked != response.url().origin()) {
            let why = "the HTTP client that was given followed a redirect to another server; \
                       build it with http_client_builder, which follows none";
            return Err(Error::response(why));
        }
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let body = self.body(response, status).await?;
        Ok(Answer { status, headers, body })
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
                return Err(
                    Error::response(format!("the answer is longer than {limit} bytes")).with_response(status, None)
                );
            }
            body.extend_from_slice(&chunk);
            next = response.chunk().await.map_err(broken)?;
        }
        Ok(body.freeze())
    }
}

/// A failure of the connection. Unless it was never made, the request may have arrived.
fn failed(error: reqwest::Error) -> Error {
    let unsent = error.is_connect() || error.is_builder();
    let mapped = if error.is_timeout() && unsent {
        Error::timeout("the server could not be connected to in time")
    } else if unsent {
        Error::transport("the server could not be connected to")
    } else {
        Error::transport("the connection broke before the whole answer was here")
    };
    // The URL may name an account; the endpoint is known to the caller.
    mapped.sent(!unsent).with_source(error.without_url())
}

fn own_client(builder: reqwest::ClientBuilder, connect_timeout: Duration) -> Result<reqwest::Client, Error> {
    builder
        // SQS speaks HTTP/1.1; retries are the client's own matter, as each attempt is signed anew.
        .http1_only()
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .user_agent(concat!("sqs-client/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::configuration("the HTTP client cannot be built").with_source(error))
}

fn proxy_of(url: &str) -> Result<reqwest::Proxy, Error> {
    // Neither the URL nor reqwest's error is shown: there may be a password in it.
    reqwest::Proxy::all(url).map_err(|_| Error::configuration("the proxy's URL is not well-formed"))
}

/// A builder of clients that follow no redirect. What they send is signed or secret, and another host must not get it:
/// reqwest takes `Authorization` out of a request that it redirects, but no `X-Amz-Security-Token`.
fn builder(tls: &TlsConfig) -> Result<reqwest::ClientBuilder, Error> {
    let builder = crate::http::tls::client_builder(tls)?;
    Ok(builder.redirect(redirect::Policy::none()).referer(false))
}

/// Returns a builder of HTTP clients with this crate's TLS: that of the crate's features, with the platform's
/// certificates. The clients follow no redirects.
///
/// It is for other connections of the same program, such as to an object store, so that it has one TLS stack.
///
/// # Errors
///
/// [`Configuration`](crate::ErrorKind::Configuration) where TLS cannot be set up.
pub fn http_client_builder() -> Result<reqwest::ClientBuilder, Error> {
    builder(&TlsConfig {
        needed: true,
        ..TlsConfig::default()
    })
}

/// An HTTP client for sources of credentials.
#[cfg(feature = "aws-config")]
pub(crate) fn credentials_client(
    settings: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, Error> {
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
    own_client(settings(http_client_builder()?), CONNECT_TIMEOUT)
}
