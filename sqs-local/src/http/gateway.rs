//! The path of a request from its bytes to its response, independent of the connection.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response};
use serde_json::{Value, json};

use crate::actions::Actions;
use crate::faults::{Faults, Instead, Plan};
use crate::http::auth::AccessKeys;
use crate::http::claim::Credential;
use crate::http::host;
use crate::http::log::LogEntry;
use crate::http::request::{Call, Reader};
use crate::http::response::{Format, Writer, healthy};
use crate::http::sigv4::Signed;
use crate::journal::{Journal, Recorded};
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::protocol::schema::Action;
use crate::service::{Service, account_and_queue};

/// The path of the health check.
const HEALTH: &str = "/health";

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
pub(crate) struct Gateway {
    /// The queues of the server's own account and region.
    pub(crate) service: Arc<Service>,
    pub(crate) actions: Actions,
    pub(crate) keys: AccessKeys,
    pub(crate) verify: bool,
    pub(crate) reader: Reader,
    /// `true` if queue URLs start with the request's host.
    pub(crate) follows_host: bool,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) stopped: AtomicBool,
}

/// Shows no message and no key, because programs print their clients and servers.
impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("base_url", &self.service.base_url)
            .finish_non_exhaustive()
    }
}

/// A request that may be performed.
struct Admitted {
    action: Action,
    input: Input,
    service: Arc<Service>,
}

impl Gateway {
    /// Ends the background tasks. A server without a socket refuses requests from now on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.actions.stop();
    }

    /// Handles a request, and logs it at `debug`.
    pub(crate) async fn handle(&self, head: Parts, body: Bytes) -> Exchange {
        if head.uri.path() == HEALTH && matches!(head.method, Method::GET | Method::HEAD) {
            return healthy().into();
        }
        let call = self.reader.read(head, body);
        self.record(&call);
        let entry = LogEntry::of(&call.action, &call.input);
        let exchange = self.respond_to(call).await;
        entry.inspect(|entry| entry.write(exchange.response.as_ref()));
        exchange
    }

    async fn respond_to(&self, call: Call) -> Exchange {
        let request_id = self.service.rng.uuid().to_string();
        let writer = self.writer(call.format, &request_id);
        if call.only_visits_a_queue() {
            return writer.unknown_operation().into();
        }
        let admitted = match self.admit(call) {
            Ok(admitted) => admitted,
            Err(error) => return writer.refuse(&error).into(),
        };
        let Admitted { action, input, service } = admitted;
        let plan = self.faults.plan(action);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        if let Some(instead) = plan.instead {
            return replace(instead, self.writer(writer.format, &request_id)).into();
        }
        let result = self.actions.perform(&service, action, input, &plan.effects).await;
        // A long poll may have lasted, so that the date is read again.
        let writer = self.writer(writer.format, &request_id);
        let response = match result {
            Ok(mut output) => {
                spoil(&mut output, &plan);
                writer.accept(action, &output)
            }
            Err(error) => writer.refuse(&error),
        };
        Exchange {
            response: Some(response).filter(|_| !plan.drop_after && !plan.reset),
            reset: plan.reset,
            truncated: plan.truncated_response,
            trickle: plan.trickle,
        }
    }

    /// Refuses a request whose body is longer than [`MAX_BODY`](super::MAX_BODY).
    pub(crate) fn refuse_length(&self, headers: &HeaderMap) -> Exchange {
        let error = Error::new(&error::TOO_LARGE, "Request size exceeded the limit.");
        let request_id = self.service.rng.uuid().to_string();
        self.writer(self.reader.format(headers), &request_id)
            .refuse(&error)
            .into()
    }

    fn writer<'a>(&self, format: Format, request_id: &'a str) -> Writer<'a> {
        Writer {
            format,
            request_id,
            epoch_seconds: self.epoch_seconds(),
        }
    }

    fn record(&self, call: &Call) {
        self.journal.record(|keep_inputs| Recorded {
            action: call.action.as_ref().ok().copied(),
            protocol: call.protocol,
            path: call.head.uri.path().to_owned(),
            headers: without_secrets(&call.head.headers),
            body_bytes: call.body.len(),
            entries: call.input.as_ref().map_or(1, Input::entry_count),
            input: call.input.as_ref().ok().filter(|_| keep_inputs).map(Input::to_value),
        });
    }

    /// Returns the request's action, its input and its queues if its signature is valid and it could be parsed.
    fn admit(&self, call: Call) -> Result<Admitted> {
        let query = call.head.uri.query().unwrap_or_default();
        if self.verify {
            let signed = Signed {
                method: call.head.method.as_str(),
                path: call.head.uri.path(),
                query,
                headers: &call.head.headers,
                body: &call.body,
            };
            self.keys.verify(&signed, &self.service.region, self.epoch_seconds())?;
        }
        let trace = call.trace().map(str::to_owned);
        let credential = Credential::find(&call.head.headers, query);
        let base_url = Some(&call.head.headers)
            .filter(|_| self.follows_host)
            .and_then(host::base_url);
        let (action, mut input) = (call.action?, call.input?);
        let service = self.service_for(action, &input, credential, base_url)?;
        match action {
            Action::CreateQueue | Action::SetQueueAttributes => input.lower_booleans(),
            Action::SendMessage | Action::SendMessageBatch => input.set_trace(trace.as_deref()),
            _ => {}
        }
        Ok(Admitted { action, input, service })
    }

    /// Returns the queues that a request sees. The region is that of its signature. The account is the one that the input
    /// names, or else the signer's.
    fn service_for(
        &self,
        action: Action,
        input: &Input,
        credential: Option<Credential>,
        base_url: Option<String>,
    ) -> Result<Arc<Service>> {
        let home = &self.service;
        let region = credential.as_ref().map(|c| c.region.as_str()).filter(|r| is_region(r));
        let signer = credential
            .as_ref()
            .map(|c| c.key_id.as_str())
            .filter(|id| is_account(id));
        let named = match action {
            Action::GetQueueUrl => input.opt_str("QueueOwnerAWSAccountId"),
            _ => input
                .opt_str("QueueUrl")
                .and_then(account_and_queue)
                .and_then(|(account, _)| account),
        };
        let account = named.or(signer).unwrap_or(&home.account);
        let creates = input.opt_str("QueueName").filter(|_| action == Action::CreateQueue);
        home.seen_by(
            account,
            region.unwrap_or(&home.region),
            base_url.as_deref().unwrap_or(&home.base_url),
            creates,
        )
    }

    fn epoch_seconds(&self) -> i64 {
        i64::try_from(self.service.now().wall_ms / 1000).unwrap_or(i64::MAX)
    }
}

