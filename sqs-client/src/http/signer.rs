//! AWS Signature Version 4 for the only kind of request that SQS accepts: a POST without a query string.
//!
//! aws-sigv4 computes the keys and HMACs. This file hashes the canonical request, which needs only a dozen lines for
//! one method, no query string and up to five signed headers. The signing key is derived once per day and credential.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::clock::epoch_seconds;
use crate::credentials::Credentials;
use crate::error::Error;

const SERVICE: &str = "sqs";

/// The characters that the canonical request encodes once more in a path: all but RFC 3986's unreserved ones and slashes.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A request to sign.
#[derive(Debug)]
pub(crate) struct Unsigned<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) content_type: &'static str,
    /// `X-Amz-Target` of the JSON protocol.
    pub(crate) target: Option<&'static str>,
    pub(crate) body: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Signer {
    region: String,
    key: Mutex<Option<SigningKey>>,
}

/// The signing key of a day and a credential.
struct SigningKey {
    credentials: Credentials,
    day: String,
    key: Vec<u8>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("day", &self.day)
            .finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            key: Mutex::new(None),
        }
    }

    /// Returns the request's headers except `Host`, signed at this time.
    pub(crate) fn sign(
        &self,
        request: &Unsigned<'_>,
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<HeaderMap, Error> {
        let time = within_calendar(time);
        let timestamp = timestamp(time);
        let day = timestamp.split('T').next().unwrap_or_default();
        let token = credentials.session_token();
        let signed_headers = [
            Some(("content-type", request.content_type)),
            Some(("host", request.host)),
            Some(("x-amz-date", timestamp.as_str())),
            token.map(|token| ("x-amz-security-token", token)),
            request.target.map(|target| ("x-amz-target", target)),
        ];
        let names = join(signed_headers.iter().flatten().map(|(name, _)| *name), ";");
        let scope = [day, "/", &self.region, "/", SERVICE, "/aws4_request"].concat();
        let canonical = canonical_digest(request, signed_headers.iter().flatten(), &names);
        let string_to_sign = ["AWS4-HMAC-SHA256\n", &timestamp, "\n", &scope, "\n", &hex(&canonical)].concat();
        let signature = self.signature(credentials, time.into(), day, string_to_sign.as_bytes());
        let authorization = [
            "AWS4-HMAC-SHA256 Credential=",
            credentials.access_key_id(),
            "/",
            &scope,
            ", SignedHeaders=",
            &names,
            ", Signature=",
            &signature,
        ];

        let mut headers = HeaderMap::with_capacity(signed_headers.len());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(request.content_type));
        headers.insert(header::AUTHORIZATION, secret(authorization.concat())?);
        if let Some(token) = token {
            let name = HeaderName::from_static("x-amz-security-token");
            headers.insert(name, secret(token.to_owned())?);
        }
        if let Some(target) = request.target {
            let name = HeaderName::from_static("x-amz-target");
            headers.insert(name, HeaderValue::from_static(target));
        }
        headers.insert(HeaderName::from_static("x-amz-date"), header_value(timestamp)?);
        Ok(headers)
    }

    fn signature(&self, credentials: &Credentials, time: SystemTime, day: &str, string_to_sign: &[u8]) -> String {
        let mut cached = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match cached.take() {
            Some(key) if key.day == day && key.credentials == *credentials => key,
            _ => SigningKey {
                credentials: credentials.clone(),
                day: day.to_owned(),
                key: generate_signing_key(credentials.secret_access_key(), time, &self.region, SERVICE)
                    .as_ref()
                    .to_vec(),
            },
        };
        calculate_signature(&cached.insert(key).key, string_to_sign)
    }
}

/// Computes the SHA-256 of the canonical request without building the request in memory.
fn canonical_digest<'a>(
    request: &Unsigned<'_>,
    headers: impl Iterator<Item = &'a (&'a str, &'a str)>,
    names: &str,
) -> [u8; 32] {
    let mut canonical = Sha256::new();
    canonical.update("POST\n");
    for part in utf8_percent_encode(request.path, PATH) {
        canonical.update(part);
    }
    // The empty line is the query string.
    canonical.update("\n\n");
    for (name, value) in headers {
        for part in [name, ":", value.trim(), "\n"] {
            canonical.update(part);
        }
    }
    for part in ["\n", names, "\n", &hex(&Sha256::digest(request.body))] {
        canonical.update(part);
    }
    canonical.finalize().into()
}

