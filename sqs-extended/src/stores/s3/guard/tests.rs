use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::*;

fn xml(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <Resource>/bucket/checksum</Resource></Error>"
    )
}

fn verdict(status: u16, text: &str) -> Verdict {
    Verdict::of(status.try_into().unwrap(), text, Subject::Checksum)
}

/// The refusals of real servers. Most are from reports that name the SDKs' default checksum CRC32.
#[test]
fn refusals_of_real_servers_are_recognized() {
    for (server, status, code, message) in [
        (
            "older Garage",
            400,
            "InvalidRequest",
            "Bad request: invalid checksum algorithm",
        ),
        (
            "MinIO before 2025",
            400,
            "InvalidArgument",
            "Invalid checksum provided.",
        ),
        (
            "Backblaze B2",
            400,
            "InvalidArgument",
            "Unsupported header 'x-amz-checksum-crc32' received for this API call.",
        ),
        (
            "Cloudflare R2",
            501,
            "NotImplemented",
            "Header 'x-amz-checksum-algorithm' with value 'CRC32C' not implemented",
        ),
        (
            "s3proxy",
            501,
            "NotImplemented",
            "A header you provided implies functionality that is not implemented.",
        ),
        ("ministack", 400, "InvalidRequest", "CRC64NVME needs a native library"),
        (
            "a part of an upload without checksums on S3",
            400,
            "InvalidRequest",
            "Checksum Type mismatch occurred, expected checksum Type: null, actual checksum Type: crc64nvme",
        ),
    ] {
        assert_eq!(verdict(status, &xml(code, message)), Verdict::Refused, "{server}");
    }
    for (server, text) in [
        ("a terse server", xml("InvalidArgument", "")),
        (
            "a wrong message",
            xml(
                "InvalidRequestParameter",
                "The value of a parameter in SelectRequest element is invalid.",
            ),
        ),
        (
            "a parser",
            xml("MalformedXML", "The XML you provided was not well-formed."),
        ),
        ("a gateway", "<html>400 Bad Request</html>".to_owned()),
        ("a silent server", String::new()),
    ] {
        assert_eq!(verdict(400, &text), Verdict::Unclear, "{server}");
    }
}

#[test]
fn damaged_bytes_are_no_refusal_of_the_checksum() {
    for (server, code, message) in [
        (
            "S3",
            "BadDigest",
            "The CRC64NVME you specified did not match the calculated checksum.",
        ),
        (
            "MinIO",
            "XAmzContentChecksumMismatch",
            "The provided 'x-amz-checksum' header does not match what was computed.",
        ),
        (
            "Garage",
            "InvalidDigest",
            "Failed to validate checksum for algorithm Crc64Nvme",
        ),
        (
            "another code",
            "InvalidRequest",
            "The x-amz-checksum-crc64nvme you specified did not match what we received.",
        ),
        (
            "another code",
            "InvalidArgument",
            "Io error: checksum mismatch: CRC64NVME",
        ),
    ] {
        assert_eq!(verdict(400, &xml(code, message)), Verdict::Damaged, "{server}");
    }
}

#[test]
fn other_refusals_are_not_about_the_checksum() {
    for code in [
        "EntityTooLarge",
        "InvalidTag",
        "RequestTimeout",
        "IncompleteBody",
        "QuotaExceeded",
        "ExpiredToken",
    ] {
        assert_eq!(verdict(400, &xml(code, "No.")), Verdict::Other, "{code}");
    }
}

#[test]
fn a_completion_is_refused_whatever_the_store_says_of_the_parts() {
    let of = |status: u16, text: &str| Verdict::of(status.try_into().unwrap(), text, Subject::Parts);
    for (code, message) in [
        (
            "BadDigest",
            "The crc64nvme you specified did not match the calculated checksum.",
        ),
        ("InvalidPart", "One or more of the specified parts could not be found."),
        (
            "InvalidDigest",
            "Invalid digest: Invalid checksum for part 1: in request = Some(..), uploaded part = None",
        ),
        ("MalformedXML", "The XML you provided was not well-formed."),
        (
            "InvalidRequest",
            "The upload was created using the FULL_OBJECT checksum mode.",
        ),
    ] {
        assert_eq!(of(400, &xml(code, message)), Verdict::Refused, "{code}");
    }
    assert_eq!(of(501, ""), Verdict::Refused);
    assert_eq!(of(400, &xml("EntityTooSmall", "Too small.")), Verdict::Other);
}

/// Sends these responses in turn.
#[derive(Clone, Debug)]
struct Scripted {
    responses: Arc<Mutex<VecDeque<(u16, String)>>>,
}

