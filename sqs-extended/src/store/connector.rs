//! The connections of stores that are reached by HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};

/// Longest that a store may take to accept a connection, unless set otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest that a store may be silent, unless set otherwise.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The slowest link that a part still passes, in bytes a second: what a request sends may take its length by this longer
/// to be answered.
const MIN_UPLOAD_RATE: u64 = 16 * 1024;

/// Makes a store's HTTP connections with the TLS of `sqs-client`, so that a program has one TLS stack, and with time
/// limits that let a payload of any size pass: object_store's own connections give up on a transfer of more than 30
/// seconds.
///
/// Of the store's own `ClientOptions` it heeds whether plain HTTP is allowed, and no other.
///
/// ```
/// use object_store::aws::AmazonS3Builder;
/// use sqs_extended::StoreConnector;
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
            let builder = sqs_client::http_client_builder().map_err(failed)?;
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
        let length = request.body().content_length();
        if length == 0 {
            return self.reading.call(request).await;
        }
        let sending = Duration::from_secs(u64::try_from(length).unwrap_or(u64::MAX) / MIN_UPLOAD_RATE);
        let answer = self.writing.call(request);
        let (parts, body) = within(self.read_timeout.saturating_add(sending), answer)
            .await??
            .into_parts();
        // A store that takes its time to put parts together sends white space meanwhile.
        let mut chunks = body.bytes_stream();
        let mut body = BytesMut::new();
        while let Some(chunk) = within(self.read_timeout, chunks.next()).await? {
            body.extend_from_slice(&chunk?);
        }
        Ok(HttpResponse::from_parts(parts, body.freeze().into()))
    }
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
}