fn join<'a>(parts: impl Iterator<Item = &'a str>, separator: &str) -> String {
    let mut joined = String::with_capacity(96);
    for part in parts {
        if !joined.is_empty() {
            joined.push_str(separator);
        }
        joined.push_str(part);
    }
    joined
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    text
}

/// Limits a time to the years 1970 to 9999. A signature has four digits for the year, and conversions panic beyond.
fn within_calendar(time: SystemTime) -> OffsetDateTime {
    const LAST: i64 = 253_402_300_799;
    let seconds = epoch_seconds(time).clamp(0, LAST);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Formats a time as `20261121T235113Z`.
fn timestamp(time: OffsetDateTime) -> String {
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Makes a header value that `Debug` does not show.
fn secret(value: String) -> Result<HeaderValue, Error> {
    let mut value = header_value(value)?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_value(value: String) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(value).map_err(|_| {
        Error::credentials("the access key id or session token has characters that a header cannot contain")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const JSON: Unsigned<'_> = Unsigned {
        host: "sqs.us-east-1.amazonaws.com",
        path: "/",
        content_type: "application/x-amz-json-1.0",
        target: Some("AmazonSQS.ListQueues"),
        body: b"{}",
    };

    const QUERY: Unsigned<'_> = Unsigned {
        host: "localhost:9324",
        path: "/000/a%20b",
        content_type: "application/x-www-form-urlencoded; charset=utf-8",
        target: None,
        body: b"Action=ListQueues",
    };

    fn sign(request: &Unsigned<'_>, credentials: &Credentials, seconds: u64, signer: &Signer) -> HeaderMap {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        signer.sign(request, credentials, time).unwrap()
    }

    /// The expected signatures come from botocore 1.44, for the same requests, keys and time.
    #[test]
    fn signatures_match_another_implementation() {
        let signature = |request, credentials: &Credentials| {
            let headers = sign(request, credentials, 1_440_938_160, &Signer::new("us-east-1"));
            assert_eq!(headers["x-amz-date"], "20150830T123600Z");
            headers["authorization"].to_str().unwrap().to_owned()
        };
        let credentials = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        assert_eq!(
            signature(&JSON, &credentials),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sqs/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
             Signature=f1c40a1a374ceab7f866d227903e333798aceb28b452721295229d75ddf72b72"
        );
        assert_eq!(
            signature(&QUERY, &credentials.with_session_token("TOKEN")),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sqs/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
             Signature=23c6af25e7cbb5ca596c960db90b3f4a29148e8af78fc8e076b01078792f77d9"
        );
    }

    #[test]
    fn another_day_or_credential_gets_a_new_key() {
        let (one, two) = (Credentials::new("a", "1"), Credentials::new("a", "2"));
        let reused = Signer::new("us-east-1");
        for (credentials, time) in [(&one, 0), (&one, 1), (&two, 1), (&one, 90_000), (&two, 90_001)] {
            let fresh = sign(&JSON, credentials, time, &Signer::new("us-east-1"));
            assert_eq!(sign(&JSON, credentials, time, &reused), fresh);
        }
    }

    #[test]
    fn a_time_outside_the_calendar_is_signed_as_the_nearest_second_within() {
        let credentials = Credentials::new("AKID", "s");
        let signer = Signer::new("us-east-1");
        for seconds in [253_402_300_800, u64::from(u32::MAX) << 20] {
            let headers = sign(&JSON, &credentials, seconds, &signer);
            assert_eq!(headers["x-amz-date"], "99991231T235959Z", "{seconds}");
        }
        let before_christ = SystemTime::UNIX_EPOCH - Duration::from_secs(400_000_000_000);
        let headers = signer.sign(&JSON, &credentials, before_christ).unwrap();
        assert_eq!(headers["x-amz-date"], "19700101T000000Z");
    }

    #[test]
    fn secrets_are_not_shown() {
        let credentials = Credentials::new("AKID", "hidden").with_session_token("hidden-token");
        let signer = Signer::new("us-east-1");
        let shown = format!("{:?} {signer:?}", sign(&JSON, &credentials, 0, &signer));
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
