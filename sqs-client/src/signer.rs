//! AWS Signature Version 4 for the one shape of request that SQS takes: a POST without a query string.
//!
//! The keys and HMACs are aws-sigv4's; the canonical request is written here, since with one method, one path and
//! at most five signed headers it is a dozen lines, and the signing key is derived once a day and credential, not once a
//! request.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::credentials::Credentials;
use crate::error::Error;

const SERVICE: &str = "sqs";

/// What a path is encoded with once more for the canonical request: all but RFC 3986's unreserved, and slashes.
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
    /// `X-Amz-Target`, for the JSON protocol.
    pub(crate) target: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Signer {
    region: String,
    key: Mutex<Option<SigningKey>>,
}

/// The key of a day and a credential.
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

    /// The request's headers, `Host` aside, with its signature of this time.
    pub(crate) fn sign(
        &self,
        request: &Unsigned<'_>,
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<HeaderMap, Error> {
        let timestamp = timestamp(time);
        let day = timestamp.split('T').next().unwrap_or_default();
        let token = credentials.session_token();
        let mut signed_headers = vec![
            ("content-type", request.content_type),
            ("host", request.host),
            ("x-amz-date", timestamp.as_str()),
        ];
        signed_headers.extend(token.map(|token| ("x-amz-security-token", token)));
        signed_headers.extend(request.target.map(|target| ("x-amz-target", target)));

        let names = join(signed_headers.iter().map(|(name, _)| *name), ";");
        let scope = format!("{day}/{}/{SERVICE}/aws4_request", self.region);
        let canonical = canonical_request(request, &signed_headers, &names);
        let string_to_sign = format!(
            "AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{}",
            sha256_hex(canonical.as_bytes())
        );
        let signature = self.signature(credentials, time, day, string_to_sign.as_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            credentials.access_key_id()
        );

        let mut headers = HeaderMap::with_capacity(signed_headers.len() + 1);
        for (name, value) in signed_headers {
            if name != "host" {
                headers.insert(HeaderName::from_static(name), header_value(value)?);
            }
        }
        headers.insert(header::AUTHORIZATION, header_value(&authorization)?);
        for secret in ["authorization", "x-amz-security-token"] {
            if let Some(value) = headers.get_mut(secret) {
                value.set_sensitive(true);
            }
        }
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

fn canonical_request(request: &Unsigned<'_>, headers: &[(&str, &str)], names: &str) -> String {
    let mut canonical = String::with_capacity(512);
    canonical.push_str("POST\n");
    canonical.extend(utf8_percent_encode(request.path, PATH));
    // No query string.
    canonical.push_str("\n\n");
    for (name, value) in headers {
        canonical.extend([name, ":", value.trim(), "\n"]);
    }
    canonical.extend(["\n", names, "\n", &sha256_hex(request.body)]);
    canonical
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

fn sha256_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// `20261121T235113Z`.
fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
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

fn header_value(value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value)
        .map_err(|_| Error::credentials("the access key id or session token has characters that no header can carry"))
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

    /// The expected signatures are botocore 1.44's of the same requests, keys and time.
    #[test]
    fn signatures_are_those_of_another_implementation() {
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
    fn the_key_is_derived_anew_for_another_day_or_credential() {
        let (one, two) = (Credentials::new("a", "1"), Credentials::new("a", "2"));
        let reused = Signer::new("us-east-1");
        for (credentials, time) in [(&one, 0), (&one, 1), (&two, 1), (&one, 90_000), (&two, 90_001)] {
            let fresh = sign(&JSON, credentials, time, &Signer::new("us-east-1"));
            assert_eq!(sign(&JSON, credentials, time, &reused), fresh);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let credentials = Credentials::new("AKID", "hidden").with_session_token("hidden-token");
        let signer = Signer::new("us-east-1");
        let shown = format!("{:?} {signer:?}", sign(&JSON, &credentials, 0, &signer));
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
