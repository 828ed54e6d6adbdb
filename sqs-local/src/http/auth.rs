//! Authentication: access keys that a test adds, revokes and expires, and the check of a request's signature.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::{amz_date, parse_amz_date};
use crate::http::claim::{Claim, incomplete};
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
        let claim = Claim::read(request.headers, request.query)?;
        let key = self.key(&claim)?;
        let scope = claim.credential.scope();
        check_time(&claim, &scope, now_seconds)?;
        check_scope(&scope, region)?;
        let signed_headers: Vec<&str> = claim.signed_headers.iter().map(String::as_str).collect();
        if !signed_headers.contains(&"host") {
            let message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
            return Err(Error::new(&error::BAD_SIGNATURE, message));
        }
        let expected = signature(&key.secret, request, &signed_headers, &scope, &claim.date);
        if expected != claim.signature {
            let message = "The request signature we calculated does not match the signature you provided. Check your \
                           AWS Secret Access Key and signing method. Consult the service documentation for details.";
            return Err(Error::new(&error::BAD_SIGNATURE, message));
        }
        Ok(())
    }

    fn key(&self, claim: &Claim) -> Result<AccessKey> {
        let unknown = || {
            Error::new(
                &error::UNKNOWN_KEY,
                "The security token included in the request is invalid.",
            )
        };
        let known = self.lock().get(&claim.credential.key_id).cloned();
        let (key, standing) = known.ok_or_else(unknown)?;
        if key.session_token != claim.token {
            return Err(unknown());
        }
        if standing == Standing::Expired {
            let message = "The security token included in the request is expired";
            return Err(Error::new(&error::TOKEN_EXPIRED, message));
        }
        Ok(key)
    }
}

fn check_time(claim: &Claim, scope: &Scope<'_>, now: i64) -> Result<()> {
    let date = &claim.date;
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
    let (valid, valid_text) = match claim.expires {
        None => (WINDOW_SECONDS, "15 min.".to_owned()),
        Some(seconds) => (seconds, format!("{seconds} sec.")),
    };
    let (earliest, latest) = (now - valid, now + WINDOW_SECONDS);
    let now = amz_date(now);
    if time < earliest {
        return refuse(format!(
            "Signature expired: {date} is now earlier than {} ({now} - {valid_text})",
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

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

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

    /// Signed by botocore's `SigV4QueryAuth`.
    #[test]
    fn presigned_urls_are_verified_until_they_expire() {
        let signed = "Action=SendMessage&MessageBody=a%20b%2Bc%2F%C3%A9&X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fsqs%2Faws4_request&X-Amz-Date=20150830T123600Z\
            &X-Amz-Expires=60&X-Amz-SignedHeaders=host";
        let plain = "&X-Amz-Signature=a6639bfd23b841540410a2734e4af1efeaff016e91fb424974f73567b0a29bf5";
        let temporary = "&X-Amz-Security-Token=token%2F%2B%3D\
            &X-Amz-Signature=d44306fca1502963e9c902d11c9f98cc709d1a32357dddf39e876ac51195a108";
        let mut headers = HeaderMap::new();
        headers.insert("host", "localhost:9324".parse().expect("a value"));
        let key = AccessKey::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let keys = AccessKeys::default();
        let verify = |query: &str, now| {
            let request = Signed {
                method: "GET",
                path: "/000000000000/orders",
                query,
                headers: &headers,
                body: b"",
            };
            keys.verify(&request, "us-east-1", now).map_err(|e| e.message)
        };
        keys.add(key.clone());
        let url = format!("{signed}{plain}");
        assert_eq!(verify(&url, NOW), Ok(()));
        assert_eq!(verify(&url, NOW + 60), Ok(()));
        let late = verify(&url, NOW + 61).expect_err("late");
        assert_eq!(
            late,
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T123701Z - 60 sec.)"
        );
        for changed in [
            url.replace("Expires=60", "Expires=61"),
            url.replace("a%20b", "a%20c"),
            url.replace("&X-Amz-Algorithm", "&Extra=1&X-Amz-Algorithm"),
        ] {
            let refused = verify(&changed, NOW).expect_err("changed");
            assert!(refused.starts_with("The request signature we calculated"), "{refused}");
        }
        keys.add(key.session_token("token/+="));
        assert_eq!(verify(&format!("{signed}{temporary}"), NOW), Ok(()));
        assert!(verify(&url, NOW).is_err());
    }
}
