use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::action::{Purpose, SendContext};
use crate::client::Request;
use crate::operation::operation;
use crate::queue_name::is_fifo;
use crate::types::text::seconds;
use crate::types::{Message, MessageSystemAttributeName, RejectedMessage, bounded_id, lenient, parts};
use crate::{Client, Error, checksum, limits, validate};

/// The input of [`Client::receive_message`]. See AWS's
/// [`ReceiveMessage`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.receive_message(queue).max_messages(10);
/// assert_eq!(request.input().max_messages, Some(10));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ReceiveMessage {
    /// The queue's URL.
    pub queue_url: String,
    /// The system attributes to return.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub message_system_attribute_names: Vec<MessageSystemAttributeName>,
    /// The message attributes to return: names, `prefix.*`, or `All`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub message_attribute_names: Vec<String>,
    /// The maximum number of messages. Range: 1–10. Default: 1.
    #[serde(default, rename = "MaxNumberOfMessages", skip_serializing_if = "Option::is_none")]
    pub max_messages: Option<u8>,
    /// The time for which the messages stay hidden. Range: 0 s–12 h. Default: the queue's visibility timeout.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub visibility_timeout: Option<Duration>,
    /// The time to wait for a message. Range: 0–20 s. Default: the queue's wait time.
    #[serde(
        default,
        rename = "WaitTimeSeconds",
        with = "seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub wait_time: Option<Duration>,
    /// FIFO queues: the id of this receive. A retry with the same id within 5 minutes returns the same messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_request_attempt_id: Option<String>,
}

/// Writes the system attribute names twice. Older servers, such as ElasticMQ up to 1.6.1, know only `AttributeNames`,
/// and return neither group nor receive count without it.
impl Serialize for ReceiveMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ForAnyServer<'a> {
            #[serde(flatten, with = "ReceiveMessage")]
            request: &'a ReceiveMessage,
            #[serde(rename = "AttributeNames", skip_serializing_if = "<[_]>::is_empty")]
            attribute_names: &'a [MessageSystemAttributeName],
        }
        let any = ForAnyServer {
            request: self,
            attribute_names: &self.message_system_attribute_names,
        };
        any.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReceiveMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

/// The output of [`Client::receive_message`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ReceiveMessageOutput {
    /// The messages. Empty if none arrived within the wait time.
    #[serde(deserialize_with = "lenient::list")]
    pub messages: Vec<Message>,
    /// The received messages that were rejected. The client logs a warning for each.
    #[serde(skip)]
    pub rejected: Vec<RejectedMessage>,
}

impl ReceiveMessageOutput {
    /// Returns messages and rejected messages in the order of the response. On a FIFO queue, handle no message of a group
    /// after a rejected one of the same group.
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

    /// Adds a receive attempt id for a FIFO queue. With it, a retry after a lost response returns the same messages,
    /// although they are hidden by then.
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

    /// Returns the request's wait time. If it has none, the queue's own applies, which may be the maximum.
    fn server_wait(&self) -> Duration {
        self.wait_time.unwrap_or(limits::MAX_WAIT_TIME)
    }

    fn read(json: &[u8]) -> Result<ReceiveMessageOutput, serde_json::Error> {
        serde_json::from_slice(json).or_else(|error| read_each(json).ok_or(error))
    }

    fn verify(&self, output: &mut ReceiveMessageOutput) -> Result<(), Error> {
        let damaged = checksum::damaged(&output.messages, self.requests_all_attributes());
        if !damaged.is_empty() {
            reject(output, damaged);
        }
        Ok(())
    }

    fn report(&self, output: &ReceiveMessageOutput) {
        for RejectedMessage { message, error, .. } in &output.rejected {
            tracing::warn!(message_id = %bounded_id(&message.message_id), %error, "rejected a received message");
        }
    }
});

impl ReceiveMessage {
    /// Returns `true` if all message attributes are requested.
    fn requests_all_attributes(&self) -> bool {
        let names = &self.message_attribute_names;
        names.iter().any(|name| name == "All" || name == ".*")
    }
}

/// Reads a response message by message. Returns `None` if it does not consist of messages, or if it has more rejected
/// messages than a receive can return.
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

/// Rejects the messages at these indices, which are in ascending order.
fn reject(output: &mut ReceiveMessageOutput, damaged: Vec<(usize, Error)>) {
    let mut damaged = damaged.into_iter().peekable();
    let mut index = 0;
    for (position, received) in std::mem::take(output).in_order().enumerate() {
        match received {
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
    /// Sets the maximum number of messages. Range: 1–10. Default: 1.
    pub fn max_messages(mut self, max_messages: u8) -> Self {
        self.input.max_messages = Some(max_messages);
        self
    }

    /// Sets the time to wait for a message (long polling), in whole seconds (rounded up). Range: 0–20 s. Default: the
    /// queue's wait time.
    pub fn wait_time(mut self, wait_time: Duration) -> Self {
        self.input.wait_time = Some(wait_time);
        self
    }

    /// Sets the time for which the messages stay hidden from other consumers, in whole seconds (rounded up).
    /// Range: 0 s–12 h. Default: the queue's visibility timeout.
    pub fn visibility_timeout(mut self, visibility_timeout: Duration) -> Self {
        self.input.visibility_timeout = Some(visibility_timeout);
        self
    }

    /// Adds the names of message attributes to return. `prefix.*` stands for all names with the prefix, and `All` for
    /// all attributes. Default: none.
    pub fn message_attribute_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into);
        self.input.message_attribute_names.extend(names);
        self
    }

    /// Adds the names of system attributes to return. Default: none.
    pub fn message_system_attribute_names(
        mut self,
        names: impl IntoIterator<Item = MessageSystemAttributeName>,
    ) -> Self {
        self.input.message_system_attribute_names.extend(names);
        self
    }

    /// Sets the id of this receive on a FIFO queue. A retry with the same id within 5 minutes returns the same messages,
    /// although they are hidden. Range: 1–128 characters. Default: a random id, which the client's own retries share.
    pub fn receive_request_attempt_id(mut self, id: impl Into<String>) -> Self {
        self.input.receive_request_attempt_id = Some(id.into());
        self
    }
}

impl Client {
    /// Receives messages and hides them from other consumers for the visibility timeout.
    ///
    /// A message that cannot be read, or whose MD5 does not match, is not an error of the request. It is in
    /// [`rejected`](crate::operation::ReceiveMessageOutput::rejected).
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
    /// If the future is dropped after the server has selected messages, they stay hidden for their visibility timeout.
    /// SQS then delivers them again.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: a setting is out of its range.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    /// - [`OverLimit`](crate::ErrorCode::OverLimit): the queue already has the maximum number of messages in flight,
    ///   which is 120,000.
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