#[async_trait]
impl HttpService for Scripted {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (status, body) = self.responses.lock().unwrap().pop_front().expect("no further request");
        let mut response = HttpResponse::new(Bytes::from(body).into());
        *response.status_mut() = status.try_into().unwrap();
        Ok(response)
    }
}

/// The result of a request with this header, where all responses must be used.
async fn call(header: &'static str, responses: &[(u16, String)]) -> Result<(u16, Bytes), ChecksumRefused> {
    let scripted = Scripted {
        responses: Arc::new(Mutex::new(responses.iter().cloned().collect())),
    };
    let mut request = HttpRequest::new(Bytes::from_static(b"bytes").into());
    *request.method_mut() = Method::PUT;
    request.headers_mut().insert(header, "value".try_into().unwrap());
    let result = Guard(HttpClient::new(scripted.clone())).call(request).await;
    assert!(scripted.responses.lock().unwrap().is_empty(), "a request was not made");
    match result {
        Ok(response) => {
            let status = response.status().as_u16();
            Ok((status, response.into_body().bytes().await.unwrap()))
        }
        Err(error) => Err(error
            .source()
            .unwrap()
            .downcast_ref::<ChecksumRefused>()
            .unwrap()
            .clone()),
    }
}

fn ok() -> (u16, String) {
    (200, String::new())
}

fn damaged() -> (u16, String) {
    (
        400,
        xml(
            "BadDigest",
            "The CRC64NVME you specified did not match the calculated checksum.",
        ),
    )
}

fn unclear() -> (u16, String) {
    (400, xml("InvalidArgument", ""))
}

fn named() -> (u16, String) {
    (
        400,
        xml(
            "InvalidArgument",
            "Unsupported header 'x-amz-checksum-crc64nvme' received for this API call.",
        ),
    )
}

#[tokio::test]
async fn a_refusal_that_names_the_checksum_is_enough() {
    for header in [CHECKSUM, ALGORITHM] {
        let refusal = call(header, &[named()]).await.unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "400 Bad Request: InvalidArgument: Unsupported header 'x-amz-checksum-crc64nvme' received for this API call."
        );
    }
    let refusal = call(CHECKSUM, &[(501, String::new())]).await.unwrap_err();
    assert_eq!(refusal.to_string(), "501 Not Implemented");
}

#[tokio::test]
async fn an_unclear_refusal_must_occur_twice() {
    assert!(call(CHECKSUM, &[unclear(), unclear()]).await.is_err());
    assert!(call(CHECKSUM, &[unclear(), named()]).await.is_err());
    let bare = (400, "bad gateway".to_owned());
    assert_eq!(call(CHECKSUM, &[bare, ok()]).await.unwrap().0, 200);
    assert_eq!(call(CHECKSUM, &[unclear(), damaged()]).await.unwrap().0, 400);
}

#[tokio::test]
async fn damaged_bytes_are_sent_again_with_their_checksum() {
    assert_eq!(call(CHECKSUM, &[damaged(), ok()]).await.unwrap().0, 200);
    let (status, body) = call(CHECKSUM, &[damaged(), damaged()]).await.unwrap();
    assert!(status == 400 && body == damaged().1, "the response must stay as it is");
    // A store that found damage knows the checksum.
    for then in [named(), unclear(), (501, String::new())] {
        assert_eq!(call(CHECKSUM, &[damaged(), then.clone()]).await.unwrap().0, then.0);
    }
}

#[tokio::test]
async fn other_responses_pass_unchanged() {
    for (status, body) in [
        ok(),
        (403, xml("AccessDenied", "Not with this checksum.")),
        (404, xml("NoSuchBucket", "")),
        (409, xml("OperationAborted", "checksum")),
        (412, String::new()),
        (500, xml("InternalError", "Io error: checksum mismatch: CRC64NVME")),
        (503, xml("SlowDown", "")),
        (507, xml("QuotaExceeded", "")),
        (400, xml("EntityTooLarge", "")),
    ] {
        let passed = call(CHECKSUM, &[(status, body.clone())]).await.unwrap();
        assert_eq!(passed, (status, body.into()));
    }
}

#[tokio::test]
async fn a_request_without_a_checksum_is_not_guarded() {
    for response in [named(), unclear(), damaged(), (501, String::new())] {
        let passed = call("x-amz-checksum-sha256", std::slice::from_ref(&response))
            .await
            .unwrap();
        assert_eq!(passed, (response.0, response.1.into()));
    }
}
