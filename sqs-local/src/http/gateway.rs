//! The path of a request from its bytes to its response, independent of the connection.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::actions::Actions;
use crate::clock::http_date;
use crate::faults::{Faults, Instead, Plan, Reply};
use crate::http::auth::AccessKeys;
use crate::http::log::LogEntry;
use crate::http::sigv4::Signed;
use crate::journal::{Journal, Recorded};
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::protocol::query::Form;
use crate::protocol::schema::Action;
use crate::protocol::{Protocol, json as json_codec, xml};
use crate::service::Service;

const TARGET: &str = "x-amz-target";
const JSON: &str = "application/x-amz-json-1.0";

/// The response to a request, and the faults of its connection.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// `None` if the connection closes without a response.
    pub(crate) response: Option<Response<Bytes>>,
    /// Resets the connection instead of closing it.
    pub(crate) reset: bool,
    /// Closes the connection after half of the body.
    pub(crate) truncated: bool,
    /// The pause between two bytes.
    pub(crate) trickle: Option<Duration>,
}

impl From<Option<Response<Bytes>>> for Exchange {
    fn from(response: Option<Response<Bytes>>) -> Self {
        Self {
            response,
            ..Self::default()
        }
    }
}

impl From<Response<Bytes>> for Exchange {
    fn from(response: Response<Bytes>) -> Self {
        Some(response).into()
    }
}

/// The server without its sockets, shared by all connections.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) service: Arc<Service>,
    pub(crate) actions: Actions,
    pub(crate) keys: AccessKeys,
    pub(crate) verify: bool,
    /// The only accepted protocol, or `None` for both.
    pub(crate) only: Option<Protocol>,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    /// `true` if the journal records the input of requests.
    pub(crate) keep_inputs: bool,
}

/// A request, parsed as far as possible.
struct Call {
    head: Parts,
    body: Bytes,
    protocol: Protocol,
    action: Result<Action>,
    input: Result<Input>,
}

impl Gateway {
    /// Handles a request, and logs it at `debug`.
    pub(crate) async fn handle(&self, head: Parts, body: Bytes) -> Exchange {
        let call = self.read(head, body);
        self.record(&call);
        let entry = LogEntry::of(&call.action, &call.input);
        let exchange = self.respond_to(call).await;
        entry.inspect(|entry| entry.write(exchange.response.as_ref()));
        exchange
    }

    async fn respond_to(&self, call: Call) -> Exchange {
        let request_id = self.service.rng.uuid().to_string();
        let protocol = call.protocol;
        let (action, input) = match self.admit(call) {
            Ok(admitted) => admitted,
            Err(error) => return self.refuse(protocol, &error, &request_id).into(),
        };
        let plan = self.faults.plan(action);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        if let Some(instead) = plan.instead {
            return self.replace(instead, protocol, &request_id).into();
        }
        let result = self.actions.perform(action, input, &plan.effects).await;
        let response = match result {
            Ok(output) => self.accept(protocol, action, output, &plan, &request_id),
            Err(error) => self.refuse(protocol, &error, &request_id),
        };
        Exchange {
            response: Some(response).filter(|_| !plan.drop_after && !plan.reset),
            reset: plan.reset,
            truncated: plan.truncated_response,
            trickle: plan.trickle,
        }
    }

    /// Refuses a request whose body is longer than [`MAX_BODY`].
    pub(crate) fn refuse_length(&self, headers: &HeaderMap) -> Exchange {
        let error = Error::new(&error::TOO_LARGE, "Request size exceeded the limit.");
        let request_id = self.service.rng.uuid().to_string();
        self.refuse(self.protocol(headers), &error, &request_id).into()
    }

    fn protocol(&self, headers: &HeaderMap) -> Protocol {
        let by_header = if headers.contains_key(TARGET) {
            Protocol::Json
        } else {
            Protocol::Query
        };
        // A server with one protocol parses every request by it.
        self.only.unwrap_or(by_header)
    }

    fn read(&self, head: Parts, body: Bytes) -> Call {
        let protocol = self.protocol(&head.headers);
        let (action, input) = match protocol {
            Protocol::Json => read_json(&head, &body),
            Protocol::Query => read_query(&head, &body),
        };
        Call {
            head,
            body,
            protocol,
            action,
            input,
        }
    }

    fn record(&self, call: &Call) {
        self.journal.record(Recorded {
            action: call.action.as_ref().ok().copied(),
            protocol: call.protocol,
            path: call.head.uri.path().to_owned(),
            headers: call.head.headers.clone(),
            body_bytes: call.body.len(),
            entries: call.input.as_ref().map_or(1, Input::entry_count),
            input: call
                .input
                .as_ref()
                .ok()
                .filter(|_| self.keep_inputs)
                .map(Input::to_value),
        });
    }

    /// Returns the request's action and input if its signature is valid and it could be parsed.
    fn admit(&self, call: Call) -> Result<(Action, Input)> {
        if self.verify {
            let signed = Signed {
                method: call.head.method.as_str(),
                path: call.head.uri.path(),
                query: call.head.uri.query().unwrap_or_default(),
                headers: &call.head.headers,
                body: &call.body,
            };
            self.keys.verify(&signed, &self.service.region, self.epoch_seconds())?;
        }
        Ok((call.action?, call.input?))
    }

    fn epoch_seconds(&self) -> i64 {
        i64::try_from(self.service.now().wall_ms / 1000).unwrap_or(i64::MAX)
    }

