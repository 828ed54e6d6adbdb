//! HTTP: the only file that knows reqwest and rustls.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use reqwest::redirect;
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::BuilderVerifierExt as _;
use url::Url;

use crate::error::Error;
use crate::protocol::Answer;

/// How long an idle connection is kept: less than load balancers commonly do, so that it is ours to close.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of an answer is set aside at once on the word of its `Content-Length`.
const TRUSTED_LENGTH: usize = 1024 * 1024;

/// Settings of a [`Transport`].
#[derive(Clone, Debug)]
pub(crate) struct TransportConfig {
    pub(crate) connect_timeout: Duration,
    pub(crate) max_response_bytes: usize,
    /// Whether the endpoint is HTTPS; without it, no certificates are loaded.
    pub(crate) tls: bool,
    /// Whether the endpoint is this machine, which no proxy leads to.
    pub(crate) loopback: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    max_response_bytes: usize,
}

impl Transport {
    pub(crate) fn new(config: &TransportConfig) -> Result<Self, Error> {
        let builder = builder(config.tls)?;
        let builder = if config.loopback { builder.no_proxy() } else { builder };
        let http = builder
            // SQS speaks HTTP/1.1; retries and redirects are the client's own matter: each attempt is signed anew,
            // and a signed request goes to no other host.
            .http1_only()
            .retry(reqwest::retry::never())
            .redirect(redirect::Policy::none())
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .user_agent(concat!("sqs-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::configuration("the HTTP client cannot be built").with_source(error))?;
        Ok(Self {
            http,
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
        let mut response = self.http.execute(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let body = self.body(response, status).await?;
        Ok(Answer { status, headers, body })
    }

    async fn body(&self, mut response: reqwest::Response, status: u16) -> Result<Bytes, Error> {
        let length = response
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        let broken = |error| failed(error).sent(true).with_answer(status, None);
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
                    Error::response(format!("the answer is longer than {limit} bytes")).with_answer(status, None)
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

/// A builder of HTTP clients with this crate's TLS: rustls with the platform's certificates and the crypto provider of
/// the crate's features. For other connections of the same program, such as to an object store, so that it has one
/// TLS stack.
///
/// # Errors
///
/// [`Configuration`](crate::ErrorKind::Configuration) where TLS cannot be set up.
pub fn http_client_builder() -> Result<reqwest::ClientBuilder, Error> {
    builder(true)
}

fn builder(tls_needed: bool) -> Result<reqwest::ClientBuilder, Error> {
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls(tls_needed)?))
}

fn tls(needed: bool) -> Result<rustls::ClientConfig, Error> {
    let unusable = |error| Error::configuration("TLS cannot be set up").with_source(error);
    let builder = rustls::ClientConfig::builder_with_provider(crypto_provider()?)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = if needed {
        builder.with_platform_verifier().map_err(unusable)?
    } else {
        builder.with_root_certificates(rustls::RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// The provider of the crate's features, else the one that the process has installed. None is ever installed here.
fn crypto_provider() -> Result<Arc<CryptoProvider>, Error> {
    #[cfg(feature = "aws-lc-rs")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    return CryptoProvider::get_default().cloned().ok_or_else(|| {
        Error::configuration(
            "no crypto provider: turn on the feature `ring` or `aws-lc-rs`, or install one for the process",
        )
    });
}
