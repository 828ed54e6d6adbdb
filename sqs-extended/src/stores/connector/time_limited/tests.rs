use bytes::Bytes;
use http::Method;

use super::*;

const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Responds after this time.
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
    let service = TimeLimited {
        reading: Slow(Duration::ZERO),
        writing: Slow(takes),
        read_timeout: READ_TIMEOUT,
        pressure: Pressure::default(),
    };
    let response = service
        .call(HttpRequest::new(Bytes::from(vec![0; length]).into()))
        .await?;
    response.into_body().bytes().await
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_can_send_a_part_and_silence_times_out() {
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
    let service = TimeLimited {
        reading: service.clone(),
        writing: service,
        read_timeout: READ_TIMEOUT,
        pressure: Pressure::default(),
    };
    let mut request = HttpRequest::new(Bytes::from(vec![0; sent]).into());
    let headers = request.headers_mut();
    headers.insert("x-amz-security-token", "IQoJb3JpZ2lu+/=".try_into().unwrap());
    headers.insert("authorization", "Bearer ya29.secret".try_into().unwrap());
    service.call(request).await?.into_body().bytes().await
}

#[tokio::test]
async fn error_responses_are_bounded_and_contain_no_secret() {
    for sent in [0, 1] {
        let code = "<Error><Code>NoSuchKey</Code><Message>";
        let kept = refused(404, format!("{code}{}", "é".repeat(8 * 1024 * 1024)), sent);
        let kept = kept.await.unwrap();
        assert!(kept.len() <= MAX_ERROR_BYTES + 3, "{} bytes are kept", kept.len());
        assert!(std::str::from_utf8(&kept).unwrap().starts_with(code));

        let body = "<Error><Code>InvalidToken</Code><Token-0>IQoJb3JpZ2lu+/=</Token-0>ya29.secret</Error>";
        let kept = refused(400, body, sent).await.unwrap();
        let expected = "<Error><Code>InvalidToken</Code><Token-0>[redacted]</Token-0>[redacted]</Error>";
        assert_eq!(kept, expected);

        let kept = refused(502, &b"\xff\xfe gateway"[..], sent).await.unwrap();
        assert!(std::str::from_utf8(&kept).is_ok(), "object_store would not accept it");
    }
}

#[test]
fn a_short_value_is_no_secret() {
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
async fn an_incomplete_error_response_keeps_its_status() {
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
            let service = TimeLimited {
                reading: BreakingOff { is_silent },
                writing: BreakingOff { is_silent },
                read_timeout: READ_TIMEOUT,
                pressure: Pressure::default(),
            };
            let request = HttpRequest::new(Bytes::from(vec![0; sent]).into());
            let response = service.call(request).await.unwrap();
            assert_eq!(response.status().as_u16(), 503, "it would not be repeated");
            assert_eq!(service.pressure.count(), 1);
            assert_eq!(response.into_body().bytes().await.unwrap(), "half");
        }
    }
}

#[tokio::test]
async fn only_responses_to_writes_are_bounded() {
    assert_eq!(refused(200, "x", 1).await.unwrap(), "x");
    let long = Bytes::from(vec![b'x'; MAX_WRITE_RESPONSE + 1]);
    assert_eq!(
        refused(200, long.clone(), 1).await.unwrap_err().kind(),
        HttpErrorKind::Decode
    );
    assert_eq!(refused(200, long.clone(), 0).await.unwrap(), long);
}

#[tokio::test]
async fn responses_that_ask_to_slow_down_are_counted() {
    let xml = |code: &str| format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>m</Message></Error>");
    let in_deletion = "<DeleteResult><Deleted><Key>a</Key></Deleted>\
                       <Error><Key>b</Key><Code>SlowDown</Code></Error></DeleteResult>";
    for (status, body, sent, counted) in [
        (503, String::new(), 0, 1),
        (503, xml("SlowDown"), 1, 1),
        (503, "a gateway's page".to_owned(), 1, 1),
        (429, String::new(), 0, 1),
        (429, xml("TooManyRequests"), 1, 1),
        (500, xml("SlowDown"), 1, 1),
        (400, xml("RequestThrottled"), 0, 1),
        (200, xml("SlowDown"), 1, 1),
        (200, in_deletion.to_owned(), 1, 1),
        (500, xml("InternalError"), 0, 0),
        (403, xml("AccessDenied"), 1, 0),
        (
            404,
            "<Error><Code>NoSuchKey</Code><Key>SlowDown</Key></Error>".to_owned(),
            0,
            0,
        ),
        (200, xml("InternalError"), 1, 0),
        (200, "SlowDown".to_owned(), 1, 0),
        // The body of a download is not read here.
        (200, xml("SlowDown"), 0, 0),
    ] {
        let service = Refusing(status, body.clone().into());
        let service = TimeLimited {
            reading: service.clone(),
            writing: service,
            read_timeout: READ_TIMEOUT,
            pressure: Pressure::default(),
        };
        let request = HttpRequest::new(Bytes::from(vec![0; sent]).into());
        let response = service.call(request).await.unwrap();
        assert_eq!(response.into_body().bytes().await.unwrap(), body, "{status}");
        assert_eq!(service.pressure.count(), counted, "{status}: {body}");
    }
}

/// An upload begins with such a request, and object_store reads the whole response.
#[tokio::test]
async fn responses_to_writes_without_a_body_are_bounded_too() {
    for (method, is_bounded) in [
        (Method::POST, true),
        (Method::DELETE, true),
        (Method::PUT, true),
        (Method::GET, false),
    ] {
        let service = Refusing(200, Bytes::from(vec![b'x'; MAX_WRITE_RESPONSE + 1]));
        let service = TimeLimited {
            reading: service.clone(),
            writing: service,
            read_timeout: READ_TIMEOUT,
            pressure: Pressure::default(),
        };
        let mut request = HttpRequest::new(Bytes::new().into());
        *request.method_mut() = method.clone();
        let response = service.call(request).await;
        assert_eq!(response.is_err(), is_bounded, "{method}");
    }
}