    /// Returns the response of a fault, or `None` if it closes the connection.
    fn replace(&self, instead: Instead, protocol: Protocol, request_id: &str) -> Option<Response<Bytes>> {
        Some(match instead {
            Instead::Drop => return None,
            Instead::Throttle => {
                let error = Error::new(&error::THROTTLED, "The request was denied due to request throttling.");
                self.refuse(protocol, &error, request_id)
            }
            Instead::ThrottlingException => {
                self.refuse(protocol, &Error::new(&error::THROTTLING, "Rate exceeded"), request_id)
            }
            Instead::Reply(reply) => self.reply(&reply),
        })
    }

    fn accept(&self, protocol: Protocol, action: Action, mut output: Value, plan: &Plan, id: &str) -> Response<Bytes> {
        if plan.wrong_md5 {
            spoil_md5(&mut output);
        }
        if let Some(entry) = entry_of(&mut output, plan.wrong_entry_md5.as_deref()) {
            spoil_md5(entry);
        }
        if let Some(entry) = entry_of(&mut output, plan.spoil_entry.as_deref()) {
            spoil_texts(entry);
        }
        let body = match protocol {
            // The response of an action without output has no body.
            Protocol::Json if action.shape().output.is_empty() => Vec::new(),
            Protocol::Json => serde_json::to_vec(&output).unwrap_or_default(),
            Protocol::Query => xml::response(action, &output, id).into_bytes(),
        };
        self.respond(StatusCode::OK, protocol, body.into(), id)
    }

    fn refuse(&self, protocol: Protocol, error: &Error, id: &str) -> Response<Bytes> {
        let body = match protocol {
            Protocol::Json => json!({"__type": error.code.type_name(), "message": error.message}).to_string(),
            Protocol::Query => xml::error(error, id),
        };
        let mut response = self.respond(error.status(), protocol, body.into(), id);
        if protocol == Protocol::Json {
            let fault = if error.is_sender() { "Sender" } else { "Receiver" };
            let value = HeaderValue::from_str(&format!("{};{fault}", error.code.query));
            response
                .headers_mut()
                .extend(value.map(|v| (hyper::header::HeaderName::from_static("x-amzn-query-error"), v)));
        }
        response
    }

    fn respond(&self, status: StatusCode, protocol: Protocol, body: Bytes, id: &str) -> Response<Bytes> {
        let content_type = match protocol {
            Protocol::Json => JSON,
            Protocol::Query => "text/xml",
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers
            .extend(HeaderValue::from_str(id).map(|v| (hyper::header::HeaderName::from_static("x-amzn-requestid"), v)));
        self.date(&mut response);
        response
    }

    fn reply(&self, reply: &Reply) -> Response<Bytes> {
        let mut response = Response::new(reply.body.clone().into());
        *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.date(&mut response);
        for (name, value) in &reply.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<hyper::header::HeaderName>(), value.parse()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// Sets the `Date` header from the server's clock, which may be skewed.
    fn date(&self, response: &mut Response<Bytes>) {
        if let Ok(date) = HeaderValue::from_str(&http_date(self.epoch_seconds())) {
            response.headers_mut().insert(DATE, date);
        }
    }
}

fn read_json(head: &Parts, body: &[u8]) -> (Result<Action>, Result<Input>) {
    let header = |name| {
        head.headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
            .unwrap_or_default()
    };
    let target = header(TARGET).strip_prefix("AmazonSQS.").unwrap_or_default();
    let unknown = Error::new(&error::UNKNOWN_ACTION, format!("The action '{target}' is not known."));
    let Ok(action) = target.parse::<Action>() else {
        return (Err(unknown.clone()), Err(unknown));
    };
    if header(CONTENT_TYPE.as_str()) != JSON || head.method != Method::POST {
        let error = Error::malformed("Expected a POST of application/x-amz-json-1.0.");
        return (Ok(action), Err(error));
    }
    (Ok(action), json_codec::decode(body, action.shape().input))
}

fn read_query(head: &Parts, body: &[u8]) -> (Result<Action>, Result<Input>) {
    let form = if head.method == Method::GET {
        head.uri.query().unwrap_or_default().as_bytes()
    } else {
        body
    };
    let form = match Form::parse(form) {
        Ok(form) => form,
        Err(error) => return (Err(error.clone()), Err(error)),
    };
    let action = match form.action() {
        Ok(action) => action,
        Err(error) => return (Err(error.clone()), Err(error)),
    };
    let shape = action.shape().input;
    let input = form.decode(shape).map(|mut input| {
        // A request may name its queue by its path.
        if head.uri.path() != "/" && shape.iter().any(|m| m.name == "QueueUrl") {
            input.default_str("QueueUrl", head.uri.path());
        }
        input
    });
    (Ok(action), input)
}

/// Falsifies every digest in an output.
fn spoil_md5(output: &mut Value) {
    match output {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(digest) if name.starts_with("MD5Of") => *digest = digest.chars().rev().collect(),
                    value => spoil_md5(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spoil_md5),
        _ => {}
    }
}

/// Finds a successful entry of a batch by its id.
fn entry_of<'a>(output: &'a mut Value, id: Option<&str>) -> Option<&'a mut Value> {
    let id = id?;
    let entries = output.get_mut("Successful")?.as_array_mut()?;
    entries.iter_mut().find(|entry| entry["Id"] == id)
}

/// Replaces each string of an entry by an object, except its id.
fn spoil_texts(entry: &mut Value) {
    for (name, value) in entry.as_object_mut().into_iter().flatten() {
        if name != "Id" {
            *value = json!({"spoilt": true});
        }
    }
}
