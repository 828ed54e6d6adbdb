//! HTTP connections to object stores.

use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};

/// The default maximum time to connect to a store.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default maximum time that a store may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The slowest supported link, in bytes per second. The time limit of a request grows by its length divided by this rate.
const MIN_UPLOAD_RATE: u64 = 16 * 1024;

/// The maximum length that is read of an error response. Stores need a few KiB, but a gateway's page may have any length,
/// and object_store keeps it in its error.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// The maximum length that is read of the response to a request with a body. The longest is that to a deletion of many
/// objects, with a few KiB for each.
const MAX_WRITE_RESPONSE: usize = 16 * 1024 * 1024;

/// The minimum length of a secret. A shorter value may occur in ordinary words, and no service issues such short tokens.
const MIN_SECRET_BYTES: usize = 8;

/// The headers that contain secrets. S3 quotes a session token that it rejects, and gateways may quote whole requests.
const SECRET_HEADERS: [&str; 2] = ["x-amz-security-token", "authorization"];

/// HTTP connections for an object store, with time limits that suit payloads of any size.
///
/// The connections use the TLS of `sqs-client`, so a program has one TLS stack. object_store's own connections abort
/// every transfer of more than 30 seconds.
///
/// The store's own `ClientOptions` have no effect, except the permission of plain HTTP.
///
/// ```
/// use object_store::aws::AmazonS3Builder;
/// use sqs_extended::store::StoreConnector;
///
/// # fn main() -> Result<(), object_store::Error> {
/// let store = AmazonS3Builder::new()
///     .with_http_connector(StoreConnector::new())
///     .with_bucket_name("my-bucket")
///     .with_region("eu-west-1")
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreConnector {
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl StoreConnector {
    /// Creates a connector with the default limits: 5 seconds to connect, and 30 seconds of silence.
    pub fn new() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: READ_TIMEOUT,
        }
    }

    /// Sets the maximum time to connect. Default: 5 seconds. Range: above zero.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the maximum time that the store may be silent before and within a response. Default: 30 seconds.
    /// Range: above zero.
    ///
    /// The limit of a request with a body is longer by the time that a link of 16 KiB/s requires to send it. On Linux, a
    /// connection fails earlier if its bytes are not acknowledged within `timeout`.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }
}

impl Default for StoreConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpConnector for StoreConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let builder = || -> object_store::Result<_> {
            let builder = sqs_client::client::http_client_builder().map_err(failed)?;
            let builder = builder
                .https_only(allow_http.as_deref() != Some("true"))
                .connect_timeout(self.connect_timeout)
                .http1_only()
                // Payloads must arrive as they are stored, even if the HTTP client's features for decompression are on.
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate();
            #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
            let builder = builder.tcp_user_timeout(self.read_timeout);
            Ok(builder)
        };
        Ok(HttpClient::new(TimeLimited {
            reading: builder()?.read_timeout(self.read_timeout).build().map_err(failed)?,
            writing: builder()?.build().map_err(failed)?,
            read_timeout: self.read_timeout,
        }))
    }
}

/// Two clients, because the HTTP client's own limit on silence includes the time to send a request's body.
#[derive(Debug)]
struct TimeLimited<C> {
    /// The client for requests without a body. It limits silence by itself.
    reading: C,
    /// The client for requests with a body. Their responses are short.
    writing: C,
    read_timeout: Duration,
}

#[async_trait]
impl<C: HttpService> HttpService for TimeLimited<C> {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let secrets = secrets_of(&request);
        let length = request.body().content_length();
        if length == 0 {
            let response = self.reading.call(request).await?;
            if is_error(&response) {
                return Ok(self.error_response(response, &secrets).await);
            }
            return Ok(response);
        }
        let sending = Duration::from_secs(u64::try_from(length).unwrap_or(u64::MAX) / MIN_UPLOAD_RATE);
        let response = self.writing.call(request);
        let response = within(self.read_timeout.saturating_add(sending), response).await??;
        if is_error(&response) {
            return Ok(self.error_response(response, &secrets).await);
        }
        let (parts, body) = response.into_parts();
        let mut complete = BytesMut::new();
        if !self.read(body, MAX_WRITE_RESPONSE, &mut complete).await? {
            return Err(HttpError::new(HttpErrorKind::Decode, TooLong));
        }
        Ok(HttpResponse::from_parts(parts, complete.freeze().into()))
    }
}

