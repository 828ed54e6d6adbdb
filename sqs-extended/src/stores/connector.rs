//! The connections of stores that are reached by HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};

/// Longest that a store may take to accept a connection, unless set otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest that a store may be silent, unless set otherwise.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The slowest link that a part still passes, in bytes a second: what a request sends may take its length by this longer
/// to be answered.
const MIN_UPLOAD_RATE: u64 = 16 * 1024;

/// The most that is read of a refusal. Stores explain one in a few KiB; a gateway's page may have any length, and object_store
/// keeps it in its error.
const MAX_REFUSAL: usize = 16 * 1024;

/// The most that is read of the response to a request that sends something. The longest, that to a deletion of many
/// objects, takes a few KiB for each.
const MAX_WRITTEN: usize = 16 * 1024 * 1024;

/// The least length of a value that is taken for a secret. A shorter one stands in ordinary words, and no service issues such
/// tokens.
const MIN_SECRET_BYTES: usize = 8;

/// The headers that carry secrets. S3 quotes a session token that it refuses, and gateways may quote whole requests.
const SECRET_HEADERS: [&str; 2] = ["x-amz-security-token", "authorization"];

/// Makes a store's HTTP connections with the TLS of `sqs-client`, so that a program has one TLS stack, and with time
/// limits that let a payload of any size pass: object_store's own connections give up on a transfer of more than 30
/// seconds.
///
/// Of the store's own `ClientOptions` it heeds whether plain HTTP is allowed, and no other.
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
    /// With a limit of 5 seconds to connect and of 30 seconds of silence.
    pub fn new() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: READ_TIMEOUT,
        }
    }

    /// Bounds the time to connect.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Bounds how long the store may be silent: before its answer, and within it. A request that sends something has
    /// besides the time that a link of 16 KiB/s takes for it; on Linux, a connection whose bytes are not acknowledged
    /// for this long is given up before.
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
                // Payloads arrive as they are stored, whatever features of the HTTP client are on.
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate();
            #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
            let builder = builder.tcp_user_timeout(self.read_timeout);
            Ok(builder)
        };
        Ok(HttpClient::new(Patient {
            reading: builder()?.read_timeout(self.read_timeout).build().map_err(failed)?,
            writing: builder()?.build().map_err(failed)?,
            read_timeout: self.read_timeout,
        }))
    }
}

/// Two clients, as the HTTP client's own limit on silence counts the time that a request's body takes to be sent, too.
#[derive(Debug)]
struct Patient<C> {
    /// For requests without a body; limits silence by itself.
    reading: C,
    /// For requests with a body, whose answers are short.
    writing: C,
    read_timeout: Duration,
}

#[async_trait]
impl<C: HttpService> HttpService for Patient<C> {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let secrets = secrets_of(&request);
        let length = request.body().content_length();
        if length == 0 {
            let response = self.reading.call(request).await?;
            if is_refusal(&response) {
                return Ok(self.refusal(response, &secrets).await);
            }
            return Ok(response);
        }
        let sending = Duration::from_secs(u64::try_from(length).unwrap_or(u64::MAX) / MIN_UPLOAD_RATE);
        let response = self.writing.call(request);
        let response = within(self.read_timeout.saturating_add(sending), response).await??;
        if is_refusal(&response) {
            return Ok(self.refusal(response, &secrets).await);
        }
        let (parts, body) = response.into_parts();
        let mut written = BytesMut::new();
        if !self.read(body, MAX_WRITTEN, &mut written).await? {
            return Err(HttpError::new(HttpErrorKind::Decode, TooLong));
        }
        Ok(HttpResponse::from_parts(parts, written.freeze().into()))
    }
}

