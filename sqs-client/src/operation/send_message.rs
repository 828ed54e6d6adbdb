use serde::{Deserialize, Serialize};

use crate::action::{Purpose, SendContext};
use crate::checksum;
use crate::client::Request;
use crate::operation::operation;
use crate::queue_name::is_fifo;
use crate::types::send_message_output::SendMessageOutput;
use crate::types::{OutgoingMessage, message_setters};
use crate::{Client, Error};

/// The input of [`Client::send_message`]. See AWS's
/// [`SendMessage`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// let request = client.send_message(queue, "hello");
/// assert_eq!(request.input().message.body, "hello");
/// # }
/// ```
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

operation!(SendMessage of queue => SendMessageOutput {
    const PURPOSE: Purpose = Purpose::Send;

    fn prepare(&mut self, context: &SendContext<'_>) {
        context.before_send(&self.queue_url, &mut self.message);
    }

    fn validate(&self) -> Result<(), Error> {
        self.message.validate(is_fifo(&self.queue_url))?;
        self.message.validate_content()
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
    /// On a standard queue, a retry after a connection error may send the message twice. A FIFO queue drops the second
    /// copy by its deduplication id.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: no server would accept the message. For
    ///   example, the body is empty, too long or has a control character, or a message to a FIFO queue has no message
    ///   group id.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    /// - [`Checksum`](crate::ErrorKind::Checksum): the MD5 in the response does not match the message. The message was
    ///   sent.
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
