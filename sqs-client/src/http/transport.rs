//! The limits of every exchange, whatever service carries it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use url::Url;

use crate::error::Error;
use crate::http::endpoint::shown;
use crate::http::reqwest_service::ReqwestService;
use crate::http::service::HttpService;
use crate::protocol::Response;

/// The way of requests to the server.
#[derive(Clone, Debug)]
pub(crate) enum Carrier {
    /// The default. Its own requests save it the conversion of each `http::Request`, a twentieth of a send's CPU time.
    Reqwest(ReqwestService),
    /// The caller's.
    Service(Arc<dyn HttpService>),
}

#[derive(Clone, Debug)]
pub(crate) struct Transport {
    carrier: Carrier,
    max_response_bytes: usize,
}

impl Transport {
    pub(crate) fn new(carrier: Carrier, max_response_bytes: usize) -> Self {
        let carrier = match carrier {
            Carrier::Reqwest(service) => Carrier::Reqwest(service.max_response_bytes(max_response_bytes)),
            service => service,
        };
        Self {
            carrier,
            max_response_bytes,
        }
    }

    /// Sends a POST and reads the whole response within this time.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Response, Error> {
        let Ok(result) = tokio::time::timeout(timeout, self.exchange(url, headers, body)).await else {
            let server = shown(url);
            return Err(Error::timeout(format!("no response from {server} within {timeout:?}")).sent(true));
        };
        let (head, body) = result?.into_parts();
        let status = head.status.as_u16();
        if body.len() > self.max_response_bytes {
            return Err(Error::response_too_long(self.max_response_bytes).with_response(status, None));
        }
        Ok(Response {
            status,
            headers: head.headers,
            body,
        })
    }

    async fn exchange(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<http::Response<Bytes>, Error> {
        match &self.carrier {
            Carrier::Reqwest(service) => {
                let mut request = reqwest::Request::new(Method::POST, url.clone());
                *request.headers_mut() = headers;
                *request.body_mut() = Some(body.into());
                service.exchange(request).await
            }
            Carrier::Service(service) => {
                let request = Request::builder().method(Method::POST).uri(url.as_str());
                let mut request = request
                    .body(body)
                    .map_err(|error| Error::invalid_input("the URL of the request is not valid").with_source(error))?;
                *request.headers_mut() = headers;
                service.call(request).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::error::ErrorKind;
    use crate::http::reqwest_service::{ConnectionConfig, Proxy};
    use crate::http::service::HttpFuture;

    async fn post(url: &str) -> Error {
        let service = ReqwestService::own(ConnectionConfig {
            connect_timeout: Duration::from_secs(5),
            extra_roots: Vec::new(),
            proxy: Proxy::None,
            https: false,
            loopback: true,
        });
        let (transport, url) = (
            Transport::new(Carrier::Reqwest(service.unwrap()), 1024),
            Url::parse(url).unwrap(),
        );
        let posted = transport.post(&url, HeaderMap::new(), Bytes::new(), Duration::from_secs(5));
        posted.await.unwrap_err()
    }

    #[tokio::test]
    async fn a_connect_error_names_the_server_and_the_root_cause_and_no_secret() {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = post(&format!("http://user:hidden@127.0.0.1:{port}/0/orders?token=hidden")).await;
        assert!(error.kind() == ErrorKind::Transport && !error.may_have_been_sent());
        let text = error.to_string();
        let expected = format!("could not connect to http://127.0.0.1:{port}/0/orders: ");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.to_ascii_lowercase().contains("refused"), "{text}");
        assert!(
            !text.contains("hidden") && !format!("{error:?}").contains("hidden"),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_broken_connection_names_the_server_and_the_root_cause() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || drop(listener.accept()));
        let error = post(&format!("http://{address}/")).await;
        server.join().unwrap();
        let text = error.to_string();
        assert!(
            error.kind() == ErrorKind::Transport && error.may_have_been_sent(),
            "{error:?}"
        );
        assert!(
            text.starts_with(&format!("the connection to http://{address} broke")),
            "{text}"
        );
        assert!(!text.ends_with("arrived: "), "{text}");
    }

    /// Responds with the next of these results. Without one, it never responds.
    #[derive(Debug)]
    struct Scripted(Mutex<VecDeque<Result<http::Response<Bytes>, Error>>>);

    impl Scripted {
        fn new(results: impl IntoIterator<Item = Result<http::Response<Bytes>, Error>>) -> Self {
            Self(Mutex::new(results.into_iter().collect()))
        }
    }

    impl HttpService for Scripted {
        fn call(&self, _: Request<Bytes>) -> HttpFuture<'_> {
            let next = self.0.lock().unwrap().pop_front();
            match next {
                Some(result) => Box::pin(async { result }),
                None => Box::pin(std::future::pending()),
            }
        }
    }

    async fn post_to(service: Scripted) -> Result<Response, Error> {
        let (transport, url) = (
            Transport::new(Carrier::Service(Arc::new(service)), 4),
            Url::parse("http://a/").unwrap(),
        );
        let posted = transport.post(&url, HeaderMap::new(), Bytes::new(), Duration::from_secs(5));
        posted.await
    }

    #[tokio::test]
    async fn a_service_may_not_exceed_the_limit_of_a_response() {
        let respond =
            |body: &'static str| Scripted::new([Ok(http::Response::new(Bytes::from_static(body.as_bytes())))]);
        assert_eq!(post_to(respond("1234")).await.unwrap().body, "1234");
        let error = post_to(respond("12345")).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Response, Some(200)));
        assert!(error.to_string().contains("longer than 4 bytes"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_never_responds_runs_into_the_timeout() {
        let error = post_to(Scripted::new([])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.may_have_been_sent());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_a_service_are_retried() {
        let failures = [Error::not_sent("refused"), Error::connection_lost("reset")];
        let listed = http::Response::new(Bytes::from_static(b"{}"));
        let results = failures.into_iter().map(Err).chain([Ok(listed)]);
        let client = crate::Client::builder()
            .endpoint_url("http://a")
            .credentials(crate::Credentials::new("k", "s"))
            .http_service(Scripted::new(results))
            .build()
            .unwrap();
        assert!(client.list_queues().await.unwrap().queue_urls.is_empty());
    }
}