impl<C> TimeLimited<C> {
    /// Returns the response with the beginning of its body as text, because object_store accepts only UTF-8.
    async fn error_response(&self, response: HttpResponse, secrets: &[String]) -> HttpResponse {
        let (parts, body) = response.into_parts();
        let mut body_start = BytesMut::new();
        // Even with an incomplete body, the status decides whether the request is repeated.
        let _ = self.read(body, MAX_ERROR_BYTES, &mut body_start).await;
        let text = String::from_utf8_lossy(&body_start).into_owned();
        let text = secrets
            .iter()
            .fold(text, |text, secret| text.replace(secret, "[redacted]"));
        HttpResponse::from_parts(parts, text.into_bytes().into())
    }

    /// Reads up to `max` bytes of the body and returns `true` if it is complete.
    async fn read(&self, body: HttpResponseBody, max: usize, into: &mut BytesMut) -> Result<bool, HttpError> {
        // A store that assembles parts slowly sends white space meanwhile.
        let mut chunks = body.bytes_stream();
        while let Some(chunk) = within(self.read_timeout, chunks.next()).await? {
            let chunk = chunk?;
            let room = max - into.len();
            into.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if chunk.len() > room {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_error(response: &HttpResponse) -> bool {
    response.status().is_client_error() || response.status().is_server_error()
}

fn secrets_of(request: &HttpRequest) -> Vec<String> {
    let values = SECRET_HEADERS
        .iter()
        .filter_map(|name| request.headers().get(*name)?.to_str().ok());
    // Without the scheme, because a quote of the token may leave it out.
    let values = values.map(|value| value.split_once(' ').map_or(value, |(_, secret)| secret));
    let values = values.filter(|value| value.len() >= MIN_SECRET_BYTES);
    values.map(str::to_owned).collect()
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, HttpError> {
    let timed_out = |_| HttpError::new(HttpErrorKind::Timeout, Silent(limit));
    tokio::time::timeout(limit, future).await.map_err(timed_out)
}

#[derive(Debug)]
struct Silent(Duration);

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store was silent for {:?}", self.0)
    }
}

impl std::error::Error for Silent {}

#[derive(Debug)]
struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store's response is longer than {MAX_WRITE_RESPONSE} bytes")
    }
}

impl std::error::Error for TooLong {}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic {
        store: "HTTP",
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Responds after this time.
    #[derive(Debug)]
    struct Slow(Duration);

    #[async_trait]
    impl HttpService for Slow {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            tokio::time::sleep(self.0).await;
            Ok(HttpResponse::new(Bytes::from_static(b"done").into()))
        }
    }

    async fn put(length: usize, takes: Duration) -> Result<Bytes, HttpError> {
        let service = TimeLimited {
            reading: Slow(Duration::ZERO),
            writing: Slow(takes),
            read_timeout: Duration::from_secs(30),
        };
        let response = service
            .call(HttpRequest::new(Bytes::from(vec![0; length]).into()))
            .await?;
        response.into_body().bytes().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_link_can_send_a_part_and_silence_times_out() {
        let part = 8 * 1024 * 1024;
        assert_eq!(put(part, Duration::from_secs(300)).await.unwrap(), "done");
        assert_eq!(
            put(part, Duration::from_secs(3_600)).await.unwrap_err().kind(),
            HttpErrorKind::Timeout
        );
        assert_eq!(
            put(1, Duration::from_secs(31)).await.unwrap_err().kind(),
            HttpErrorKind::Timeout
        );
    }

    /// Responds with this status and body.
    #[derive(Clone, Debug)]
    struct Refusing(u16, Bytes);

    #[async_trait]
    impl HttpService for Refusing {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            let mut response = HttpResponse::new(self.1.clone().into());
            *response.status_mut() = self.0.try_into().unwrap();
            Ok(response)
        }
    }