/// Returns the headers with those marked that `Debug` must not show.
fn without_secrets(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in ["authorization", "x-amz-security-token"] {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    headers
}

/// An access key id of this form is the account itself, as in other servers for tests.
fn is_account(key_id: &str) -> bool {
    key_id.len() == 12 && key_id.bytes().all(|b| b.is_ascii_digit())
}

/// Returns `true` if a text may be a region in an ARN. Clients of local servers invent regions.
fn is_region(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// Returns the response of a fault, or `None` if it closes the connection.
fn replace(instead: Instead, writer: Writer<'_>) -> Option<Response<Bytes>> {
    Some(match instead {
        Instead::Drop => return None,
        Instead::Throttle => {
            let message = "The request was denied due to request throttling.";
            writer.refuse(&Error::new(&error::THROTTLED, message))
        }
        Instead::ThrottlingException => writer.refuse(&Error::new(&error::THROTTLING, "Rate exceeded")),
        Instead::Reply(reply) => writer.reply(&reply),
    })
}

/// Applies the faults of an output.
fn spoil(output: &mut Value, plan: &Plan) {
    if plan.wrong_md5 {
        spoil_md5(output);
    }
    if let Some(entry) = entry_of(output, plan.wrong_entry_md5.as_deref()) {
        spoil_md5(entry);
    }
    if let Some(entry) = entry_of(output, plan.spoil_entry.as_deref()) {
        spoil_texts(entry);
    }
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
