//! Responses.

use std::fmt::Write as _;
use std::ops::Range;

use super::objects::Refusal;
use super::xml;

pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) closes: bool,
}

pub(super) enum Body {
    Text(String),
    /// A part of an object.
    Content(Range<u64>),
    /// Nothing, but the header states this length.
    OnlyLength(u64),
}

impl Reply {
    pub(super) fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            closes: false,
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::new(status, Body::Text(String::new()))
    }

    pub(super) fn xml(document: String) -> Self {
        Self::new(200, Body::Text(document)).header("Content-Type", "application/xml")
    }

    pub(super) fn refused(Refusal(code): Refusal, resource: &str) -> Self {
        let status = match code {
            "NoSuchKey" | "NoSuchUpload" => 404,
            "PreconditionFailed" => 412,
            "InvalidRange" => 416,
            "SlowDown" => 503,
            "NotImplemented" => 501,
            _ => 400,
        };
        Self::new(status, Body::Text(xml::error(code, resource))).header("Content-Type", "application/xml")
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Returns the reply to a HEAD request, whose refusal has no body.
    pub(super) fn without_body(mut self) -> Self {
        self.body = match self.body {
            Body::Text(_) => Body::OnlyLength(0),
            Body::Content(range) => Body::OnlyLength(range.end - range.start),
            body => body,
        };
        self
    }

    /// Returns everything before the body.
    pub(super) fn head(&self) -> String {
        let length = match &self.body {
            Body::Text(text) => text.len() as u64,
            Body::Content(range) => range.end - range.start,
            Body::OnlyLength(length) => *length,
        };
        let reason = match self.status {
            200 => "OK",
            204 => "No Content",
            206 => "Partial Content",
            503 => "Slow Down",
            _ => "Refused",
        };
        let mut head = format!("HTTP/1.1 {} {reason}\r\nServer: shaped\r\n", self.status);
        if self.status != 204 {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        if self.closes {
            head.push_str("Connection: close\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }
}