impl<C> Patient<C> {
    /// The response with as much of its body as may be kept in an error: text, so that object_store takes it.
    async fn refusal(&self, response: HttpResponse, secrets: &[String]) -> HttpResponse {
        let (parts, body) = response.into_parts();
        let mut explained = BytesMut::new();
        // It is refused, and may have to be repeated, however much of the explanation comes.
        let _ = self.read(body, MAX_REFUSAL, &mut explained).await;
        let text = String::from_utf8_lossy(&explained).into_owned();
        let text = secrets
            .iter()
            .fold(text, |text, secret| text.replace(secret, "[redacted]"));
        HttpResponse::from_parts(parts, text.into_bytes().into())
    }

    /// Reads the body up to this length, and returns `true` if that is all of it.
    async fn read(&self, body: HttpResponseBody, most: usize, into: &mut BytesMut) -> Result<bool, HttpError> {
        // A store that takes its time to put parts together sends white space meanwhile.
        let mut chunks = body.bytes_stream();
        while let Some(chunk) = within(self.read_timeout, chunks.next()).await? {
            let chunk = chunk?;
            let room = most - into.len();
            into.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if chunk.len() > room {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_refusal(response: &HttpResponse) -> bool {
    response.status().is_client_error() || response.status().is_server_error()
}

fn secrets_of(request: &HttpRequest) -> Vec<String> {
    let values = SECRET_HEADERS
        .iter()
        .filter_map(|name| request.headers().get(*name)?.to_str().ok());
    // Without the scheme: what quotes a token may leave it out.
    let values = values.map(|value| value.split_once(' ').map_or(value, |(_, secret)| secret));
    let values = values.filter(|value| value.len() >= MIN_SECRET_BYTES);
    values.map(str::to_owned).collect()
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, HttpError> {
    let silent = |_| HttpError::new(HttpErrorKind::Timeout, Silent(limit));
    tokio::time::timeout(limit, future).await.map_err(silent)
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
        write!(f, "the store's response is longer than {MAX_WRITTEN} bytes")
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

    /// Answers after this time.
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
        let service = Patient {
            reading: Slow(Duration::ZERO),
            writing: Slow(takes),
            read_timeout: Duration::from_secs(30),
        };
        let answer = service
            .call(HttpRequest::new(Bytes::from(vec![0; length]).into()))
            .await?;
        answer.into_body().bytes().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_link_has_time_for_a_part_and_silence_still_ends() {
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
        let service = Patient {
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
    async fn refusals_are_bounded_and_name_no_secret() {
        for sent in [0, 1] {
            let code = "<Error><Code>NoSuchKey</Code><Message>";
            let kept = refused(404, format!("{code}{}", "é".repeat(8 * 1024 * 1024)), sent);
            let kept = kept.await.unwrap();
            assert!(kept.len() <= MAX_REFUSAL + 3, "{} bytes are kept", kept.len());
            assert!(std::str::from_utf8(&kept).unwrap().starts_with(code));

            let body = "<Error><Code>InvalidToken</Code><Token-0>IQoJb3JpZ2lu+/=</Token-0>ya29.secret</Error>";
            let kept = refused(400, body, sent).await.unwrap();
            let expected = "<Error><Code>InvalidToken</Code><Token-0>[redacted]</Token-0>[redacted]</Error>";
            assert_eq!(kept, expected);

            let kept = refused(502, &b"\xff\xfe gateway"[..], sent).await.unwrap();
            assert!(std::str::from_utf8(&kept).is_ok(), "it would not be read as a refusal");
        }
    }

    #[test]
    fn a_value_that_stands_in_ordinary_words_is_no_secret() {
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
    async fn a_refusal_that_breaks_off_is_one() {
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
                let service = Patient {
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
    async fn what_a_write_responds_is_bounded_and_what_a_read_responds_is_not() {
        assert_eq!(refused(200, "x", 1).await.unwrap(), "x");
        let long = Bytes::from(vec![b'x'; MAX_WRITTEN + 1]);
        assert_eq!(
            refused(200, long.clone(), 1).await.unwrap_err().kind(),
            HttpErrorKind::Decode
        );
        assert_eq!(refused(200, long.clone(), 0).await.unwrap(), long);
    }
}
