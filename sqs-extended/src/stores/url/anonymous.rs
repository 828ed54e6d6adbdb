//! Requests to Google Cloud Storage without a token.

use async_trait::async_trait;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use object_store::{ClientOptions, Result};

use crate::stores::connector::StoreConnector;

/// Returns `true` for the values of an option that object_store reads as `true`.
pub(super) fn is_true(value: &str) -> bool {
    ["1", "true", "on", "yes", "y"]
        .iter()
        .any(|on| value.eq_ignore_ascii_case(on))
}

/// Removes the token from every request. object_store 0.14 skips it for reads only: with `skip_signature`, its uploads and
/// deletions still request credentials, and send what they get.
#[derive(Debug)]
pub(super) struct WithoutToken<C>(C);

impl WithoutToken<StoreConnector> {
    pub(super) fn new(connector: StoreConnector) -> Self {
        Self(connector)
    }
}

impl HttpConnector for WithoutToken<StoreConnector> {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let client = self.0.connect(options)?;
        Ok(HttpClient::new(WithoutToken(client)))
    }
}

#[async_trait]
impl HttpService for WithoutToken<HttpClient> {
    async fn call(&self, mut request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        request.headers_mut().remove("authorization");
        self.0.execute(request).await
    }
}
