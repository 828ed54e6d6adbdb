//! The seam between requests and what carries them to a server.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

use crate::error::Error;

/// The future of a response, which [`HttpService::call`] returns.
pub type HttpFuture<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Error>> + Send + 'a>>;

/// A way for requests to reach a server. The default is [`ReqwestService`](crate::client::ReqwestService).
///
/// Implement it to mock a server, to add headers, or to use another HTTP client. The client calls it once for each attempt,
/// with a request that is already signed: an absolute URL, the headers, and the body. The header `host` is not among them,
/// because HTTP clients derive it from the URL. The signature includes it, the body, and the headers whose names start with
/// `x-amz-`, so an implementation must not change them. The client limits the time of a call, and drops its future then.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_client::Error> {
/// use bytes::Bytes;
/// use sqs_client::client::{HttpFuture, HttpService};
/// use sqs_client::{Client, Credentials};
///
/// #[derive(Debug)]
/// struct NoQueues;
///
/// impl HttpService for NoQueues {
///     fn call(&self, request: http::Request<Bytes>) -> HttpFuture<'_> {
///         assert_eq!(request.headers()["x-amz-target"], "AmazonSQS.ListQueues");
///         Box::pin(async { Ok(http::Response::new(Bytes::from_static(b"{}"))) })
///     }
/// }
///
/// let client = Client::builder()
///     .region("eu-west-1")
///     .credentials(Credentials::new("AKIDEXAMPLE", "secret"))
///     .http_service(NoQueues)
///     .build()?;
/// assert!(client.list_queues().await?.queue_urls.is_empty());
/// # Ok(()) }
/// ```
pub trait HttpService: fmt::Debug + Send + Sync + 'static {
    /// Sends a request, and reads the whole response.
    ///
    /// The client refuses a response that is longer than
    /// [`max_response_bytes`](crate::ClientBuilder::max_response_bytes). An implementation that reads from an untrusted server
    /// should stop reading there.
    ///
    /// # Errors
    ///
    /// Return [`Error::not_sent`] if the request certainly had no effect, and [`Error::connection_lost`] if it may have had
    /// one. The client retries both by its [`RetryPolicy`](crate::client::RetryPolicy).
    ///
    /// # Cancel safety
    ///
    /// The client drops the future when its time is up. The request counts as sent then.
    fn call(&self, request: Request<Bytes>) -> HttpFuture<'_>;
}

impl<S: HttpService + ?Sized> HttpService for Arc<S> {
    fn call(&self, request: Request<Bytes>) -> HttpFuture<'_> {
        (**self).call(request)
    }
}
