//! Recognizes responses by which a store refuses checksums.

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use crate::error::refusal::xml_code;

/// The header with the checksum of an object or a part.
const CHECKSUM: &str = "x-amz-checksum-crc64nvme";

/// The header with the algorithm of an upload's checksums.
const ALGORITHM: &str = "x-amz-checksum-algorithm";

/// The element of a completion with the checksum of a part.
const PART_CHECKSUM: &str = "<ChecksumCRC64NVME>";

/// The codes by which a store says that the bytes do not have their checksum.
const MISMATCHES: [&str; 4] = [
    "BadDigest",
    "InvalidDigest",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
];

/// The words of a message that says the same under another code, in lower case.
const MISMATCH_WORDS: [&str; 4] = [
    "checksum mismatch",
    "not match",
    "failed to validate",
    "verification failed",
];

/// The codes of refusals that may be about the checksum although their message does not say so.
const UNCLEAR: [&str; 6] = [
    "InvalidArgument",
    "InvalidPart",
    "InvalidRequest",
    "InvalidRequestParameter",
    "MalformedXML",
    "NotImplemented",
];

/// The maximum length of a store's message in a log.
const MAX_MESSAGE: usize = 200;

/// A refusal of a request because of its checksum. The same request without the checksum may succeed.
#[derive(Clone, Debug)]
pub(super) struct ChecksumRefused {
    status: StatusCode,
    code: String,
    message: String,
}

impl ChecksumRefused {
    /// Returns the refusal that is a cause of the error.
    pub(super) fn find(error: &object_store::Error) -> Option<Self> {
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        causes.find_map(|cause| cause.downcast_ref().cloned())
    }
}

impl fmt::Display for ChecksumRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        Ok(())
    }
}

impl StdError for ChecksumRefused {}

/// Gives out one client for all connections, so that two stores share it. A guarded client recognizes refused checksums.
#[derive(Clone, Debug)]
pub(super) enum SharedClient {
    Guarded(HttpClient),
    Plain(HttpClient),
}

impl HttpConnector for SharedClient {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(match self {
            Self::Guarded(http) => HttpClient::new(Guard(http.clone())),
            Self::Plain(http) => http.clone(),
        })
    }
}

/// Turns a response that refuses a checksum into the error [`ChecksumRefused`], which object_store does not repeat. It
/// would repeat a request for minutes that the store refuses with status 501.
#[derive(Debug)]
struct Guard(HttpClient);

#[async_trait]
impl HttpService for Guard {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let Some(subject) = Subject::of(&request) else {
            return self.0.execute(request).await;
        };
        let again = request.clone();
        let first = Judged::new(self.0.execute(request).await?, subject).await?;
        match first.verdict {
            Verdict::Other => return Ok(first.response),
            Verdict::Refused => return Err(first.into_error()),
            Verdict::Damaged => tracing::warn!(
                response = %first.refusal(),
                "the store computed another checksum of a payload's bytes; sending them again"
            ),
            // A gateway can fail once.
            Verdict::Unclear => {}
        }
        let second = Judged::new(self.0.execute(again).await?, subject).await?;
        match (first.verdict, second.verdict) {
            (Verdict::Unclear, Verdict::Unclear | Verdict::Refused) => Err(second.into_error()),
            // A store that found damage knows the checksum, so its error counts.
            _ => Ok(second.response),
        }
    }
}

/// The part of a request that concerns checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// The checksum of the request's bytes, or the algorithm of an upload.
    Checksum,
    /// The checksums of an upload's parts, as the store itself returned them.
    Parts,
}

impl Subject {
    fn of(request: &HttpRequest) -> Option<Self> {
        let headers = request.headers();
        if headers.contains_key(CHECKSUM) || headers.contains_key(ALGORITHM) {
            return Some(Self::Checksum);
        }
        let is_completion = request.method() == Method::POST;
        let body = request.body().as_bytes().filter(|_| is_completion)?;
        let body = std::str::from_utf8(body).ok()?;
        body.contains(PART_CHECKSUM).then_some(Self::Parts)
    }
}

/// The meaning of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The response is not about the checksum.
    Other,
    /// The bytes do not have the checksum.
    Damaged,
    /// The store may not know the checksum.
    Unclear,
    /// The store does not know the checksum.
    Refused,
}

impl Verdict {
    fn of(status: StatusCode, text: &str, subject: Subject) -> Self {
        let code = xml_code(text);
        let is_code = |codes: &[&str]| code.is_some_and(|code| codes.contains(&code));
        let message = message(text).to_ascii_lowercase();
        let names_checksum = message.contains("checksum") || message.contains("crc64");
        let is_damaged =
            is_code(&MISMATCHES) || names_checksum && MISMATCH_WORDS.iter().any(|word| message.contains(word));
        let is_unclear = code.is_none() || is_code(&UNCLEAR);
        match (status, subject) {
            (StatusCode::NOT_IMPLEMENTED, _) => Self::Refused,
            // No byte is at stake: the store verified each part on its arrival, and contradicts itself now.
            (_, Subject::Parts) if is_damaged || names_checksum || is_unclear => Self::Refused,
            (_, Subject::Parts) => Self::Other,
            (_, Subject::Checksum) if is_damaged => Self::Damaged,
            (_, Subject::Checksum) if names_checksum => Self::Refused,
            (_, Subject::Checksum) if is_unclear => Self::Unclear,
            (_, Subject::Checksum) => Self::Other,
        }
    }
}

/// A response with its meaning.
struct Judged {
    verdict: Verdict,
    response: HttpResponse,
    text: String,
}

impl Judged {
    async fn new(response: HttpResponse, subject: Subject) -> Result<Self, HttpError> {
        let status = response.status();
        if status != StatusCode::BAD_REQUEST && status != StatusCode::NOT_IMPLEMENTED {
            return Ok(Self {
                verdict: Verdict::Other,
                response,
                text: String::new(),
            });
        }
        let (parts, body) = response.into_parts();
        // `StoreConnector` has limited its length.
        let body = body.bytes().await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Self {
            verdict: Verdict::of(status, &text, subject),
            response: HttpResponse::from_parts(parts, body.into()),
            text,
        })
    }

    fn refusal(&self) -> ChecksumRefused {
        let message: String = message(&self.text).chars().take(MAX_MESSAGE).collect();
        ChecksumRefused {
            status: self.response.status(),
            code: xml_code(&self.text).unwrap_or_default().to_owned(),
            message,
        }
    }

    fn into_error(self) -> HttpError {
        HttpError::new(HttpErrorKind::Unknown, self.refusal())
    }
}

/// The message of an XML error, else the whole text.
fn message(text: &str) -> &str {
    if xml_code(text).is_none() {
        return text;
    }
    let message = text
        .split_once("<Message>")
        .and_then(|(_, rest)| rest.split_once("</Message>"));
    message.map_or("", |(message, _)| message)
}

#[cfg(test)]
mod tests;
