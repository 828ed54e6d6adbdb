use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{is_fifo, operation};
use crate::telemetry::Purpose;
use crate::types::text::seconds;
use crate::types::{Message, MessageSystemAttributeName};
use crate::{Client, Error, Request, checksum, limits, validate};

/// Receives up to 10 messages: the input of [`Client::receive_message`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ReceiveMessage {
    /// The queue's URL.
    pub queue_url: String,
    /// Which system attributes to bring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub message_system_attribute_names: Vec<MessageSystemAttributeName>,
    /// Which message attributes to bring: names, `prefix.*`, or `All`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub message_attribute_names: Vec<String>,
    /// At most so many messages, 1–10; the server's default is 1.
    #[serde(default, rename = "MaxNumberOfMessages", skip_serializing_if = "Option::is_none")]
    pub max_messages: Option<u8>,
    /// How long the messages stay hidden: 0 s–12 h; the queue's own time where absent.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub visibility_timeout: Option<Duration>,
    /// How long to wait for a message where there is none: 0–20 s; the queue's own time where absent.
    #[serde(
        default,
        rename = "WaitTimeSeconds",
        with = "seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub wait_time: Option<Duration>,
    /// FIFO queues: a retry of the same id within 5 minutes brings the same messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_request_attempt_id: Option<String>,
}

/// The answer to [`ReceiveMessage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ReceiveMessageOutput {
    /// The messages; none where the wait was over first.
    pub messages: Vec<Message>,
}

operation!(ReceiveMessage of queue => ReceiveMessageOutput {
    const PURPOSE: Purpose = Purpose::Receive;

    fn messages(&self, output: &ReceiveMessageOutput) -> usize {
        output.messages.len()
    }

    /// A retry after a lost answer brings the same messages again, which are hidden by then.
    fn prepare(&mut self, client: &Client) {
        if is_fifo(&self.queue_url) {
            self.receive_request_attempt_id.get_or_insert_with(|| client.new_id());
        }
    }

    fn validate(&self) -> Result<(), Error> {
        validate::within("number of messages to receive", self.max_messages, 1..=10)?;
        validate::no_longer_than("wait time", self.wait_time, limits::MAX_WAIT_TIME)?;
        validate::no_longer_than("visibility timeout", self.visibility_timeout, limits::MAX_VISIBILITY_TIMEOUT)?;
        validate::id("receive request attempt id", self.receive_request_attempt_id.as_deref())
    }

    /// A queue may be set to wait where the request does not say, so only a time that was given is trusted.
    fn server_wait(&self) -> Duration {
        self.wait_time.unwrap_or(limits::MAX_WAIT_TIME)
    }

    fn verify(&self, output: &ReceiveMessageOutput) -> Result<(), Error> {
        checksum::verify_received(&output.messages)
    }
});

impl Request<ReceiveMessage> {
    /// Brings at most so many messages: 1–10. Without it, servers bring 1.
    pub fn max_messages(mut self, max_messages: u8) -> Self {
        self.input.max_messages = Some(max_messages);
        self
    }

    /// Waits up to this long for a message to arrive (long polling): 0–20 s, in whole seconds (a fraction counts as
    /// one). Without it, the queue's own setting holds.
    pub fn wait_time(mut self, wait_time: Duration) -> Self {
        self.input.wait_time = Some(wait_time);
        self
    }

    /// Hides the messages from other consumers for this long: 0 s–12 h, in whole seconds (a fraction counts as one).
    /// Without it, the queue's own setting holds.
    pub fn visibility_timeout(mut self, visibility_timeout: Duration) -> Self {
        self.input.visibility_timeout = Some(visibility_timeout);
        self
    }

    /// Brings the message attributes of these names too; `prefix.*` stands for all that begin so, `All` for all.
    pub fn message_attribute_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.input.message_attribute_names.extend(names);
        self
    }

    /// Brings these system attributes too.
    pub fn message_system_attribute_names(
        mut self,
        names: impl IntoIterator<Item = MessageSystemAttributeName>,
    ) -> Self {
        self.input.message_system_attribute_names.extend(names);
        self
    }

    /// FIFO queues: names this receive, so that a retry within 5 minutes brings the same messages although they are
    /// hidden. Up to 128 characters. Without it the client's own retries share an id of the client's.
    pub fn receive_request_attempt_id(mut self, id: impl Into<String>) -> Self {
        self.input.receive_request_attempt_id = Some(id.into());
        self
    }
}

impl Client {
    /// Receives messages, and hides them from other consumers for the visibility timeout.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    ///
    /// let received = client.receive_message(queue).max_messages(10).wait_time(Duration::from_secs(20)).await?;
    /// for message in received.messages {
    ///     println!("{}", message.body);
    ///     client.delete_message(queue, &message.receipt_handle).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Messages that the server had already picked when the future was dropped stay hidden for their visibility
    /// timeout, and are delivered again then.
    ///
    /// # Errors
    ///
    /// [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist); [`OverLimit`](crate::ErrorCode::OverLimit) with
    /// 120,000 messages in flight; [`Checksum`](crate::ErrorKind::Checksum) where a message is not what the server
    /// says it sent: the error names it, none is returned, and all come again after their visibility timeout.
    pub fn receive_message(&self, queue_url: impl Into<String>) -> Request<ReceiveMessage> {
        self.request(ReceiveMessage {
            queue_url: queue_url.into(),
            message_system_attribute_names: Vec::new(),
            message_attribute_names: Vec::new(),
            max_messages: None,
            visibility_timeout: None,
            wait_time: None,
            receive_request_attempt_id: None,
        })
    }
}
