//! S3 in memory, under object_store's HTTP client.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};

const CHECKSUM: &str = "x-amz-checksum-crc64nvme";

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    Begin,
    Part,
    Complete,
    Abort,
    Get,
}

/// A request as the store received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    /// It has a checksum, an algorithm, or parts with checksums.
    pub(super) is_checked: bool,
    pub(super) is_signed: bool,
}

/// A status, a code and a message.
pub(super) type Refusal = (u16, &'static str, &'static str);

type Refuse = dyn Fn(&Seen, &Bytes) -> Option<Refusal> + Send + Sync;

#[derive(Clone)]
pub(super) struct FakeS3(Arc<State>);

struct State {
    refuse: Box<Refuse>,
    /// Verifies checksums and returns them, as S3 does.
    knows_checksums: bool,
    seen: Mutex<Vec<Seen>>,
    objects: Mutex<BTreeMap<String, Bytes>>,
    uploads: Mutex<BTreeMap<String, Upload>>,
}

#[derive(Default)]
struct Upload {
    is_checked: bool,
    parts: BTreeMap<String, Bytes>,
}

impl FakeS3 {
    /// Knows checksums and verifies them.
    pub(super) fn verifying() -> Self {
        Self::new(true, |_, _| None)
    }

    /// Ignores checksums.
    pub(super) fn ignoring() -> Self {
        Self::new(false, |_, _| None)
    }

    /// Does not know checksums, and refuses what `refuse` says.
    pub(super) fn refusing(refuse: impl Fn(&Seen, &Bytes) -> Option<Refusal> + Send + Sync + 'static) -> Self {
        Self::new(false, refuse)
    }

    pub(super) fn new(
        knows_checksums: bool,
        refuse: impl Fn(&Seen, &Bytes) -> Option<Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(State {
            refuse: Box::new(refuse),
            knows_checksums,
            seen: Mutex::default(),
            objects: Mutex::default(),
            uploads: Mutex::default(),
        }))
    }

    /// Returns the requests since the last call, as kinds with `true` for those with a checksum.
    pub(super) fn take(&self) -> Vec<(Kind, bool)> {
        let seen = std::mem::take(&mut *self.0.seen.lock().unwrap());
        assert!(
            seen.iter().all(|seen| !seen.is_signed || seen.kind == Kind::Complete),
            "a payload was signed: {seen:?}"
        );
        seen.iter().map(|seen| (seen.kind, seen.is_checked)).collect()
    }

    pub(super) fn object(&self, key: &str) -> Option<Bytes> {
        self.0.objects.lock().unwrap().get(key).cloned()
    }

    /// Begins an upload as another process does that sends no checksums.
    pub(super) fn begin_unchecked(&self, id: &str) {
        self.0.uploads.lock().unwrap().insert(id.to_owned(), Upload::default());
    }

    fn respond(&self, seen: Seen, request: &Parsed) -> Result<(String, HeaderMap), Refusal> {
        if let Some(refusal) = (self.0.refuse)(&seen, &request.body) {
            return Err(refusal);
        }
        let sent = request.headers.get(CHECKSUM).map(|sum| sum.to_str().unwrap());
        let verifies = self.0.knows_checksums && sent.is_some();
        if verifies && sent != Some(&crc64(&request.body)) {
            return Err((
                400,
                "BadDigest",
                "The CRC64NVME you specified did not match the calculated checksum.",
            ));
        }
        let mut headers = HeaderMap::new();
        headers.insert("etag", format!("\"{}\"", crc64(&request.body)).try_into().unwrap());
        if verifies {
            headers.insert(CHECKSUM, sent.unwrap().try_into().unwrap());
        }
        let mut uploads = self.0.uploads.lock().unwrap();
        let mut objects = self.0.objects.lock().unwrap();
        let body = match seen.kind {
            Kind::Put => {
                objects.insert(request.key.clone(), request.body.clone());
                String::new()
            }
            Kind::Begin => {
                let id = format!("upload-{}", uploads.len());
                let upload = Upload {
                    is_checked: seen.is_checked,
                    ..Upload::default()
                };
                uploads.insert(id.clone(), upload);
                format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>")
            }
            Kind::Part => {
                let upload = uploads.get_mut(&request.query["uploadId"]).unwrap();
                if self.0.knows_checksums && upload.is_checked != seen.is_checked {
                    let message = "Checksum Type mismatch occurred, expected checksum Type: null";
                    return Err((400, "InvalidRequest", message));
                }
                let number = format!("{:05}", request.query["partNumber"].parse::<u32>().unwrap());
                upload.parts.insert(number, request.body.clone());
                String::new()
            }
            Kind::Complete => {
                let id = &request.query["uploadId"];
                let named = std::str::from_utf8(&request.body).unwrap().replace("&quot;", "\"");
                let stored = uploads.remove(id).ok_or((404, "NoSuchUpload", "Gone."))?;
                for part in stored.parts.values() {
                    let sum = crc64(part);
                    assert!(named.contains(&format!("<ETag>\"{sum}\"</ETag>")), "{named}");
                    let with_checksum = named.contains(&format!("<ChecksumCRC64NVME>{sum}</ChecksumCRC64NVME>"));
                    assert_eq!(with_checksum, seen.is_checked, "{named}");
                }
                assert_eq!(named.matches("<ETag>").count(), stored.parts.len());
                let whole: Vec<u8> = stored.parts.values().flatten().copied().collect();
                objects.insert(request.key.clone(), whole.into());
                "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>".to_owned()
            }
            Kind::Abort => {
                uploads.remove(&request.query["uploadId"]);
                String::new()
            }
            Kind::Get => {
                headers.insert("last-modified", "Thu, 26 Nov 2026 17:00:00 GMT".try_into().unwrap());
                let object = objects.get(&request.key).ok_or((404, "NoSuchKey", "Missing."))?;
                String::from_utf8(object.to_vec()).unwrap()
            }
        };
        Ok((body, headers))
    }
}

