//! Exchanges with time limits, and with limits on what is kept of a response.

use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt;
use http::{Method, StatusCode};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService};

use crate::error::refusal::xml_code;
use crate::transfer::pressure::Pressure;

/// The slowest supported link, in bytes per second. The time limit of a request grows by its length divided by this rate.
const MIN_UPLOAD_RATE: u64 = 16 * 1024;

/// The maximum length that is read of an error response. Stores need a few KiB, but a gateway's page may have any length,
/// and object_store keeps it in its error.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// The maximum length that is read of the response to a request that changes something. The longest is that to a deletion of
/// many objects, with a few KiB for each.
const MAX_WRITE_RESPONSE: usize = 16 * 1024 * 1024;

/// The minimum length of a secret. A shorter value may occur in ordinary words, and no service issues such short tokens.
const MIN_SECRET_BYTES: usize = 8;

/// The headers that contain secrets. S3 quotes a session token that it rejects, and gateways may quote whole requests.
const SECRET_HEADERS: [&str; 2] = ["x-amz-security-token", "authorization"];

/// The codes of error responses that ask to slow down, whatever their status.
const SLOW_DOWN_CODES: [&str; 6] = [
    "RequestThrottled",
    "ServerBusy",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
];

/// The mark of a successful response that asks to slow down. S3 sends the status before it has completed an upload, and
/// a bulk deletion has a code for each object.
const SLOW_DOWN_IN_SUCCESS: &str = "<Code>SlowDown</Code>";

/// Two clients, because the HTTP client's own limit on silence includes the time to send a request's body.
#[derive(Debug)]
pub(super) struct TimeLimited<C> {
    /// The client for requests without a body. It limits silence by itself.
    pub(super) reading: C,
    /// The client for requests with a body. Their responses are short.
    pub(super) writing: C,
    pub(super) read_timeout: Duration,
    /// Counts the responses that ask to slow down. object_store repeats their requests without telling.
    pub(super) pressure: Pressure,
}

#[async_trait]
impl<C: HttpService> HttpService for TimeLimited<C> {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let secrets = secrets_of(&request);
        let length = request.body().content_length();
        // object_store reads the responses to all other requests into memory.
        let may_stream = request.method() == Method::GET;
        let response = if length == 0 {
            self.reading.call(request).await?
        } else {
            let sending = Duration::from_secs(u64::try_from(length).unwrap_or(u64::MAX) / MIN_UPLOAD_RATE);
            let response = self.writing.call(request);
            within(self.read_timeout.saturating_add(sending), response).await??
        };
        if is_error(&response) {
            return Ok(self.error_response(response, &secrets).await);
        }
        if length == 0 && may_stream {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let mut complete = BytesMut::new();
        if !self.read(body, MAX_WRITE_RESPONSE, &mut complete).await? {
            return Err(HttpError::new(HttpErrorKind::Decode, TooLong));
        }
        if std::str::from_utf8(&complete).is_ok_and(|text| text.contains(SLOW_DOWN_IN_SUCCESS)) {
            self.pressure.slow_down();
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
        let is_throttled =
            parts.status == StatusCode::SERVICE_UNAVAILABLE || parts.status == StatusCode::TOO_MANY_REQUESTS;
        if is_throttled || xml_code(&text).is_some_and(|code| SLOW_DOWN_CODES.contains(&code)) {
            self.pressure.slow_down();
        }
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

#[cfg(test)]
mod tests;
