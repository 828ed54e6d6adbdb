//! An HTTP client for Smithy, built on reqwest.

use std::net::IpAddr;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::error::Error;
use crate::http::reqwest_service::credentials_client;

/// The maximum length of a response from a source of credentials.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// The time limit of a request if the provider sets none.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(super) struct HttpClient {
    http: reqwest::Client,
    /// The client for this machine and the link-local addresses of instances and containers, which no proxy can reach.
    direct: reqwest::Client,
}

impl HttpClient {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            http: credentials_client(|builder| builder)?,
            direct: credentials_client(reqwest::ClientBuilder::no_proxy)?,
        })
    }

    fn client_for(&self, host: Option<&str>) -> &reqwest::Client {
        let is_near = match host.unwrap_or_default() {
            "localhost" => true,
            host => match host.trim_matches(['[', ']']).parse() {
                Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
                // fd00:ec2::/32 belongs to AWS.
                Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
                Err(_) => false,
            },
        };
        if is_near { &self.direct } else { &self.http }
    }
}

impl aws_smithy_runtime_api::client::http::HttpClient for HttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            client: self.clone(),
            timeout: settings.read_timeout().unwrap_or(TIMEOUT),
        })
    }
}

#[derive(Debug)]
struct Connector {
    client: HttpClient,
    timeout: std::time::Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, timeout) = (self.client.clone(), self.timeout);
        HttpConnectorFuture::new(async move {
            match tokio::time::timeout(timeout, exchange(&client, request)).await {
                Ok(result) => result,
                Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
            }
        })
    }
}

async fn exchange(client: &HttpClient, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let user = |reason: &str| ConnectorError::user(reason.to_owned().into());
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body
        .bytes()
        .ok_or_else(|| user("the request's body is a stream"))?
        .to_vec();
    let http = client.client_for(parts.uri.host());
    let request = reqwest::Request::try_from(http::Request::from_parts(parts, body))
        .map_err(|error| ConnectorError::user(error.into()))?;

    let mut response = http.execute(request).await.map_err(failed)?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(user("the response is longer than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    let mut converted = http::Response::new(SdkBody::from(body));
    *converted.status_mut() = status;
    *converted.headers_mut() = headers;
    HttpResponse::try_from(converted).map_err(|error| ConnectorError::other(error.into(), None))
}

fn failed(error: reqwest::Error) -> ConnectorError {
    // The URL may contain a token.
    let error = error.without_url();
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
