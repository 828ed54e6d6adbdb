//! Writes a response in the format that its request asked for.

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::clock::http_date;
use crate::faults::Reply;
use crate::protocol::error::Error;
use crate::protocol::schema::Action;
use crate::protocol::{query_json, xml};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// AWS JSON 1.0.
    Json,
    /// The XML of the Query protocol.
    Xml,
    /// The JSON of the Query protocol, for a request that accepts `application/json`.
    QueryJson,
}

/// A writer of responses to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) format: Format,
    pub(crate) request_id: &'a str,
    pub(crate) epoch_seconds: i64,
}

impl Writer<'_> {
    pub(crate) fn accept(self, action: Action, output: &Value) -> Response<Bytes> {
        let body = match self.format {
            // The response of an action without output has no body.
            Format::Json if action.shape().output.is_empty() => Vec::new(),
            Format::Json => serde_json::to_vec(output).unwrap_or_default(),
            Format::Xml => xml::response(action, output, self.request_id).into_bytes(),
            Format::QueryJson => query_json::response(action, output, self.request_id).into_bytes(),
        };
        self.respond(StatusCode::OK, body)
    }

    pub(crate) fn refuse(self, error: &Error) -> Response<Bytes> {
        let body = match self.format {
            Format::Json => json!({"__type": error.code.type_name(), "message": error.message}).to_string(),
            Format::Xml => xml::error(error, self.request_id),
            Format::QueryJson => query_json::error(error, self.request_id),
        };
        let mut response = self.respond(error.status(), body);
        if self.format == Format::Json {
            let fault = if error.is_sender() { "Sender" } else { "Receiver" };
            let value = HeaderValue::from_str(&format!("{};{fault}", error.code.query));
            response.headers_mut().extend(value.map(|v| (QUERY_ERROR, v)));
        }
        response
    }

    /// Responds to a visit of a queue's URL, in XML whatever was asked for.
    pub(crate) fn unknown_operation(self) -> Response<Bytes> {
        let xml = Self {
            format: Format::Xml,
            ..self
        };
        xml.respond(StatusCode::NOT_FOUND, "<UnknownOperationException/>")
    }

    fn respond(self, status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
        let content_type = match self.format {
            Format::Json => "application/x-amz-json-1.0",
            Format::Xml => "text/xml",
            Format::QueryJson => "application/json",
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.extend(HeaderValue::from_str(self.request_id).map(|v| (REQUEST_ID, v)));
        self.date(&mut response);
        response
    }

    /// Writes a fault's response.
    pub(crate) fn reply(self, reply: &Reply) -> Response<Bytes> {
        let status = StatusCode::from_u16(reply.status)
            .ok()
            .filter(|status| !status.is_informational());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // HTTP has no body for these, and a socket would leave it out.
        let has_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let body = Some(reply.body.clone()).filter(|_| has_body).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        self.date(&mut response);
        for (name, value) in &reply.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// Sets the `Date` header from the server's clock, which may be skewed.
    fn date(self, response: &mut Response<Bytes>) {
        if let Ok(date) = HeaderValue::from_str(&http_date(self.epoch_seconds)) {
            response.headers_mut().insert(DATE, date);
        }
    }
}

/// Responds to a health check.
pub(crate) fn healthy() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(br#"{"status":"ok"}"#));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