impl fmt::Debug for FakeS3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeS3")
    }
}

impl HttpConnector for FakeS3 {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

struct Parsed {
    key: String,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
}

#[async_trait]
impl HttpService for FakeS3 {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        // Side by side, requests arrive before the first one is refused.
        tokio::task::yield_now().await;
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let request = Parsed {
            key: parts.uri.path().trim_start_matches("/bucket/").to_owned(),
            query: query.into_owned().collect(),
            headers: parts.headers,
            body,
        };
        let kind = match (parts.method, request.query.contains_key("uploadId")) {
            (Method::PUT, true) => Kind::Part,
            (Method::PUT, false) => Kind::Put,
            (Method::POST, true) => Kind::Complete,
            (Method::POST, false) => Kind::Begin,
            (Method::DELETE, true) => Kind::Abort,
            (Method::GET, false) => Kind::Get,
            (method, _) => panic!("unexpected {method}"),
        };
        let has = |name| request.headers.contains_key(name);
        let seen = Seen {
            kind,
            is_checked: has(CHECKSUM)
                || has("x-amz-checksum-algorithm")
                || contains(&request.body, "<ChecksumCRC64NVME>"),
            is_signed: request.headers["x-amz-content-sha256"] != "UNSIGNED-PAYLOAD",
        };
        self.0.seen.lock().unwrap().push(seen);
        let (status, body, headers) = match self.respond(seen, &request) {
            Ok((body, headers)) => (200, body, headers),
            Err((status, "", message)) => (status, message.to_owned(), HeaderMap::new()),
            Err((status, code, message)) => {
                let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
                (status, body, HeaderMap::new())
            }
        };
        let mut response = HttpResponse::new(Bytes::from(body.clone()).into());
        *response.status_mut() = u16::try_into(status).unwrap();
        *response.headers_mut() = headers;
        response.headers_mut().insert("content-length", body.len().into());
        Ok(response)
    }
}

fn contains(body: &Bytes, text: &str) -> bool {
    std::str::from_utf8(body).is_ok_and(|body| body.contains(text))
}

fn crc64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes())
}
