//! HTTP: connections, and a request's path from its bytes to its response.

use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::auth::AccessKeys;
use super::clock::http_date;
use super::error::{self, Error, Result};
use super::faults::{Faults, Instead, Plan, Reply};
use super::input::Input;
use super::journal::{Journal, Recorded};
use super::query::Form;
use super::response_body::ResponseBody;
use super::schema::Action;
use super::service::Service;
use super::sigv4::Signed;
use super::wire::{Line, Wire};
use super::{json as json_codec, xml};

/// The size of a batch of 1 MiB in which every character is escaped.
const MAX_BODY: usize = 8 * 1024 * 1024;
const TARGET: &str = "x-amz-target";
const JSON: &str = "application/x-amz-json-1.0";

/// A wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// AWS JSON 1.0.
    Json,
    /// AWS Query, with responses in XML.
    Query,
}

/// State that the connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) service: Arc<Service>,
    pub(crate) keys: AccessKeys,
    pub(crate) verify: bool,
    /// The only accepted protocol, or `None` for both.
    pub(crate) only: Option<Protocol>,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    /// `true` if the journal records the input of requests.
    pub(crate) keep_inputs: bool,
}

/// Accepts connections until its task is aborted, which also aborts the connections' tasks.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(connection(stream, shared.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let line = Line::default();
    let wire = Wire::new(stream, line.clone());
    let service = service_fn(move |request| {
        let (shared, line) = (shared.clone(), line.clone());
        async move { shared.handle(request, &line).await }
    });
    let mut http = http1::Builder::new();
    // Idle connections stay open, because closing one would be a fault that no test requested.
    http.header_read_timeout(None).max_buf_size(1024 * 1024);
    // Returns an error if the client disconnects or a fault breaks the connection.
    let _ = http.serve_connection(TokioIo::new(wire), service).await;
}

/// A request, parsed as far as possible.
struct Call {
    head: Parts,
    body: Bytes,
    protocol: Protocol,
    action: Result<Action>,
    input: Result<Input>,
}

impl Shared {
    /// Handles a request. An `Err` closes the connection without a response.
    async fn handle(&self, request: Request<Incoming>, line: &Line) -> io::Result<Response<ResponseBody>> {
        let request_id = self.service.rng.uuid().to_string();
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(e) if e.is::<hyper::Error>() => return Err(io::ErrorKind::ConnectionReset.into()),
            Err(_) => {
                let error = Error::new(&error::TOO_LARGE, "Request size exceeded the limit.");
                return Ok(self.refuse(self.protocol(&head.headers), &error, &request_id));
            }
        };
        let call = self.read(head, body);
        self.record(&call);
        let protocol = call.protocol;
        let (action, input) = match self.admit(call) {
            Ok(admitted) => admitted,
            Err(error) => return Ok(self.refuse(protocol, &error, &request_id)),
        };
        let plan = self.faults.plan(action);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        if let Some(instead) = plan.instead {
            return self.replace(instead, protocol, &request_id);
        }
        let result = self.service.perform(action, input, &plan.effects).await;
        line.set(plan.trickle, plan.reset);
        if plan.drop_after || plan.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(match result {
            Ok(output) => self.accept(protocol, action, output, &plan, &request_id),
            Err(error) => self.refuse(protocol, &error, &request_id),
        })
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

    fn replace(&self, instead: Instead, protocol: Protocol, request_id: &str) -> io::Result<Response<ResponseBody>> {
        Ok(match instead {
            Instead::Drop => return Err(io::ErrorKind::ConnectionReset.into()),
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

    fn accept(
        &self,
        protocol: Protocol,
        action: Action,
        mut output: Value,
        plan: &Plan,
        id: &str,
    ) -> Response<ResponseBody> {
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
        let body = if plan.truncated_response {
            ResponseBody::half(body)
        } else {
            ResponseBody::whole(body)
        };
        self.respond(StatusCode::OK, protocol, body, id)
    }

    fn refuse(&self, protocol: Protocol, error: &Error, id: &str) -> Response<ResponseBody> {
        let body = match protocol {
            Protocol::Json => json!({"__type": error.code.type_name(), "message": error.message}).to_string(),
            Protocol::Query => xml::error(error, id),
        };
        let mut response = self.respond(error.status(), protocol, ResponseBody::whole(body), id);
        if protocol == Protocol::Json {
            let fault = if error.is_sender() { "Sender" } else { "Receiver" };
            let value = HeaderValue::from_str(&format!("{};{fault}", error.code.query));
            response
                .headers_mut()
                .extend(value.map(|v| (hyper::header::HeaderName::from_static("x-amzn-query-error"), v)));
        }
        response
    }

    fn respond(&self, status: StatusCode, protocol: Protocol, body: ResponseBody, id: &str) -> Response<ResponseBody> {
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

    fn reply(&self, reply: &Reply) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::whole(reply.body.clone()));
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
    fn date(&self, response: &mut Response<ResponseBody>) {
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
