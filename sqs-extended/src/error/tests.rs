use super::*;

fn not_found() -> object_store::Error {
    object_store::Error::NotFound {
        path: "k".to_owned(),
        source: "gone".into(),
    }
}

fn generic() -> object_store::Error {
    object_store::Error::Generic {
        store: "test",
        source: "throttled".into(),
    }
}

#[test]
fn only_not_found_is_a_missing_payload() {
    let missing = Error::fetch(not_found()).with_receipt_handle("handle");
    assert!(missing.is_missing_payload() && !missing.is_retryable());
    assert_eq!(missing.receipt_handle(), Some("handle"));

    let throttled = Error::fetch(generic());
    assert!(!throttled.is_missing_payload() && throttled.is_retryable());
}

#[test]
fn display_leaves_out_the_source() {
    let error = Error::store("the payload could not be stored", generic());
    assert_eq!(error.to_string(), "the payload could not be stored");
    assert!(error.source().unwrap().downcast_ref::<object_store::Error>().is_some());
}

#[test]
fn debug_prints_each_cause_once_on_one_line() {
    let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
    let error = Error::io(ErrorKind::Store, "the payload could not be fetched", refused);
    let expected = "sqs_extended::Error(Store): the payload could not be fetched: connection refused";
    assert_eq!(format!("{error:?}"), expected);
    assert_eq!(format!("{error:#?}"), expected);

    // The text of object_store's error contains that of its source.
    let error = Error::store("the payload could not be stored", generic());
    assert_eq!(
        format!("{error:?}"),
        "sqs_extended::Error(Store): the payload could not be stored: Generic test error: throttled"
    );

    let error = Error::invalid("the part size is 0");
    assert_eq!(
        format!("{error:?}"),
        "sqs_extended::Error(InvalidInput): the part size is 0"
    );
}

#[test]
fn a_clone_has_the_same_source() {
    let error = Error::fetch(generic()).with_receipt_handle("handle");
    let clone = error.clone();
    assert_eq!(format!("{clone:?}"), format!("{error:?}"));
    assert_eq!(clone.receipt_handle(), Some("handle"));
    assert!(clone.is_retryable());
    assert!(clone.source().unwrap().downcast_ref::<object_store::Error>().is_some());
}

#[test]
fn a_key_is_not_taken_for_a_response_of_the_store() {
    let error = object_store::Error::PermissionDenied {
        path: "payloads/RequestTimeTooSkewed".to_owned(),
        source: "Error performing GET http://s/RequestTimeTooSkewed in 1ms - Server returned non-2xx status code: \
                 403 Forbidden: <Error><Code>AccessDenied</Code></Error>"
            .into(),
    };
    let error = Error::fetch(error).to_string();
    assert!(error.contains("AccessDenied") && !error.contains("clock"), "{error}");
}

#[test]
fn a_long_text_of_a_store_is_cut() {
    let text = || {
        format!(
            "Server returned non-2xx status code: 404 Not Found: <Error><Code>NoSuchKey</Code>{}",
            "é".repeat(1_000_000)
        )
    };
    let errors = [
        object_store::Error::NotFound {
            path: "k".to_owned(),
            source: text().into(),
        },
        object_store::Error::Generic {
            store: "test",
            source: text().into(),
        },
        object_store::Error::PermissionDenied {
            path: "k".to_owned(),
            source: text().into(),
        },
        object_store::Error::Generic {
            store: "test",
            source: "é".repeat(1_000_000).into(),
        },
    ];
    for error in errors {
        let variant = std::mem::discriminant(&error);
        let kept = Error::fetch(error);
        let store = kept.source().unwrap().downcast_ref::<object_store::Error>().unwrap();
        assert_eq!(std::mem::discriminant(store), variant);
        let len = store.to_string().len().max(format!("{store:?}").len());
        assert!(len < 20_000, "{len} bytes are kept");
        assert_eq!(
            kept.is_missing_payload(),
            matches!(store, object_store::Error::NotFound { .. })
        );
    }
}

#[test]
fn an_io_error_carries_the_error() {
    let io = io::Error::from(Error::fetch(not_found()));
    assert_eq!(io.kind(), io::ErrorKind::NotFound);
    let ours = io.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert!(ours.is_missing_payload());
}

#[test]
fn a_rejected_message_says_why() {
    let error = Error::plain(ErrorKind::RefusedPointer, "the pointer names another bucket");
    let message = serde_json::from_value(serde_json::json!({ "ReceiptHandle": "handle" })).unwrap();
    let rejected = crate::receive::Rejected::new(message, error);
    assert_eq!(
        rejected.to_string(),
        "the received message was rejected: the pointer names another bucket"
    );
    assert!(rejected.source().is_none());
}

