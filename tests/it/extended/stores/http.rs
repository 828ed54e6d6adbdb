//! An HTTP connector for AWS's SDK that uses reqwest, which the tests depend on anyway.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

#[derive(Clone, Debug)]
pub struct Http(pub reqwest::Client);

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            exchange(&http, request)
                .await
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

async fn exchange(http: &reqwest::Client, request: HttpRequest) -> anyhow::Result<HttpResponse> {
    let (parts, body) = request.try_into_http1x()?.into_parts();
    let mut sent = reqwest::Request::new(parts.method, parts.uri.to_string().parse()?);
    *sent.headers_mut() = parts.headers;
    *sent.body_mut() = body.bytes().map(|bytes| bytes.to_vec().into());
    let mut received = http.execute(sent).await?;
    let (status, headers) = (received.status().as_u16(), std::mem::take(received.headers_mut()));
    let mut response = HttpResponse::new(status.try_into()?, SdkBody::from(received.bytes().await?.to_vec()));
    for (name, value) in &headers {
        response
            .headers_mut()
            .insert(name.as_str().to_owned(), value.to_str()?.to_owned());
    }
    Ok(response)
}
