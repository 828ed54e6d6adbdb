use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::action::{Purpose, SendContext};
use crate::client::Request;
use crate::operation::{is_fifo, operation};
use crate::types::text::seconds;
use crate::types::{Message, MessageSystemAttributeName, RejectedMessage, bounded_id, lenient, parts};
use crate::{Client, Error, checksum, limits, validate};

/// Receives up to 10 messages: the input of [`Client::receive_message`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "PascalCase")]
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

/// The request names the system attributes twice: servers older than the newer member, such as ElasticMQ to 1.6.1, know
/// only `AttributeNames`, and without them return neither group nor receive count.
impl Serialize for ReceiveMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ForAnyServer<'a> {
            #[serde(flatten, with = "ReceiveMessage")]
            request: &'a ReceiveMessage,
            #[serde(rename = "AttributeNames", skip_serializing_if = "<[_]>::is_empty")]
            older: &'a [MessageSystemAttributeName],
        }
        let any = ForAnyServer {
            request: self,
            older: &self.message_system_attribute_names,
        };
        any.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReceiveMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

/// The answer to [`ReceiveMessage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ReceiveMessageOutput {
    /// The messages; none where the wait was over first.
    #[serde(deserialize_with = "lenient::list")]
    pub messages: Vec<Message>,
    /// The messages that came with them and were rejected, each for itself. The client logs a warning for each.
    #[serde(skip)]
    pub rejected: Vec<RejectedMessage>,
}

impl ReceiveMessageOutput {
    /// Returns messages and rejected messages in the order in which they came. On a FIFO queue, nothing of a group may be
    /// handled after one of it that was rejected.
    pub fn in_order(self) -> impl Iterator<Item = Result<Message, RejectedMessage>> {
        let mut messages = self.messages.into_iter();
        let mut rejected = self.rejected.into_iter().peekable();
        let mut positions = 0_usize..;
        std::iter::from_fn(move || {
            let position = positions.next()?;
            if let Some(rejected) = rejected.next_if(|rejected| rejected.position <= position) {
                return Some(Err(rejected));
            }
            messages.next().map(Ok).or_else(|| rejected.next().map(Err))
        })
    }
}

operation!(ReceiveMessage of queue => ReceiveMessageOutput {
    const PURPOSE: Purpose = Purpose::Receive;

    fn messages(&self, output: &ReceiveMessageOutput) -> usize {
        output.messages.len()
    }

    /// A retry after a lost answer brings the same messages again, which are hidden by then.
    fn prepare(&mut self, context: &SendContext<'_>) {
        if is_fifo(&self.queue_url) {
            self.receive_request_attempt_id.get_or_insert_with(|| context.new_id());
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

    fn read(json: &[u8]) -> Result<ReceiveMessageOutput, serde_json::Error> {
        serde_json::from_slice(json).or_else(|error| read_each(json).ok_or(error))
    }

    fn verify(&self, output: &mut ReceiveMessageOutput) -> Result<(), Error> {
        let damaged = checksum::damaged(&output.messages, self.asks_for_all_attributes());
        if !damaged.is_empty() {
            reject(output, damaged);
        }
        Ok(())
    }

    fn report(&self, output: &ReceiveMessageOutput) {
        for RejectedMessage { message, error, .. } in &output.rejected {
            tracing::warn!(message_id = %bounded_id(&message.message_id), %error, "a received message was rejected");
        }
    }
});

impl ReceiveMessage {
    /// Returns `true` if all message attributes are requested.
    fn asks_for_all_attributes(&self) -> bool {
        let names = &self.message_attribute_names;
        names.iter().any(|name| name == "All" || name == ".*")
    }
}

/// Reads a response message by message. `None` if it does not consist of messages, or if more of them are rejected than a
/// receive returns.
fn read_each(json: &[u8]) -> Option<ReceiveMessageOutput> {
    let mut output = ReceiveMessageOutput::default();
    let mut position = 0;
    parts::members(json, |name, list| match name {
        "Messages" => parts::elements(list, |element| {
            match serde_json::from_slice(element) {
                Ok(Some(message)) => output.messages.push(message),
                Ok(None) => return Some(()),
                Err(_) => output.rejected.push(RejectedMessage::salvage(element, position)),
            }
            position += 1;
            (output.rejected.len() <= limits::MAX_BATCH_ENTRIES).then_some(())
        }),
        _ => Some(()),
    })?;
    Some(output)
}

/// Rejects the messages at these indices of `messages`, in ascending order.
fn reject(output: &mut ReceiveMessageOutput, damaged: Vec<(usize, Error)>) {
    let mut damaged = damaged.into_iter().peekable();
    let mut index = 0;
    for (position, came) in std::mem::take(output).in_order().enumerate() {
        match came {
            Err(rejected) => output.rejected.push(rejected),
            Ok(message) => {
                match damaged.next_if(|(of, _)| *of == index) {
                    Some((_, error)) => output.rejected.push(RejectedMessage {
                        message,
                        position,
                        error,
                    }),
                    None => output.messages.push(message),
                }
                index += 1;
            }
        }
    }
}

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
    /// 120,000 messages in flight. A message that cannot be read, or is not what the server says it sent, is no error: it
    /// is in [`rejected`](crate::operation::ReceiveMessageOutput::rejected).
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
