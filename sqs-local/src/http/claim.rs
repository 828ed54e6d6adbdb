//! A request's claim to be signed: its Authorization header, or the parameters of a presigned URL.

use hyper::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::http::sigv4::Scope;
use crate::protocol::error::{self, Error, Result};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const PREFIX: &str = "X-Amz-";

/// An access key's id and the scope of a signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) key_id: String,
    date: String,
    pub(crate) region: String,
    service: String,
}

impl Credential {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let [key_id, date, region, service, "aws4_request"] = parts[..] else {
            return None;
        };
        Some(Self {
            key_id: key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }

    /// Finds the credential of a request whose signature is not checked.
    pub(crate) fn find(headers: &HeaderMap, query: &str) -> Option<Self> {
        match text(headers, "authorization") {
            Some(header) => Self::parse(part(header, "Credential")?),
            None => Self::parse(&parameter(query, "Credential")?),
        }
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            date: &self.date,
            region: &self.region,
            service: &self.service,
        }
    }
}

/// The parts of a signature.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) credential: Credential,
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
    pub(crate) date: String,
    pub(crate) token: Option<String>,
    /// The number of seconds for which a presigned URL is valid, if it is one that says so.
    pub(crate) expires: Option<i64>,
}

impl Claim {
    /// Reads a request's claim. A header takes precedence over the query.
    ///
    /// # Errors
    ///
    /// Returns AWS's error for an unsigned request, or for a claim that is not complete.
    pub(crate) fn read(headers: &HeaderMap, query: &str) -> Result<Self> {
        if let Some(header) = text(headers, "authorization") {
            return Self::from_header(header, headers);
        }
        if parameter(query, "Algorithm").is_none() && parameter(query, "Signature").is_none() {
            return Err(Error::new(&error::UNSIGNED, "Request is missing Authentication Token"));
        }
        Self::from_query(headers, query)
    }

    fn from_header(header: &str, headers: &HeaderMap) -> Result<Self> {
        if !header.starts_with(ALGORITHM) {
            return Err(incomplete("Authorization header is not of AWS4-HMAC-SHA256."));
        }
        let required = |name: &str| {
            let found = part(header, name);
            found.ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter.")))
        };
        let credential = credential(required("Credential")?)?;
        let signed_headers = required("SignedHeaders")?.split(';').map(str::to_owned).collect();
        let signature = required("Signature")?.to_owned();
        let date = text(headers, "x-amz-date").ok_or_else(|| {
            incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        })?;
        Ok(Self {
            credential,
            signed_headers,
            signature,
            date: date.to_owned(),
            token: text(headers, "x-amz-security-token").map(str::to_owned),
            expires: None,
        })
    }

    fn from_query(headers: &HeaderMap, query: &str) -> Result<Self> {
        let required = |name: &str| {
            parameter(query, name).ok_or_else(|| {
                incomplete(&format!(
                    "AWS query-string parameters must include '{PREFIX}{name}'. Re-examine the query-string parameters."
                ))
            })
        };
        if required("Algorithm")? != ALGORITHM {
            return Err(incomplete("X-Amz-Algorithm is not AWS4-HMAC-SHA256."));
        }
        let expires = parameter(query, "Expires").map(|text| {
            let seconds = text.parse::<i64>().ok();
            let seconds = seconds.filter(|s| (1..=MAX_EXPIRES).contains(s));
            seconds.ok_or_else(|| incomplete(&format!("X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds.")))
        });
        let token = parameter(query, "Security-Token");
        Ok(Self {
            credential: credential(&required("Credential")?)?,
            signed_headers: required("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: required("Signature")?,
            date: required("Date")?,
            token: token.or_else(|| text(headers, "x-amz-security-token").map(str::to_owned)),
            expires: expires.transpose()?,
        })
    }
}

/// The longest time for which AWS accepts a presigned URL: seven days.
const MAX_EXPIRES: i64 = 604_800;

fn credential(text: &str) -> Result<Credential> {
    Credential::parse(text).ok_or_else(|| {
        incomplete("Credential must have exactly 5 slash-delimited elements, the last of them 'aws4_request'.")
    })
}

/// Returns a part of an Authorization header.
fn part<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let parts = header.strip_prefix(ALGORITHM)?.split(',');
    parts
        .filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
        .next()
}

/// Returns the parameter `X-Amz-<name>` of a query.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(key, _)| key.strip_prefix(PREFIX) == Some(name));
    let decoded = percent_decode_str(named.next()?.1).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn incomplete(message: &str) -> Error {
    Error::new(&error::INCOMPLETE_SIGNATURE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_is_in_the_header_or_in_the_query() {
        let mut headers = HeaderMap::new();
        let query = "Action=X&X-Amz-Credential=k%2F20150830%2Feu-west-1%2Fsqs%2Faws4_request";
        let key_and_region = |headers: &HeaderMap, query: &str| {
            let found = Credential::find(headers, query)?;
            Some((found.key_id, found.region))
        };
        assert_eq!(
            key_and_region(&headers, query),
            Some(("k".to_owned(), "eu-west-1".to_owned()))
        );
        assert_eq!(key_and_region(&headers, "X-Amz-Credential=k"), None);
        let header = "AWS4-HMAC-SHA256 Credential=h/20150830/r/sqs/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert("authorization", header.parse().expect("a value"));
        assert_eq!(key_and_region(&headers, query), Some(("h".to_owned(), "r".to_owned())));
    }

    #[test]
    fn a_claim_must_be_complete() {
        let none = HeaderMap::new();
        let code = |query: &str| Claim::read(&none, query).map(drop).map_err(|e| e.code.query);
        assert_eq!(code("Action=ListQueues"), Err("MissingAuthenticationToken"));
        let all = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k/20150830/r/sqs/aws4_request\
                   &X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0";
        assert_eq!(code(all), Ok(()));
        assert_eq!(code(&format!("{all}&X-Amz-Expires=604800")), Ok(()));
        for bad in [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256".to_owned(),
            all.replace("/sqs/", "/"),
            all.replace("SHA256", "SHA512"),
            format!("{all}&X-Amz-Expires=0"),
            format!("{all}&X-Amz-Expires=604801"),
            format!("{all}&X-Amz-Expires=x"),
        ] {
            assert_eq!(code(&bad), Err("IncompleteSignature"), "{bad}");
        }
    }
}
