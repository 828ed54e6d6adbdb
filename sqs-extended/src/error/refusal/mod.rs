//! A server's refusal, read out of object_store's errors.
//!
//! object_store turns every 404 into `NotFound` and gives no access to the response. But the texts of its nested errors end
//! with the status and the body.

use std::error::Error as StdError;
use std::fmt;

use object_store::Error;

/// The text before the status and the body in object_store's error.
const STATUS: &str = "Server returned non-2xx status code: ";

/// The text between the request and the response in object_store's error.
const REQUEST_END: &str = " - ";

/// The beginning of Google's message about a missing object. A missing bucket has the same reason but another message.
const NO_SUCH_OBJECT: &str = "No such object: ";

/// Google's message about a missing bucket.
const NO_SUCH_BUCKET: &str = "The specified bucket does not exist";

/// The codes of refusals with a 4xx status that say nothing about a later call: throttling under a status of its own, a
/// request that was damaged or delayed in transit, a conflict with a concurrent request, and an upload that is gone, in
/// whose place a later call begins another. For S3's, see
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
const TRANSIENT_CODES: [&str; 13] = [
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InvalidBlockList",
    "NoSuchUpload",
    "OperationAborted",
    "RequestThrottled",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    // MinIO's name of `BadDigest`, for a checksum in a header.
    "XAmzContentChecksumMismatch",
];

/// The maximum length of a server's explanation that an error keeps.
const MAX_EXPLANATION: usize = 4 * 1024;

/// The maximum length of a code, of a bucket's name and of a request id that an error keeps.
const MAX_NAME: usize = 128;

/// The maximum length of other text in a store's error.
const MAX_TEXT: usize = 18 * 1024;

/// A response with an error status. `Display` states each fact once and leaves out markup.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal {
    /// The request, such as `Error performing GET http://localhost:9000/bucket/key in 1ms`.
    request: String,
    /// The status, such as `404 Not Found`.
    status: String,
    /// The code of an XML error.
    code: Option<String>,
    /// The bucket that an XML error names.
    bucket: Option<String>,
    request_id: Option<String>,
    /// The message of an XML or JSON error, else the whole body.
    explanation: String,
}

