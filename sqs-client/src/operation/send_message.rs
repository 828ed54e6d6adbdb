use serde::{Deserialize, Serialize};

use crate::checksum;
use crate::client::Request;
use crate::operation::{is_fifo, operation};
use crate::telemetry::Purpose;
use crate::types::{OutgoingMessage, message_setters};
use crate::{Client, Error};

/// Sends one message: the input of [`Client::send_message`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessage {
    /// The queue's URL.
    pub queue_url: String,
    /// The message.
    #[serde(flatten)]
    pub message: OutgoingMessage,
}

/// The answer to [`SendMessage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageOutput {
    /// The id that SQS gave the message.
    pub message_id: String,
    /// MD5 of the body as the server stored it; `None` where it sent none.
    #[serde(default, rename = "MD5OfMessageBody", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_body: Option<String>,
    /// MD5 of the message attributes as the server stored them.
    #[serde(default, rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_attributes: Option<String>,
    /// MD5 of the message system attributes as the server stored them.
    #[serde(
        default,
        rename = "MD5OfMessageSystemAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    pub md5_of_message_system_attributes: Option<String>,
    /// FIFO queues: the message's place, of 20 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
}

operation!(SendMessage of queue => SendMessageOutput {
    const PURPOSE: Purpose = Purpose::Send;

    fn prepare(&mut self, client: &Client) {
        client.before_send(&self.queue_url, &mut self.message);
    }

    fn validate(&self) -> Result<(), Error> {
        self.message.validate(is_fifo(&self.queue_url))
    }

    fn encoded_size(&self) -> usize {
        self.message.encoded_size()
    }

    fn verify(&self, output: &mut SendMessageOutput) -> Result<(), Error> {
        checksum::verify_sent(&[(&self.message, output)]).into_iter().collect()
    }
});

impl Request<SendMessage> {
    message_setters!(this => this.input.message);
}

impl Client {
    /// Sends a message of up to 1 MiB.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    ///
    /// let sent = client.send_message(queue, "hello").delay(Duration::from_secs(5)).message_attribute("lang", "en").await?;
    /// println!("{}", sent.message_id);
    /// # Ok(()) }
    /// ```
    ///
    /// A retry after a fault of the connection may send the message twice to a standard queue; a FIFO queue drops the
    /// second by its deduplication id.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O, for what no server takes;
    /// [`InvalidMessageContents`](crate::ErrorCode::InvalidMessageContents) for characters that SQS does not take;
    /// [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist);
    /// [`Checksum`](crate::ErrorKind::Checksum) where the server stored something else.
    pub fn send_message(
        &self,
        queue_url: impl Into<String>,
        message: impl Into<OutgoingMessage>,
    ) -> Request<SendMessage> {
        self.request(SendMessage {
            queue_url: queue_url.into(),
            message: message.into(),
        })
    }
}
