//! Encodes inputs and decodes outputs in both protocols of SQS, without I/O or a clock.
//!
//! Each shape is one serde type, which is written to JSON and read from JSON. For the Query protocol, [`query`] converts
//! the JSON of a request to a form, and [`xml`] converts a response to JSON. [`names`] has the names of lists and maps.

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

/// The wire protocol. See [`ClientBuilder::protocol`](crate::ClientBuilder::protocol).
///
/// ```
/// use sqs_client::client::Protocol;
/// use sqs_client::Client;
///
/// let builder = Client::builder().protocol(Protocol::Auto);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// AWS JSON 1.0, for SQS and newer compatible servers. It is smaller and faster to read. The default.
    #[default]
    Json,
    /// AWS Query with XML responses, for older servers.
    Query,
    /// JSON if the server supports it, and otherwise Query.
    ///
    /// The client repeats a request in Query only if the server definitely refused JSON. Such a server reports the action
    /// as missing or unknown, or returns status 400, 404, 405, 406 or 415 without an error code. All clones of the client
    /// keep the protocol of the first request that succeeds.
    ///
    /// The client never repeats a request in Query that may have taken effect, such as one with status 500. A server that
    /// returns status 500 for JSON requires [`Protocol::Query`].
    Auto,
}

/// The protocol of one request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Json,
    Query,
}

/// A response from the network.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
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

    /// Encodes the request body, once for all attempts.
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
            .map_err(|reason| Error::invalid_input(format!("the input could not be encoded: {reason}")))
    }

    /// Decodes the output, or returns the server's error.
    pub(crate) fn decode<Op: Operation>(self, response: &Response) -> Result<Op::Output, Error> {
        let json = self.to_json(Op::NAME, response)?;
        Op::read(&json).map_err(|error| {
            // serde_json quotes unexpected values, which may be of a message, so only the position is kept.
            let (what, line, column) = (error.classify(), error.line(), error.column());
            let position = format!("{what:?} error at line {line}, column {column} of the JSON");
            unreadable(response, Op::explain(&json).unwrap_or(position))
        })
    }

    /// Returns the output as JSON.
    fn to_json<'a>(self, action: &str, response: &'a Response) -> Result<Cow<'a, [u8]>, Error> {
        if !(200..300).contains(&response.status) {
            return Err(Error::service(error::decode(response)));
        }
        match self {
            // The response to an action without output has an empty body or an empty object.
            Self::Json if matches!(response.body.trim_ascii(), b"" | b"null") => Ok(Cow::Borrowed(b"{}")),
            Self::Json if bounds::has_too_many_values(&response.body) => {
                Err(unreadable(response, bounds::too_many_values()))
            }
            Self::Json => Ok(Cow::Borrowed(&response.body)),
            Self::Query => xml::to_json(action, &response.body)
                .map(Cow::Owned)
                .map_err(|error| unreadable(response, error.to_string())),
        }
    }
}

fn unreadable(response: &Response, source: String) -> Error {
    Error::response(describe(&response.body))
        .with_source(source)
        .with_response(response.status, response.request_id())
}

/// Describes an unreadable response without quoting it, because it may contain messages.
fn describe(body: &[u8]) -> String {
    let looks_like = match body.trim_ascii_start().first() {
        Some(b'{') => "looks like JSON",
        Some(b'<') => "looks like XML or HTML",
        Some(_) => "looks like neither JSON nor XML",
        None => "is empty",
    };
    format!(
        "the response of {} bytes could not be read: it {looks_like}; check that the endpoint is an SQS server and \
         supports the client's protocol",
        body.len()
    )
}
