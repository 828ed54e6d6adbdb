//! Reads a request: its protocol, its action and its input.

use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use crate::http::response::Format;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::protocol::query::{Form, invalid_action};
use crate::protocol::schema::{Action, Member};
use crate::protocol::{Protocol, Strictness, json};
use crate::service::account_and_queue;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const JSON: &str = "application/x-amz-json-1.0";

/// A request, parsed as far as possible.
pub(crate) struct Call {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    pub(crate) protocol: Protocol,
    pub(crate) format: Format,
    pub(crate) action: Result<Action>,
    pub(crate) input: Result<Input>,
}

/// The settings by which a server reads requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// The only accepted protocol, or `None` for both.
    pub(crate) only: Option<Protocol>,
    pub(crate) strictness: Strictness,
}

impl Reader {
    pub(crate) fn read(self, head: Parts, body: Bytes) -> Call {
        let protocol = self.protocol(&head.headers);
        let (action, input) = match protocol {
            Protocol::Json => read_json(&head, &body, self.strictness),
            Protocol::Query => read_query(&head, &body, self.strictness),
        };
        Call {
            protocol,
            format: self.format(&head.headers),
            head,
            body,
            action,
            input,
        }
    }

    fn protocol(self, headers: &HeaderMap) -> Protocol {
        let by_header = if headers.contains_key(TARGET) {
            Protocol::Json
        } else {
            Protocol::Query
        };
        // A server with one protocol parses every request by it.
        self.only.unwrap_or(by_header)
    }

    /// Returns the format of the response. A Query request may ask for JSON.
    pub(crate) fn format(self, headers: &HeaderMap) -> Format {
        match self.protocol(headers) {
            Protocol::Json => Format::Json,
            Protocol::Query if media_type(text(headers, &ACCEPT)) == "application/json" => Format::QueryJson,
            Protocol::Query => Format::Xml,
        }
    }
}

impl Call {
    /// Returns `true` for a GET of a queue's URL that names no action.
    pub(crate) fn only_visits_a_queue(&self) -> bool {
        let nameless = matches!(&self.action, Err(error) if *error.code == error::MISSING_ACTION);
        nameless && self.head.method == Method::GET && self.queue_path().is_some()
    }

    fn queue_path(&self) -> Option<&str> {
        queue_path(&self.head)
    }

    /// Returns the request's trace header.
    pub(crate) fn trace(&self) -> Option<&str> {
        Some(text(&self.head.headers, &TRACE)).filter(|trace| !trace.is_empty())
    }
}

fn read_json(head: &Parts, body: &[u8], strictness: Strictness) -> (Result<Action>, Result<Input>) {
    let target = text(&head.headers, &TARGET)
        .strip_prefix("AmazonSQS.")
        .unwrap_or_default();
    let unknown = Error::new(&error::UNKNOWN_ACTION, format!("The action '{target}' is not known."));
    let Ok(action) = target.parse::<Action>() else {
        return (Err(unknown.clone()), Err(unknown));
    };
    let content_type = text(&head.headers, &CONTENT_TYPE);
    let accepted = match strictness {
        Strictness::Strict => content_type == JSON,
        Strictness::Lenient => media_type(content_type) == JSON,
    };
    if !accepted || head.method != Method::POST {
        let error = Error::malformed("Expected a POST of application/x-amz-json-1.0.");
        return (Ok(action), Err(error));
    }
    (Ok(action), json::decode(body, action.shape().input, strictness))
}

fn read_query(head: &Parts, body: &[u8], strictness: Strictness) -> (Result<Action>, Result<Input>) {
    let query = head.uri.query().unwrap_or_default();
    let body = if head.method == Method::GET { &[] } else { body };
    let form = Form::parse(query.as_bytes(), body);
    let action = form.as_ref().map_err(Clone::clone).and_then(Form::action);
    let (action, form) = match (action, form) {
        (Ok(action), Ok(form)) => (action, form),
        (Err(error), _) | (_, Err(error)) => return (Err(error.clone()), Err(error)),
    };
    let queue = queue_path(head);
    if queue.is_some() && matches!(action, Action::CreateQueue | Action::ListQueues) {
        return (Ok(action), Err(invalid_action(action.name())));
    }
    let shape = action.shape().input;
    let input = form.decode(shape, strictness).map(|mut input| {
        if let Some(path) = queue.filter(|_| has_queue_url(shape)) {
            input.default_str("QueueUrl", path);
        }
        input
    });
    (Ok(action), input)
}

/// Returns the request's path if it is a queue's.
fn queue_path(head: &Parts) -> Option<&str> {
    let path = head.uri.path();
    account_and_queue(path).map(|_| path)
}

fn has_queue_url(shape: &[Member]) -> bool {
    shape.iter().any(|member| member.name == "QueueUrl")
}

/// Returns the first media type of a header without its parameters, in lower case.
fn media_type(value: &str) -> String {
    let essence = value.split([',', ';']).next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let value = headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    value.unwrap_or_default()
}