    async fn refused(status: u16, body: impl Into<Bytes>, sent: usize) -> Result<Bytes, HttpError> {
        let service = Refusing(status, body.into());
        let service = TimeLimited {
            reading: service.clone(),
            writing: service,
            read_timeout: READ_TIMEOUT,
        };
        let mut request = HttpRequest::new(Bytes::from(vec![0; sent]).into());
        let headers = request.headers_mut();
        headers.insert("x-amz-security-token", "IQoJb3JpZ2lu+/=".try_into().unwrap());
        headers.insert("authorization", "Bearer ya29.secret".try_into().unwrap());
        service.call(request).await?.into_body().bytes().await
    }

    #[tokio::test]
    async fn error_responses_are_bounded_and_contain_no_secret() {
        for sent in [0, 1] {
            let code = "<Error><Code>NoSuchKey</Code><Message>";
            let kept = refused(404, format!("{code}{}", "é".repeat(8 * 1024 * 1024)), sent);
            let kept = kept.await.unwrap();
            assert!(kept.len() <= MAX_ERROR_BYTES + 3, "{} bytes are kept", kept.len());
            assert!(std::str::from_utf8(&kept).unwrap().starts_with(code));

            let body = "<Error><Code>InvalidToken</Code><Token-0>IQoJb3JpZ2lu+/=</Token-0>ya29.secret</Error>";
            let kept = refused(400, body, sent).await.unwrap();
            let expected = "<Error><Code>InvalidToken</Code><Token-0>[redacted]</Token-0>[redacted]</Error>";
            assert_eq!(kept, expected);

            let kept = refused(502, &b"\xff\xfe gateway"[..], sent).await.unwrap();
            assert!(std::str::from_utf8(&kept).is_ok(), "object_store would not accept it");
        }
    }

    #[test]
    fn a_short_value_is_no_secret() {
        let secrets = |value: &str| {
            let mut request = HttpRequest::new(Bytes::new().into());
            let value = value.try_into().unwrap();
            request.headers_mut().insert("authorization", value);
            secrets_of(&request)
        };
        assert!(secrets("Bearer t").is_empty() && secrets("").is_empty());
        assert_eq!(secrets("Bearer ya29.secret"), ["ya29.secret"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_incomplete_error_response_keeps_its_status() {
        use http_body_util::{BodyExt as _, Full};

        #[derive(Debug)]
        struct BreakingOff {
            is_silent: bool,
        }

        #[async_trait]
        impl HttpService for BreakingOff {
            async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
                let is_silent = self.is_silent;
                let end = async move {
                    if is_silent {
                        std::future::pending::<()>().await;
                    }
                    Some(Err(HttpError::new(HttpErrorKind::Unknown, Silent(READ_TIMEOUT))))
                };
                let half = Full::new(Bytes::from_static(b"half")).map_err(|never| match never {});
                let mut response = HttpResponse::new(HttpResponseBody::new(half.with_trailers(end)));
                *response.status_mut() = 503.try_into().unwrap();
                Ok(response)
            }
        }

        for is_silent in [false, true] {
            for sent in [0, 1] {
                let service = TimeLimited {
                    reading: BreakingOff { is_silent },
                    writing: BreakingOff { is_silent },
                    read_timeout: READ_TIMEOUT,
                };
                let request = HttpRequest::new(Bytes::from(vec![0; sent]).into());
                let response = service.call(request).await.unwrap();
                assert_eq!(response.status().as_u16(), 503, "it would not be repeated");
                assert_eq!(response.into_body().bytes().await.unwrap(), "half");
            }
        }
    }

    #[tokio::test]
    async fn only_responses_to_writes_are_bounded() {
        assert_eq!(refused(200, "x", 1).await.unwrap(), "x");
        let long = Bytes::from(vec![b'x'; MAX_WRITE_RESPONSE + 1]);
        assert_eq!(
            refused(200, long.clone(), 1).await.unwrap_err().kind(),
            HttpErrorKind::Decode
        );
        assert_eq!(refused(200, long.clone(), 0).await.unwrap(), long);
    }
}
