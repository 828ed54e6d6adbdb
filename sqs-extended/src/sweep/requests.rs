//! Signed requests of S3's lists, which object_store does not offer or does not read as needed.

use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt as _;
use http::{Method, Request, StatusCode};
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpConnector as _, HttpRequestBody, HttpResponseBody};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use object_store::{ClientOptions, Error, Result};
use tokio::sync::OnceCell;
use url::Url;

use crate::error::refusal::xml_code;
use crate::stores::StoreConnector;

/// The maximum length of a response. A page of 1,000 objects or uploads with the longest keys, escaped, is shorter.
const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024;

/// The lifetime of a signature.
const SIGNED_FOR: Duration = Duration::from_secs(5 * 60);

const ATTEMPTS: u32 = 4;

/// The pause after the first attempt. It doubles after each further one.
const BACKOFF: Duration = Duration::from_millis(200);

/// A bucket, and the connections to it. The store signs the requests.
#[derive(Debug)]
pub(super) struct S3Requests {
    store: AmazonS3,
    connector: StoreConnector,
    http: OnceCell<HttpClient>,
}

impl S3Requests {
    pub(super) fn new(store: AmazonS3, connector: StoreConnector) -> Self {
        Self {
            store,
            connector,
            http: OnceCell::new(),
        }
    }

    pub(super) async fn request(&self, method: Method, path: &Path, query: Vec<(&str, String)>) -> Result<Response> {
        let options = SignedUrlOptions::new().with_query(query);
        let mut wait = BACKOFF;
        let mut attempt = 1;
        loop {
            let url = self
                .store
                .signed_url_opts(method.clone(), path, SIGNED_FOR, &options)
                .await?;
            let response = self.exchange(method.clone(), &url).await;
            let is_final = match &response {
                Ok(response) => !response.status.is_server_error() && response.status != StatusCode::TOO_MANY_REQUESTS,
                Err(_) => false,
            };
            if is_final || attempt == ATTEMPTS {
                return response;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
            attempt += 1;
        }
    }

    async fn exchange(&self, method: Method, url: &Url) -> Result<Response> {
        // The store's own connections are private. Plain HTTP is allowed if the store itself uses it.
        let connect = || async {
            let options = ClientOptions::new().with_allow_http(url.scheme() == "http");
            self.connector.connect(&options)
        };
        let http = self.http.get_or_try_init(connect).await?;
        let request = Request::builder().method(method).uri(url.as_str());
        let request = request.body(HttpRequestBody::empty()).map_err(failed)?;
        let (parts, body) = http.execute(request).await.map_err(failed)?.into_parts();
        let server = parts.headers.get(http::header::SERVER);
        Ok(Response {
            status: parts.status,
            is_minio: server.is_some_and(|server| server.as_bytes().starts_with(b"MinIO")),
            body: read(body).await?,
        })
    }
}

pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) is_minio: bool,
    pub(super) body: String,
}

async fn read(body: HttpResponseBody) -> Result<String> {
    let mut chunks = body.bytes_stream();
    let mut read = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(failed)?;
        if read.len().saturating_add(chunk.len()) > MAX_RESPONSE_BYTES {
            return Err(failed("the response is longer than 8 MiB"));
        }
        read.extend_from_slice(&chunk);
    }
    String::from_utf8(read.into()).map_err(failed)
}

/// An error response, reduced to its status and code.
pub(super) fn response_error(path: &str, status: StatusCode, body: &str) -> Error {
    let code = xml_code(body).unwrap_or_default();
    let source = format!("{status} {code:.100}").into();
    match status {
        StatusCode::FORBIDDEN => Error::PermissionDenied {
            path: path.to_owned(),
            source,
        },
        _ => failed(source),
    }
}

pub(super) fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic {
        store: "S3",
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_response_keeps_its_code() {
        let error = response_error("k", StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>");
        assert!(matches!(&error, Error::PermissionDenied { .. }) && error.to_string().contains("AccessDenied"));
        assert!(matches!(
            response_error("k", StatusCode::BAD_REQUEST, ""),
            Error::Generic { .. }
        ));
    }
}
