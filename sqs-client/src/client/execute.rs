//! The execution of a request, from outside in: execute, run attempts, attempt, exchange.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::action::Operation;
use crate::client::erased::{Success, Task, Typed};
use crate::client::handle::{Client, Inner};
use crate::client::span::{self, RequestSpan};
use crate::credentials::{Credentials, CredentialsCache};
use crate::error::{Error, QueueContext};
use crate::http::endpoint::Target;
use crate::http::signer::Unsigned;
use crate::protocol::Wire;
use crate::retry::{Attempts, Next};
use crate::validate;

/// A request that was checked and encoded.
struct Call<'a> {
    wire: Wire,
    target: Target<'a>,
    body: Bytes,
    deadline: Option<Instant>,
}

/// A failed attempt, with the credentials that it used.
struct Failure {
    error: Error,
    credentials: Option<Credentials>,
}

impl Client {
    /// Executes a request within a span.
    pub(crate) async fn execute<Op: Operation>(&self, operation: &Op) -> Result<Success<Op::Output>, Error> {
        let mut task = Typed::new(operation);
        let span = RequestSpan::begin(&task);
        let result = self.run_attempts(&mut task).instrument(span.span()).await;
        span.end(&task, &result);
        result?;
        let unread = || Error::response("the request ended without a response");
        task.into_success().ok_or_else(unread)
    }

    /// Checks and encodes the request once. Then repeats attempts until one succeeds, the failure is permanent, or
    /// attempts or time run out. Each attempt gets fresh credentials and a fresh signature.
    async fn run_attempts(&self, task: &mut dyn Task) -> Result<(), Error> {
        let inner = self.inner();
        task.queue_url().map_or(Ok(()), validate::no_arn)?;
        task.validate()?;
        let deadline = inner
            .operation_timeout
            .and_then(|time| Instant::now().checked_add(time));
        let mut call = inner.encode(task, inner.protocol.wire(), deadline)?;
        let mut attempts = self.attempts();
        loop {
            let Err(failure) = inner.attempt(task, &call).await else {
                inner.protocol.succeeded(call.wire);
                attempts.succeeded();
                task.note_earlier_attempts(attempts.may_have_been_sent());
                return Ok(());
            };
            let other = inner.protocol.instead_of(call.wire, &failure.error);
            if let Some(wire) = other.filter(|_| !attempts.may_have_been_sent()) {
                call = inner.encode(task, wire, deadline)?;
                continue;
            }
            let wait = task.server_wait();
            let (pause, error) = inner.pause_after(failure, &mut attempts, wait, &call).await?;
            span::retrying(task, pause, &error);
            tokio::time::sleep(pause).await;
        }
    }
}

impl Call<'_> {
    /// Limits a time to the rest of the operation's time.
    fn within_deadline(&self, time: Duration) -> Duration {
        match self.deadline {
            Some(deadline) => time.min(deadline.saturating_duration_since(Instant::now())),
            None => time,
        }
    }
}

