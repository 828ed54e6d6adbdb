//! AWS Signature Version 4 for the few requests that prepare a server. They have no query, and paths that need no
//! escaping. It is independent of the client's signer, which the tests check.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::http::Request;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The scope of a signature.
pub(super) struct Scope<'a> {
    /// `YYYYMMDDThhmmssZ`
    pub(super) date: String,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl Scope<'_> {
    fn day(&self) -> &str {
        self.date.split('T').next().unwrap_or_default()
    }
}

/// Returns the date of a signature made now, because a real server compares it with the real time.
pub(super) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let (year, month, day) = now.to_calendar_date();
    let (hour, minute, second) = now.to_hms();
    format!(
        "{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z",
        u8::from(month)
    )
}

/// Signs a request to `host`, and adds the signature's headers.
pub(super) fn sign((access_key, secret_key): (&str, &str), scope: &Scope<'_>, host: &str, request: &mut Request<'_>) {
    let Request { method, path, body, .. } = request;
    let date = &scope.date;
    let digest = hex::encode(Sha256::digest(body));
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let canonical_headers = format!("host:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{date}\n");
    let canonical = format!("{method}\n{path}\n\n{canonical_headers}\n{signed}\n{digest}");

    let credential = format!("{}/{}/{}/aws4_request", scope.day(), scope.region, scope.service);
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{credential}\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let signature = hex::encode(hmac(&signing_key(secret_key, scope), &to_sign));
    let credential = format!("{access_key}/{credential}");
    request.headers.extend([
        ("x-amz-date", date.clone()),
        ("x-amz-content-sha256", digest),
        (
            "authorization",
            format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}"),
        ),
    ]);
}

fn signing_key(secret_key: &str, scope: &Scope<'_>) -> Vec<u8> {
    let key = format!("AWS4{secret_key}").into_bytes();
    [scope.day(), scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(key, |key, part| hmac(&key, part))
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in AWS's documentation, "Create a signed request".
    #[test]
    fn the_signing_key_equals_the_published_example() {
        let scope = Scope {
            date: "20150830T123600Z".to_owned(),
            region: "us-east-1",
            service: "iam",
        };
        let key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope);
        assert_eq!(
            hex::encode(key),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }

    #[test]
    fn dates_have_the_compact_form() {
        let now = now();
        assert_eq!(now.len(), "20150830T123600Z".len());
        assert!(now.ends_with('Z') && now.get(8..9) == Some("T"), "{now}");
    }
}