/// Real errors of object_store, from a server on this machine.
#[cfg(feature = "s3")]
mod server {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use futures::TryStreamExt as _;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt as _};

    use super::*;
    use crate::stores::OpenedStore;

    /// Opens bucket `orders` of a server with this response to every request.
    fn store(status: &'static str, body: &'static str) -> Arc<dyn ObjectStore> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let read = connection.read(&mut buffer).unwrap();
                    if read == 0 {
                        break;
                    }
                    request.extend_from_slice(&buffer[..read]);
                }
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                // A response to HEAD has no body.
                let body = if request.starts_with(b"HEAD") { "" } else { body };
                let _ = connection.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice());
            }
        });
        let url = format!("s3://orders?endpoint=http://{address}&access_key_id=a&secret_access_key=b&region=eu-west-1");
        OpenedStore::open(&url).unwrap().store
    }

    const NO_SUCH_BUCKET: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucket</Code>\
        <Message>The specified bucket does not exist</Message><BucketName>orders</BucketName>\
        <RequestId>4442587FB7D0A2F9</RequestId><HostId>host</HostId></Error>";

    const ACCESS_DENIED: &str = "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/me is not \
        authorized to perform: s3:GetObject on resource: &quot;arn:aws:s3:::orders/k&quot;</Message>\
        <RequestId>4442587FB7D0A2F9</RequestId></Error>";

    /// The printed error with the times and ports that differ from run to run replaced.
    fn shown(error: &Error) -> String {
        let words: Vec<_> = format!("{error:?}").split(' ').map(str::to_owned).collect();
        let words = words.iter().map(|word| match word.strip_suffix("s:") {
            Some(time) if time.starts_with(|c: char| c.is_ascii_digit()) => "TIME:".to_owned(),
            _ => match word.strip_prefix("http://127.0.0.1:") {
                Some(rest) => format!("http://HOST/{}", rest.split_once('/').map_or("", |(_, path)| path)),
                None => word.clone(),
            },
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn chain(error: &Error) -> Vec<String> {
        std::iter::successors(Some(error as &dyn StdError), |&cause| cause.source())
            .map(ToString::to_string)
            .collect()
    }

    #[tokio::test]
    async fn a_missing_bucket_is_named_once_and_without_markup() {
        let store = store("404 Not Found", NO_SUCH_BUCKET);
        let error = Error::fetch(store.get(&Path::from("k")).await.unwrap_err());
        assert_eq!(
            shown(&error),
            "sqs_extended::Error(Store): the payload could not be fetched: bucket \"orders\" does not exist; create it \
             or correct the store's settings: Object at location k not found: Error performing GET http://HOST/orders/k \
             in TIME: 404 Not Found: NoSuchBucket (request id 4442587FB7D0A2F9)"
        );
        assert!(!error.is_missing_payload() && !error.is_retryable());
        assert!(
            chain(&error).iter().all(|text| !text.contains('<')),
            "{:?}",
            chain(&error)
        );

        let listed = store.list(None).try_collect::<Vec<_>>().await.unwrap_err();
        let error = Error::store("the prefix could not be listed", listed);
        assert_eq!(
            error.to_string(),
            "the prefix could not be listed: bucket \"orders\" does not exist; create it or correct the store's settings"
        );
        assert_eq!(shown(&error).matches("NoSuchBucket").count(), 1, "{error:?}");
        assert!(!shown(&error).contains('<'), "{error:?}");

        let put = store.put(&Path::from("k"), "x".into()).await.unwrap_err();
        let error = Error::store("the payload could not be stored", put);
        assert!(
            error.to_string().contains("bucket \"orders\" does not exist"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_denied_access_is_explained_once_and_without_markup() {
        let store = store("403 Forbidden", ACCESS_DENIED);
        let error = Error::fetch(store.get(&Path::from("k")).await.unwrap_err());
        assert_eq!(
            shown(&error),
            "sqs_extended::Error(Store): the payload could not be fetched: the store denies access (AccessDenied); give \
             these credentials the permission for the request: The operation lacked the necessary privileges to complete \
             for path k: Error performing GET http://HOST/orders/k in TIME: 403 Forbidden: AccessDenied: User: \
             arn:aws:iam::123456789012:user/me is not authorized to perform: s3:GetObject on resource: \
             \"arn:aws:s3:::orders/k\" (request id 4442587FB7D0A2F9)"
        );
        assert!(
            chain(&error).iter().all(|text| !text.contains("<Code>")),
            "{:?}",
            chain(&error)
        );

        // There is no body to explain it.
        let error = Error::store(
            "the payload could not be looked up",
            store.head(&Path::from("k")).await.unwrap_err(),
        );
        assert!(error.to_string().contains("denies access (403 Forbidden)"), "{error}");
    }

    #[tokio::test]
    async fn a_refused_list_is_not_retryable() {
        let expired = "<Error><Code>ExpiredToken</Code><Message>The token has expired</Message></Error>";
        let timed_out = "<Error><Code>RequestTimeout</Code><Message>The connection was idle</Message></Error>";
        for (status, body, is_retryable) in [
            ("404 Not Found", NO_SUCH_BUCKET, false),
            ("403 Forbidden", ACCESS_DENIED, false),
            ("403 Forbidden", "", false),
            ("400 Bad Request", expired, false),
            ("400 Bad Request", timed_out, true),
            ("400 Bad Request", "<html>a page</html>", true),
        ] {
            let listed = store(status, body).list(None).try_collect::<Vec<_>>().await;
            let error = Error::store("the prefix could not be listed", listed.unwrap_err());
            assert_eq!(error.is_retryable(), is_retryable, "{error:?}");
        }
    }

    #[tokio::test]
    async fn rejected_credentials_are_told_from_missing_permissions() {
        let body = "<Error><Code>InvalidAccessKeyId</Code><Message>The key does not exist</Message>\
            <AWSAccessKeyId>a</AWSAccessKeyId></Error>";
        let error = store("403 Forbidden", body).get(&Path::from("k")).await.unwrap_err();
        assert_eq!(
            Error::fetch(error).to_string(),
            "the payload could not be fetched: the store rejects the credentials (InvalidAccessKeyId); check that they \
             are right and have not expired"
        );
    }
}