impl Refusal {
    /// Returns the response that failed the request, or `None` if there was none.
    pub(crate) fn find(error: &Error) -> Option<Self> {
        // The text of the error itself begins with the key, which an untrusted sender may have chosen.
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        causes.find_map(|cause| match cause.downcast_ref::<Self>() {
            Some(refusal) => Some(refusal.clone()),
            None => Self::parse(&cause.to_string()),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (request, response) = text.split_once(STATUS)?;
        let (status, body) = response.split_once(": ").unwrap_or((response, ""));
        let refusal = Self {
            request: one_line(request.strip_suffix(REQUEST_END).unwrap_or(request), MAX_TEXT),
            status: one_line(status, MAX_NAME),
            ..Self::default()
        };
        let Some(code) = xml_code(body) else {
            return Some(Self {
                explanation: one_line(&json_message(body).unwrap_or_else(|| body.to_owned()), MAX_EXPLANATION),
                ..refusal
            });
        };
        Some(Self {
            code: Some(one_line(code, MAX_NAME)),
            bucket: element(body, "BucketName", MAX_NAME),
            request_id: element(body, "RequestId", MAX_NAME),
            explanation: element(body, "Message", MAX_EXPLANATION).unwrap_or_default(),
            ..refusal
        })
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    fn is_missing_bucket(&self) -> bool {
        self.has_code(&["NoSuchBucket", "ContainerNotFound"])
            || self.code.is_none() && self.explanation.starts_with(NO_SUCH_BUCKET)
    }

    fn is_wrong_time(&self) -> bool {
        self.has_code(&["RequestTimeTooSkewed", "RequestExpired"])
    }

    fn rejects_credentials(&self) -> bool {
        const CODES: [&str; 7] = [
            "AuthenticationFailed",
            "ExpiredToken",
            "InvalidAccessKeyId",
            "InvalidAuthenticationInfo",
            "InvalidToken",
            "NoAuthenticationInformation",
            "SignatureDoesNotMatch",
        ];
        self.has_code(&CODES) || self.status.starts_with("401")
    }

    /// Names the bucket, or the URL of the request where the response does not name it.
    fn bucket(&self) -> String {
        let words = |at| self.request.split(' ').skip_while(|word| *word != "performing").nth(at);
        match (&self.bucket, words(2)) {
            (Some(bucket), _) => format!("bucket \"{bucket}\""),
            (None, Some(url)) if url.contains("://") => format!("the bucket or container in {url}"),
            _ => "the bucket or container".to_owned(),
        }
    }

    /// The code of the error, or the status where there is none.
    fn name(&self) -> &str {
        self.code.as_deref().unwrap_or(&self.status)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.status)?;
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        // The advice says the same.
        if !self.explanation.is_empty() && !self.is_missing_bucket() {
            write!(f, ": {}", self.explanation)?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

impl StdError for Refusal {}

/// The resource that a 404 is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// The object, because the store says so.
    Object,
    /// The bucket or the container.
    Bucket,
    /// Unknown: the response is a gateway's page, or that to a HEAD request, which has no body.
    Unclear,
}

impl NotFound {
    /// Returns the resource that does not exist, or `None` for another error.
    pub(crate) fn from_error(error: &Error) -> Option<Self> {
        let Error::NotFound { .. } = error else {
            return None;
        };
        // Stores without a server (memory, folders, tables) say it themselves.
        let Some(refusal) = Refusal::find(error) else {
            return Some(Self::Object);
        };
        Some(match refusal.code.as_deref() {
            Some("NoSuchKey" | "BlobNotFound") => Self::Object,
            Some("NoSuchBucket" | "ContainerNotFound") => Self::Bucket,
            None if refusal.explanation.starts_with(NO_SUCH_OBJECT) => Self::Object,
            _ => Self::Unclear,
        })
    }
}

/// Returns `true` if the store says that it has no such object.
pub(crate) fn is_missing_object(error: &Error) -> bool {
    NotFound::from_error(error) == Some(NotFound::Object)
}

/// Returns `true` if the store says that it has no such upload because it was completed or aborted.
pub(crate) fn is_missing_upload(error: &Error) -> bool {
    // Azure has blocks in place of uploads. They are gone once they are committed.
    Refusal::find(error).is_some_and(|refusal| refusal.has_code(&["NoSuchUpload", "InvalidBlockList"]))
}

/// Returns `true` if the store does not have a part that its upload is completed with.
pub(crate) fn is_missing_part(error: &Error) -> bool {
    Refusal::find(error).is_some_and(|refusal| refusal.has_code(&["InvalidPart"]))
}

/// Returns `true` if the store refused the request for a reason that it names, so that the same request fails again.
pub(super) fn is_final(error: &Error) -> bool {
    let Some(refusal) = Refusal::find(error) else {
        return false;
    };
    let is_status = |status: &str| refusal.status.starts_with(status);
    let is_refused = is_status("4") && !is_status("408") && !is_status("429");
    let is_known = refusal.code.is_some() || advice(error).is_some();
    is_refused && is_known && !refusal.has_code(&TRANSIENT_CODES)
}

/// Returns `true` if the failure says nothing about the request itself: the store did not respond, or is overloaded or down.
pub(crate) fn is_outage(error: &Error) -> bool {
    let Some(refusal) = Refusal::find(error) else {
        return is_without_response(error);
    };
    // Not 500, which some servers respond to requests that they do not support.
    let statuses = ["408", "429", "502", "503", "504"];
    statuses.iter().any(|status| refusal.status.starts_with(status)) || refusal.has_code(&TRANSIENT_CODES)
}

#[cfg(feature = "_http")]
fn is_without_response(error: &Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| cause.is::<object_store::client::HttpError>())
}

#[cfg(not(feature = "_http"))]
fn is_without_response(_: &Error) -> bool {
    false
}

/// Returns the cause of the error and its remedy in plain words, if both are known.
pub(super) fn advice(error: &Error) -> Option<String> {
    let refusal = Refusal::find(error).unwrap_or_default();
    if refusal.is_wrong_time() {
        return Some("the store rejects requests with this machine's time; correct its clock".to_owned());
    }
    if refusal.is_missing_bucket() {
        let bucket = refusal.bucket();
        return Some(format!(
            "{bucket} does not exist; create it or correct the store's settings"
        ));
    }
    let name = match refusal.name() {
        "" => String::new(),
        name => format!(" ({name})"),
    };
    if refusal.rejects_credentials() || matches!(error, Error::Unauthenticated { .. }) {
        let what = "the store rejects the credentials";
        return Some(format!("{what}{name}; check that they are right and have not expired"));
    }
    if refusal.status.starts_with("403") || matches!(error, Error::PermissionDenied { .. }) {
        let what = "the store denies access";
        return Some(format!(
            "{what}{name}; give these credentials the permission for the request"
        ));
    }
    None
}

/// Replaces object_store's nested errors by one that says the same once. Cuts the text of any other error.
pub(super) fn condensed(mut error: Error) -> Error {
    let refusal = Refusal::find(&error);
    let source = match &mut error {
        Error::Generic { source, .. }
        | Error::NotFound { source, .. }
        | Error::NotSupported { source }
        | Error::AlreadyExists { source, .. }
        | Error::Precondition { source, .. }
        | Error::NotModified { source, .. }
        | Error::PermissionDenied { source, .. }
        | Error::Unauthenticated { source, .. } => source,
        // object_store composes the other errors itself, and they are short.
        _ => return error,
    };
    if let Some(refusal) = refusal {
        *source = refusal.into();
        return error;
    }
    let mut text = source.to_string();
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        *source = text.into();
    }
    error
}

/// The code of an XML error. Only the first `Code` counts, because the elements after it may quote the request.
pub(crate) fn xml_code(body: &str) -> Option<&str> {
    let body = body.trim_start_matches('\u{feff}').trim_start();
    let error = match body.strip_prefix("<?xml") {
        Some(declared) => declared.split_once("?>")?.1.trim_start(),
        None => body,
    };
    let (_, code) = error.strip_prefix("<Error")?.split_once("<Code>")?;
    Some(code.split_once("</Code>")?.0.trim())
}

/// The text of the first element of this name in an XML error.
fn element(body: &str, name: &str, max: usize) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain));
    Some(one_line(&text, max)).filter(|text| !text.is_empty())
}

/// The message of a JSON error, as Google's JSON API responds. Its downloads respond with text.
fn json_message(body: &str) -> Option<String> {
    let json = serde_json::from_str::<serde_json::Value>(body).ok()?;
    Some(json.pointer("/error/message")?.as_str()?.to_owned())
}

/// The text with its line breaks and indentation replaced by single spaces, cut to this length.
fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > max {
            line.truncate(line.floor_char_boundary(max));
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests;
