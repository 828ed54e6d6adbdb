//! The server without sockets, as the [`HttpService`] of clients in the same process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use sqs_client::Error;
use sqs_client::client::{HttpFuture, HttpService};

use crate::http::MAX_BODY;
use crate::http::gateway::Gateway;
use crate::server::LocalSqs;

/// The way to a server without a socket. [`LocalSqs::http_service`] returns it.
///
/// A request is handled within the task that sends it. Faults of the connection become errors, as a socket would report them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sqs_client::{Client, Credentials};
/// use sqs_local::LocalSqs;
///
/// let server = LocalSqs::in_process();
/// let client = Client::builder()
///     .endpoint_url(server.endpoint())
///     .credentials(Credentials::new("test", "test"))
///     .http_service(server.http_service())
///     .build()?;
/// assert!(client.list_queues().await?.queue_urls.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct InProcess(Arc<Gateway>);

impl LocalSqs {
    /// Returns the way to this server without a socket, for
    /// [`ClientBuilder::http_service`](sqs_client::ClientBuilder::http_service).
    ///
    /// See [`InProcess`] for an example.
    pub fn http_service(&self) -> InProcess {
        InProcess(self.gateway.clone())
    }
}

impl HttpService for InProcess {
    fn call(&self, request: Request<Bytes>) -> HttpFuture<'_> {
        Box::pin(self.exchange(request))
    }
}

impl InProcess {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        if self.0.stopped.load(Ordering::Relaxed) {
            return Err(Error::not_sent("sqs-local was stopped"));
        }
        let (mut head, body) = request.into_parts();
        if let Some(host) = host_of(&head.uri) {
            head.headers.entry(HOST).or_insert(host);
        }
        let exchange = if body.len() > MAX_BODY {
            self.0.refuse_length(&head.headers)
        } else {
            self.0.handle(head, body).await
        };
        let closed = || {
            Error::connection_lost(if exchange.reset {
                "connection reset"
            } else {
                "connection closed"
            })
        };
        let response = exchange.response.ok_or_else(closed)?;
        if let Some(pause) = exchange.trickle {
            tokio::time::sleep(duration_of(length_of(&response), pause)).await;
        }
        if exchange.truncated {
            return Err(Error::connection_lost("connection closed after a part of the response"));
        }
        Ok(response)
    }
}

/// Returns the header that an HTTP client adds.
fn host_of(uri: &Uri) -> Option<HeaderValue> {
    let host = uri.host()?;
    let text = uri
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    text.try_into().ok()
}

/// Returns the approximate length of a response with its head, as a socket would send it.
fn length_of(response: &Response<Bytes>) -> usize {
    let status_line = "HTTP/1.1 200 OK\r\n\r\n".len();
    let headers = response.headers().iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    status_line + headers + response.body().len()
}

/// Returns the time for this many bytes with a pause after each.
fn duration_of(bytes: usize, pause: Duration) -> Duration {
    pause.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX))
}