impl Inner {
    fn encode(&self, task: &dyn Task, wire: Wire, deadline: Option<Instant>) -> Result<Call<'_>, Error> {
        Ok(Call {
            wire,
            target: self.endpoint.target(wire, task.queue_url())?,
            body: task.encode(wire)?,
            deadline,
        })
    }

    /// Makes one attempt with the current credentials.
    async fn attempt(&self, task: &mut dyn Task, call: &Call<'_>) -> Result<(), Failure> {
        let fetched = self.credentials(call.deadline).await;
        let credentials = fetched.map_err(|error| Failure {
            error,
            credentials: None,
        })?;
        let result = self.exchange(task, call, &credentials).await;
        result.map_err(|error| Failure {
            error: error.with_queue(
                task.queue_name()
                    .and_then(|name| QueueContext::new(name, call.target.server)),
            ),
            credentials: Some(credentials),
        })
    }

    /// Returns the credentials to sign with, within the operation's time.
    async fn credentials(&self, deadline: Option<Instant>) -> Result<Credentials, Error> {
        let get = self.credentials.get();
        let Some(deadline) = deadline else { return get.await };
        let late = |_| Error::credentials("the credentials provider did not respond within the operation's time");
        tokio::time::timeout_at(deadline, get)
            .await
            .unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    /// Signs and sends the request, and reads the response.
    async fn exchange(&self, task: &mut dyn Task, call: &Call<'_>, credentials: &Credentials) -> Result<(), Error> {
        let unsigned = Unsigned {
            host: call.target.host,
            path: call.target.url.path(),
            content_type: call.wire.content_type(),
            target: (call.wire == Wire::Json).then_some(task.target()),
            body: &call.body,
        };
        let headers = self.signer.sign(&unsigned, credentials, self.clock.now())?;
        let timeout = call.within_deadline(self.attempt_timeout.saturating_add(task.server_wait()));
        let response = self
            .transport
            .post(&call.target.url, headers, call.body.clone(), timeout)
            .await?;
        let read = task.read(call.wire, &response, self.verify_checksums);
        read.inspect_err(|error| {
            if error.is_clock_skew()
                && let Some(date) = response.header("date")
            {
                self.clock.correct(date);
            }
        })
    }

    /// Returns the pause before the next attempt, or the error if there is none.
    async fn pause_after(
        &self,
        failure: Failure,
        attempts: &mut Attempts<'_>,
        server_wait: Duration,
        call: &Call<'_>,
    ) -> Result<(Duration, Error), Error> {
        let replaced = self.replaces_credentials(&failure, call).await;
        let retryable = failure.error.is_retryable() || replaced;
        let (pause, error) = match attempts.after(failure.error, retryable) {
            Next::Retry(pause, error) => (pause, error),
            Next::NoQuota(pause, error) => {
                // A caller that polls in a loop would spin.
                if !server_wait.is_zero() {
                    tokio::time::sleep(call.within_deadline(pause)).await;
                }
                return Err(error);
            }
            Next::End(error) => return Err(error),
        };
        // Other credentials need no pause.
        let pause = if replaced { Duration::ZERO } else { pause };
        let next = Instant::now().checked_add(pause);
        if call
            .deadline
            .is_some_and(|deadline| next.is_none_or(|next| next >= deadline))
        {
            return Err(error);
        }
        Ok((pause, error))
    }

    /// Returns `true` if the server refused the credentials, and the provider now returns different ones.
    async fn replaces_credentials(&self, failure: &Failure, call: &Call<'_>) -> bool {
        let Some(used) = failure
            .credentials
            .as_ref()
            .filter(|_| failure.error.rejects_credentials())
        else {
            return false;
        };
        let time = call.within_deadline(CredentialsCache::FETCH_TIMEOUT);
        tokio::time::timeout(time, self.credentials.replace(used))
            .await
            .unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::client::RetryPolicy;
    use crate::error::ErrorCode;

    /// Starts a server that refuses one request, and returns its URL.
    fn server_without_queues() -> String {
        let body =
            r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 8192];
            let _ = connection.read(&mut request);
            let length = body.len();
            let response = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {length}\r\n\r\n{body}");
            connection.write_all(response.as_bytes()).unwrap();
        });
        url
    }

    fn client_of(url: &str) -> Client {
        let builder = Client::builder().endpoint_url(url).retry(RetryPolicy::never());
        builder.credentials(Credentials::new("k", "s")).build().unwrap()
    }

    #[tokio::test]
    async fn an_arn_is_refused_before_any_io() {
        let client = client_of("http://127.0.0.1:1");
        let error = client.purge_queue("arn:aws:sqs:eu-west-1:1:orders").await.unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            "PurgeQueue: \"arn:aws:sqs:eu-west-1:1:orders\" is an ARN; pass the queue's name (\"orders\") or its URL"
        );
    }

    #[tokio::test]
    async fn a_missing_queue_is_named_with_or_without_its_url() {
        let url = server_without_queues();
        let error = client_of(&url).get_queue_url("orders").await.unwrap_err();
        assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist));
        let text = format!(
            "queue \"orders\" does not exist at {url} (AWS.SimpleQueueService.NonExistentQueue); \
             create it or check the endpoint (status 400)"
        );
        assert_eq!(error.to_string(), format!("GetQueueUrl: {text}"));

        let url = server_without_queues();
        let queue = format!("{url}/000000000000/orders");
        let error = client_of(&url).purge_queue(queue).await.unwrap_err();
        let text = format!("queue \"orders\" does not exist at {url} ");
        assert!(error.to_string().starts_with(&format!("PurgeQueue: {text}")), "{error}");
    }
}
