//! Typed inputs to bytes, bytes to typed outputs, in either of the two protocols that SQS speaks.
//!
//! Pure: no I/O and no clock. A shape is one serde type, which is written as JSON and read from JSON. The Query protocol
//! is made of that: [`query`] makes a form of the JSON, [`xml`] makes JSON of an answer, and both know from [`names`] how
//! lists and maps are called there.

mod bounds;
mod error;
mod json;
mod names;
mod negotiation;
mod query;
#[cfg(test)]
mod tests;
mod xml;

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;

use crate::action::Operation;
use crate::error::Error;

pub(crate) use bounds::MAX_VALUES;
pub(crate) use negotiation::Negotiation;

/// The wire protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// AWS JSON 1.0: what SQS and newer compatible servers speak; smaller and faster to read.
    #[default]
    Json,
    /// AWS Query with XML answers: what older servers speak.
    Query,
    /// Whichever the server speaks: JSON, unless the server refuses it for certain (it calls the action missing or
    /// unknown, or answers 400, 404, 405, 406 or 415 without any error code); then the same request is made in
    /// Query. The protocol of the first request that succeeds is the one from then on, for all clones of the client.
    ///
    /// A request that may have taken effect, such as one answered with status 500, is never made in the other
    /// protocol. A server that answers so to JSON that it does not speak needs [`Protocol::Query`].
    Auto,
}

/// How a request is written and its answer read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Json,
    Query,
}

/// An answer as it came from the network.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn request_id(&self) -> Option<String> {
        self.header("x-amzn-requestid").map(ToOwned::to_owned)
    }
}

impl Wire {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.0",
            Self::Query => "application/x-www-form-urlencoded; charset=utf-8",
        }
    }

    /// The request body. It is encoded once for all attempts.
    pub(crate) fn encode<Op: Operation>(self, operation: &Op) -> Result<Bytes, Error> {
        let mut body = Vec::with_capacity(operation.encoded_size());
        let written = json::encode(operation, &mut body);
        self.of_json(Op::NAME, written.map(|()| body))
    }

    fn of_json(self, action: &'static str, json: Result<Vec<u8>, serde_json::Error>) -> Result<Bytes, Error> {
        let encoded = match self {
            Self::Json => json,
            Self::Query => json.and_then(|json| query::from_json(action, &json)),
        };
        encoded
            .map(Bytes::from)
            .map_err(|reason| Error::invalid_input(format!("the input cannot be encoded: {reason}")))
    }

    /// The output, or the server's error.
    pub(crate) fn decode<Op: Operation>(self, answer: &Answer) -> Result<Op::Output, Error> {
        let json = self.to_json(Op::NAME, answer)?;
        Op::read(&json).map_err(|error| {
            // serde_json quotes what it did not expect, which may be a message; the place says enough.
            let (what, line, column) = (error.classify(), error.line(), error.column());
            let place = format!("{what:?} error at line {line}, column {column} of the JSON");
            unreadable(answer, Op::explain(&json).unwrap_or(place))
        })
    }

    /// The output as JSON.
    fn to_json<'a>(self, action: &str, answer: &'a Answer) -> Result<Cow<'a, [u8]>, Error> {
        if !(200..300).contains(&answer.status) {
            return Err(Error::service(error::decode(answer)));
        }
        match self {
            // Actions without output are answered with an empty body or an empty object.
            Self::Json if matches!(answer.body.trim_ascii(), b"" | b"null") => Ok(Cow::Borrowed(b"{}")),
            Self::Json if bounds::has_too_many_values(&answer.body) => {
                Err(unreadable(answer, bounds::too_many_values()))
            }
            Self::Json => Ok(Cow::Borrowed(&answer.body)),
            Self::Query => xml::to_json(action, &answer.body)
                .map(Cow::Owned)
                .map_err(|error| unreadable(answer, error.to_string())),
        }
    }
}

fn unreadable(answer: &Answer, source: String) -> Error {
    Error::response(describe(&answer.body))
        .with_source(source)
        .with_response(answer.status, answer.request_id())
}

/// What an unreadable answer looks like, without any of it: it may hold messages.
fn describe(body: &[u8]) -> String {
    let looks_like = match body.trim_ascii_start().first() {
        Some(b'{') => "looks like JSON",
        Some(b'<') => "looks like XML or HTML",
        Some(_) => "looks like neither JSON nor XML",
        None => "is empty",
    };
    format!(
        "the server's answer of {} bytes could not be read; it {looks_like} \
         (is the endpoint an SQS server, and is this the protocol it speaks?)",
        body.len()
    )
}
