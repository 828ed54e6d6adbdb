use super::*;

fn not_found(status: &str, body: &str) -> Error {
    Error::NotFound {
        path: "k".to_owned(),
        source: format!("Error performing GET http://s/b/k in 1ms - {STATUS}{status}: {body}").into(),
    }
}

#[test]
fn only_the_store_itself_can_report_a_missing_object() {
    for (body, expected) in [
        ("<Error><Code>NoSuchKey</Code></Error>", NotFound::Object),
        (
            "\u{feff}<?xml version=\"1.0\"?>\n<Error>\n<Code> BlobNotFound </Code></Error>",
            NotFound::Object,
        ),
        ("No such object: b/k", NotFound::Object),
        (
            r#"{"error":{"code":404,"message":"No such object: b/k"}}"#,
            NotFound::Object,
        ),
        ("<Error><Code>NoSuchBucket</Code></Error>", NotFound::Bucket),
        ("<Error><Code>ContainerNotFound</Code></Error>", NotFound::Bucket),
        ("", NotFound::Unclear),
        ("404 page not found", NotFound::Unclear),
        ("<html><Code>NoSuchKey</Code></html>", NotFound::Unclear),
        (
            "<?xml version=\"1.0\"?><html><Error><Code>NoSuchKey</Code></html>",
            NotFound::Unclear,
        ),
        (
            r#"{"error":{"code":404,"message":"The specified bucket does not exist."}}"#,
            NotFound::Unclear,
        ),
        (
            "<Error><Code>Other</Code><Key><Code>NoSuchKey</Code></Key></Error>",
            NotFound::Unclear,
        ),
    ] {
        let error = not_found("404 Not Found", body);
        assert_eq!(NotFound::from_error(&error), Some(expected), "{body}");
        let error = condensed(error);
        assert_eq!(NotFound::from_error(&error), Some(expected), "condensed: {body}");
    }
}

#[test]
fn a_store_without_a_server_is_believed() {
    let error = Error::NotFound {
        path: "k".to_owned(),
        source: "gone".into(),
    };
    assert_eq!(NotFound::from_error(&error), Some(NotFound::Object));
    let error = Error::Generic {
        store: "test",
        source: "<Error><Code>NoSuchKey</Code></Error>".into(),
    };
    assert_eq!(NotFound::from_error(&error), None);
}

#[test]
fn a_key_is_not_taken_for_a_response() {
    let error = Error::NotFound {
        path: format!("{STATUS}404 Not Found: No such object: "),
        source: format!("{STATUS}404 Not Found: a page").into(),
    };
    assert_eq!(NotFound::from_error(&error), Some(NotFound::Unclear));
}

#[test]
fn a_missing_upload_has_codes_of_its_own() {
    let upload = |code: &str| is_missing_upload(&not_found("400 Bad Request", &format!("<Error><Code>{code}</Code>")));
    assert!(upload("NoSuchUpload") && upload("InvalidBlockList"));
    assert!(!upload("NoSuchKey") && !upload("NoSuchBucket"));
}

#[test]
fn only_a_refusal_with_a_known_reason_is_final() {
    let generic = |status: &str, body: &str| Error::Generic {
        store: "test",
        source: format!("Error performing GET http://s/b in 1ms - {STATUS}{status}: {body}").into(),
    };
    let code = |code: &str| format!("<Error><Code>{code}</Code></Error>");
    for (status, body, expected) in [
        ("403 Forbidden", &*code("AccessDenied"), true),
        ("403 Forbidden", "", true),
        ("404 Not Found", &code("NoSuchBucket"), true),
        (
            "404 Not Found",
            r#"{"error":{"message":"The specified bucket does not exist."}}"#,
            true,
        ),
        ("400 Bad Request", &code("ExpiredToken"), true),
        ("400 Bad Request", &code("InvalidArgument"), true),
        ("400 Bad Request", &code("RequestTimeout"), false),
        ("400 Bad Request", &code("XAmzContentChecksumMismatch"), false),
        ("404 Not Found", &code("NoSuchUpload"), false),
        ("400 Bad Request", "a page", false),
        ("404 Not Found", "a page", false),
        ("408 Request Timeout", &code("AccessDenied"), false),
        ("429 Too Many Requests", &code("AccessDenied"), false),
        ("503 Service Unavailable", &code("SlowDown"), false),
        ("500 Internal Server Error", &code("InternalError"), false),
    ] {
        let error = generic(status, body);
        assert_eq!(is_final(&error), expected, "{status}: {body}");
        assert_eq!(is_final(&condensed(error)), expected, "condensed: {status}: {body}");
    }
    let silent = Error::Generic {
        store: "test",
        source: "connection reset".into(),
    };
    assert!(!is_final(&silent));
}

#[test]
fn a_page_of_a_gateway_fits_on_one_line() {
    let page = not_found("502 Bad Gateway", "<html>\n  <h1>Bad\n  gateway</h1>\r\n</html>\n");
    assert_eq!(
        condensed(page).source().unwrap().to_string(),
        "Error performing GET http://s/b/k in 1ms: 502 Bad Gateway: <html> <h1>Bad gateway</h1> </html>"
    );
}

#[test]
fn a_missing_bucket_is_named_by_the_response_or_by_the_url() {
    for (body, bucket) in [
        (
            "<Error><Code>NoSuchBucket</Code><BucketName>orders</BucketName></Error>",
            "bucket \"orders\"",
        ),
        (
            "<Error><Code>ContainerNotFound</Code></Error>",
            "the bucket or container in http://s/b/k",
        ),
        (
            r#"{"error":{"message":"The specified bucket does not exist."}}"#,
            "the bucket or container in http://s/b/k",
        ),
    ] {
        let advice = advice(&not_found("404 Not Found", body)).unwrap();
        assert_eq!(
            advice,
            format!("{bucket} does not exist; create it or correct the store's settings")
        );
    }
}

#[test]
fn an_outage_says_nothing_about_the_request() {
    let response = |text: &str| Error::Generic {
        store: "test",
        source: format!("Error performing GET http://s/b/k in 1ms - {STATUS}{text}").into(),
    };
    for (text, expected) in [
        ("503 Service Unavailable: <Error><Code>SlowDown</Code></Error>", true),
        ("429 Too Many Requests: ", true),
        ("502 Bad Gateway: <html>", true),
        ("400 Bad Request: <Error><Code>RequestTimeout</Code></Error>", true),
        (
            "416 Range Not Satisfiable: <Error><Code>InvalidRange</Code></Error>",
            false,
        ),
        ("500 Internal Server Error: ", false),
        ("501 Not Implemented: <Error><Code>NotImplemented</Code></Error>", false),
    ] {
        assert_eq!(is_outage(&response(text)), expected, "{text}");
    }
    let without_ranges = Error::Generic {
        store: "test",
        source: "Received non-partial response when range requested".into(),
    };
    assert!(!is_outage(&without_ranges));
    #[cfg(feature = "_http")]
    {
        use object_store::client::{HttpError, HttpErrorKind};

        let error = HttpError::new(HttpErrorKind::Timeout, std::io::Error::other("silent"));
        let error = Error::Generic {
            store: "test",
            source: error.into(),
        };
        assert!(is_outage(&error));
    }
}
