//! Authentication: access keys that a test adds, revokes and expires, and the check of a request's signature.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::HeaderMap;

use crate::clock::{amz_date, parse_amz_date};
use crate::http::sigv4::{Scope, Signed, signature};
use crate::protocol::error::{self, Error, Result};

const WINDOW_SECONDS: i64 = 15 * 60;

/// An access key that the server accepts.
#[derive(Clone)]
pub struct AccessKey {
    id: String,
    secret: String,
    session_token: Option<String>,
}

impl AccessKey {
    /// Creates a long-term key.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
            session_token: None,
        }
    }

    /// Makes the key a temporary one, whose requests must have this token.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The keys that the server accepts. They can change while it runs.
#[derive(Debug, Default)]
pub struct AccessKeys(Mutex<HashMap<String, (AccessKey, Standing)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Valid,
    Expired,
}

impl AccessKeys {
    /// Adds a key, or replaces the key with the same id.
    pub fn add(&self, key: AccessKey) {
        self.lock().insert(key.id.clone(), (key, Standing::Valid));
    }

    /// Revokes a key. Its requests then fail with `InvalidClientTokenId`.
    pub fn revoke(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Expires a key. Its requests then fail with `ExpiredToken`.
    pub fn expire(&self, id: &str) {
        if let Some((_, standing)) = self.lock().get_mut(id) {
            *standing = Standing::Expired;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (AccessKey, Standing)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the signature of a request that arrives at `now_seconds`.
    pub(crate) fn verify(&self, request: &Signed<'_>, region: &str, now_seconds: i64) -> Result<()> {
        let Some(header) = text(request.headers, "authorization") else {
            return Err(Error::new(&error::UNSIGNED, "Request is missing Authentication Token"));
        };
        let given = Authorization::read(header)?;
        let key = self.key(&given, request.headers)?;
        let date = text(request.headers, "x-amz-date").ok_or_else(|| {
            incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        })?;
        check_time(date, &given.scope, now_seconds)?;
        check_scope(&given.scope, region)?;
        if !given.signed_headers.contains(&"host") {
            let message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
            return Err(Error::new(&error::BAD_SIGNATURE, message));
        }
        let expected = signature(&key.secret, request, &given.signed_headers, &given.scope, date);
        if expected != given.signature {
            let message = "The request signature we calculated does not match the signature you provided. Check your \
                           AWS Secret Access Key and signing method. Consult the service documentation for details.";
            return Err(Error::new(&error::BAD_SIGNATURE, message));
        }
        Ok(())
    }

    fn key(&self, given: &Authorization<'_>, headers: &HeaderMap) -> Result<AccessKey> {
        let unknown = || {
            Error::new(
                &error::UNKNOWN_KEY,
                "The security token included in the request is invalid.",
            )
        };
        let known = self.lock().get(given.key_id).cloned();
        let (key, standing) = known.ok_or_else(unknown)?;
        if key.session_token.as_deref() != text(headers, "x-amz-security-token") {
            return Err(unknown());
        }
        if standing == Standing::Expired {
            let message = "The security token included in the request is expired";
            return Err(Error::new(&error::TOKEN_EXPIRED, message));
        }
        Ok(key)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn check_time(date: &str, scope: &Scope<'_>, now: i64) -> Result<()> {
    let time = parse_amz_date(date);
    let time = time.ok_or_else(|| incomplete("Date must be in ISO-8601 'basic format'."))?;
    let refuse = |message: String| Err(Error::new(&error::BAD_SIGNATURE, message));
    if !date.starts_with(scope.date) {
        return refuse(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{date}'.",
            scope.date,
            date.get(..8).unwrap_or_default()
        ));
    }
    let (earliest, latest) = (now - WINDOW_SECONDS, now + WINDOW_SECONDS);
    let now = amz_date(now);
    if time < earliest {
        return refuse(format!(
            "Signature expired: {date} is now earlier than {} ({now} - 15 min.)",
            amz_date(earliest)
        ));
    }
    if time > latest {
        return refuse(format!(
            "Signature not yet current: {date} is still later than {} ({now} + 15 min.)",
            amz_date(latest)
        ));
    }
    Ok(())
}

fn check_scope(scope: &Scope<'_>, region: &str) -> Result<()> {
    let refuse = |message: String| Err(Error::new(&error::BAD_SIGNATURE, message));
    if scope.region != region {
        return refuse(format!(
            "Credential should be scoped to a valid region, not '{}'. ",
            scope.region
        ));
    }
    if scope.service != "sqs" {
        return refuse(format!(
            "Credential should be scoped to correct service: 'sqs', not '{}'. ",
            scope.service
        ));
    }
    Ok(())
}

fn incomplete(message: &str) -> Error {
    Error::new(&error::INCOMPLETE_SIGNATURE, message)
}

/// The parts of an Authorization header.
struct Authorization<'a> {
    key_id: &'a str,
    scope: Scope<'a>,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn read(header: &'a str) -> Result<Self> {
        let parts = header.strip_prefix("AWS4-HMAC-SHA256");
        let parts = parts.ok_or_else(|| incomplete("Authorization header is not of AWS4-HMAC-SHA256."))?;
        let part = |name: &str| {
            let found = parts
                .split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter.")))
        };
        let credential: Vec<&str> = part("Credential")?.split('/').collect();
        let [key_id, date, region, service, "aws4_request"] = credential[..] else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, the last of them 'aws4_request'.",
            ));
        };
        Ok(Self {
            key_id,
            scope: Scope { date, region, service },
            signed_headers: part("SignedHeaders")?.split(';').collect(),
            signature: part("Signature")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "20150830T123600Z";
    const NOW: i64 = 1_440_938_160;

    /// Signs a request with a secret, and verifies it with the keys.
    fn verify(keys: &AccessKeys, secret: &str, token: Option<&str>, now: i64) -> Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert("host", "localhost".parse().expect("a value"));
        headers.insert("x-amz-date", DATE.parse().expect("a value"));
        if let Some(token) = token {
            headers.insert("x-amz-security-token", token.parse().expect("a value"));
        }
        let scope = Scope {
            date: "20150830",
            region: "us-east-1",
            service: "sqs",
        };
        let unsigned = Signed {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
            body: b"{}",
        };
        let signature = signature(secret, &unsigned, &["host", "x-amz-date"], &scope, DATE);
        let header = format!(
            "AWS4-HMAC-SHA256 Credential=k/20150830/us-east-1/sqs/aws4_request, SignedHeaders=host;x-amz-date, \
             Signature={signature}"
        );
        let mut headers = headers.clone();
        headers.insert("authorization", header.parse().expect("a value"));
        keys.verify(
            &Signed {
                headers: &headers,
                ..unsigned
            },
            "us-east-1",
            now,
        )
    }

    #[test]
    fn keys_can_be_added_expired_and_revoked() {
        let code = |result: Result<()>| result.map_err(|e| e.code.query);
        let keys = AccessKeys::default();
        assert_eq!(code(verify(&keys, "s", None, NOW)), Err("InvalidClientTokenId"));
        keys.add(AccessKey::new("k", "s"));
        assert_eq!(code(verify(&keys, "s", None, NOW)), Ok(()));
        assert_eq!(code(verify(&keys, "wrong", None, NOW)), Err("SignatureDoesNotMatch"));
        assert_eq!(code(verify(&keys, "s", Some("t"), NOW)), Err("InvalidClientTokenId"));
        keys.add(AccessKey::new("k", "s").session_token("t"));
        assert_eq!(code(verify(&keys, "s", Some("t"), NOW)), Ok(()));
        assert_eq!(code(verify(&keys, "s", None, NOW)), Err("InvalidClientTokenId"));
        keys.expire("k");
        assert_eq!(code(verify(&keys, "s", Some("t"), NOW)), Err("ExpiredToken"));
        keys.revoke("k");
        assert_eq!(code(verify(&keys, "s", Some("t"), NOW)), Err("InvalidClientTokenId"));
    }

    #[test]
    fn signatures_are_accepted_for_fifteen_minutes() {
        let keys = AccessKeys::default();
        keys.add(AccessKey::new("k", "s"));
        let message = |now| verify(&keys, "s", None, now).map_err(|e| e.message);
        assert_eq!(message(NOW + 900), Ok(()));
        let late = message(NOW + 901).expect_err("late");
        assert_eq!(
            late,
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
        );
        let early = message(NOW - 901).expect_err("early");
        assert!(early.starts_with("Signature not yet current"), "{early}");
    }

    #[test]
    fn unsigned_and_malformed_requests_are_refused() {
        let keys = AccessKeys::default();
        let code = |authorization: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = authorization {
                headers.insert("authorization", value.parse().expect("a value"));
            }
            let request = Signed {
                method: "POST",
                path: "/",
                query: "",
                headers: &headers,
                body: b"",
            };
            keys.verify(&request, "us-east-1", NOW).map_err(|e| e.code.query)
        };
        assert_eq!(code(None), Err("MissingAuthenticationToken"));
        assert_eq!(code(Some("Bearer x")), Err("IncompleteSignature"));
        assert_eq!(
            code(Some("AWS4-HMAC-SHA256 Credential=k/20150830")),
            Err("IncompleteSignature")
        );
    }
}
