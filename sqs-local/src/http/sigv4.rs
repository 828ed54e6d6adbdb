//! AWS Signature Version 4, written from AWS's description and independent of the client's signer.

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The signed parts of a request.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    /// The path as on the wire, still encoded.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// A signature's scope, which its key is derived from.
pub(crate) struct Scope<'a> {
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// Returns the signature in hex.
pub(crate) fn signature(secret: &str, request: &Signed<'_>, headers: &[&str], scope: &Scope<'_>, date: &str) -> String {
    let canonical = canonical_request(request, headers);
    let Scope {
        date: day,
        region,
        service,
    } = scope;
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{day}/{region}/{service}/aws4_request\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let first = format!("AWS4{secret}").into_bytes();
    let steps = [*day, *region, *service, "aws4_request", &to_sign];
    hex::encode(steps.iter().fold(first, |key, step| hmac(&key, step)))
}

fn hmac(key: &[u8], data: &str) -> Vec<u8> {
    // HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(data.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn canonical_request(request: &Signed<'_>, names: &[&str]) -> String {
    // All services except S3 encode the already encoded path again.
    let path = percent_encode(request.path.as_bytes(), PATH);
    let headers: String = names
        .iter()
        .map(|n| format!("{n}:{}\n", header(request.headers, n)))
        .collect();
    format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{}",
        request.method,
        canonical_query(request.query),
        names.join(";"),
        hex::encode(Sha256::digest(request.body)),
    )
}

/// Returns a header's values with normalized white space.
fn header(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    let simple = values.map(|v| v.split_whitespace().collect::<Vec<_>>().join(" "));
    simple.collect::<Vec<_>>().join(",")
}

fn canonical_query(query: &str) -> String {
    let again = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&decoded, UNRESERVED).to_string()
    };
    let pairs = query.split('&').filter(|p| !p.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        // A presigned URL's own signature is the only parameter that is not signed.
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| (again(name), again(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const DATE: &str = "20150830T123600Z";

    fn sign(query: &str, headers: &[(&'static str, &'static str)], service: &str) -> String {
        let map = headers
            .iter()
            .map(|(n, v)| ((*n).parse().expect("a name"), (*v).parse().expect("a value")));
        let map: HeaderMap = map.collect();
        let names: Vec<&str> = headers.iter().map(|(n, _)| *n).collect();
        let request = Signed {
            method: "GET",
            path: "/",
            query,
            headers: &map,
            body: b"",
        };
        let scope = Scope {
            date: "20150830",
            region: "us-east-1",
            service,
        };
        signature(SECRET, &request, &names, &scope, DATE)
    }

    /// The worked example in AWS's description of Signature Version 4.
    #[test]
    fn the_signature_equals_the_published_example() {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", DATE),
        ];
        assert_eq!(
            sign("Action=ListUsers&Version=2010-05-08", &headers, "iam"),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    /// Two cases of AWS's test suite: `get-vanilla` and `get-vanilla-query-order-key-case`.
    #[test]
    fn signatures_equal_those_of_aws_test_suite() {
        let headers = [("host", "example.amazonaws.com"), ("x-amz-date", DATE)];
        assert_eq!(
            sign("", &headers, "service"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            sign("Param2=value2&Param1=value1", &headers, "service"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        );
    }
}
