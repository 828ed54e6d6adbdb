use serde::{Deserialize, Serialize};

use crate::action::{Purpose, SendContext};
use crate::client::Request;
use crate::operation::operation;
use crate::queue_name::is_fifo;
use crate::types::{BatchOutput, SendMessageBatchEntry, SendMessageBatchResultEntry, UnconfirmedEntry, bounded_id};
use crate::{Client, Error, checksum, limits, validate};

/// The input of [`Client::send_message_batch`]. See AWS's
/// [`SendMessageBatch`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str) {
/// use sqs_client::types::SendMessageBatchEntry;
///
/// let request = client.send_message_batch(queue, [SendMessageBatchEntry::new("1", "hello")]);
/// assert_eq!(request.input().entries.len(), 1);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageBatch {
    /// The queue's URL.
    pub queue_url: String,
    /// The messages. Range: 1–10, of up to 1 MiB together.
    pub entries: Vec<SendMessageBatchEntry>,
}

/// The output of [`Client::send_message_batch`]. Each entry is in one of its three lists.
pub type SendMessageBatchOutput = BatchOutput<SendMessageBatchResultEntry>;

impl SendMessageBatch {
    pub(crate) fn new(queue_url: impl Into<String>, entries: impl IntoIterator<Item = SendMessageBatchEntry>) -> Self {
        Self {
            queue_url: queue_url.into(),
            entries: entries.into_iter().collect(),
        }
    }

    fn entry(&self, id: &str) -> Option<&SendMessageBatchEntry> {
        self.entries.iter().find(|entry| entry.id == id)
    }
}

operation!(SendMessageBatch of queue => SendMessageBatchOutput {
    const PURPOSE: Purpose = Purpose::Send;

    fn prepare(&mut self, context: &SendContext<'_>) {
        for entry in &mut self.entries {
            context.before_send(&self.queue_url, &mut entry.message);
        }
    }

    fn messages(&self, output: &SendMessageBatchOutput) -> usize {
        output.successful.len()
    }

    fn read(json: &[u8]) -> Result<SendMessageBatchOutput, serde_json::Error> {
        BatchOutput::read(json)
    }

    fn report(&self, output: &SendMessageBatchOutput) {
        output.report();
    }

    fn validate(&self) -> Result<(), Error> {
        validate::entry_ids(self.entries.iter().map(|entry| entry.id.as_str()))?;
        let bytes = self.entries.iter().map(|entry| entry.message.size()).sum();
        validate::at_most("size of the batch in bytes", bytes, limits::MAX_MESSAGE_BYTES)?;
        let is_fifo = is_fifo(&self.queue_url);
        self.entries.iter().try_for_each(|SendMessageBatchEntry { message, .. }| {
            message.validate(is_fifo)?;
            message.validate_content()
        })
    }

    fn encoded_size(&self) -> usize {
        self.entries.iter().map(|entry| entry.message.encoded_size()).sum()
    }

    fn verify(&self, output: &mut SendMessageBatchOutput) -> Result<(), Error> {
        let (sent, unknown): (Vec<_>, Vec<_>) = std::mem::take(&mut output.successful)
            .into_iter()
            .partition(|result| self.entry(&result.id).is_some());
        let pairs = sent.iter().filter_map(|result| Some((&self.entry(&result.id)?.message, &result.output)));
        let verified = checksum::verify_sent(&pairs.collect::<Vec<_>>());
        for (result, verified) in sent.into_iter().zip(verified) {
            match verified {
                Ok(()) => output.successful.push(result),
                Err(error) => output.unconfirmed.push(UnconfirmedEntry::new(result.id, error)),
            }
        }
        output.unconfirmed.extend(unknown.into_iter().map(|result| {
            let id = bounded_id(&result.id);
            let error = Error::response(format!("the response has a result for entry {id:?}, which was not sent"));
            UnconfirmedEntry::new(result.id, error)
        }));
        Ok(())
    }
});

impl Client {
    /// Sends 1 to 10 messages, of up to 1 MiB together, in one request.
    ///
    /// An entry can fail alone, so check `failed`. Entries whose result is damaged, or whose MD5 does not match, are in
    /// `unconfirmed`.
    ///
    /// An entry in `failed` may still have been sent by an earlier attempt whose response was lost.
    /// [`send_messages`](Self::send_messages) accepts any number of messages. Its errors say whether a message [may
    /// have been sent](crate::Error::may_have_been_sent).
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use sqs_client::types::SendMessageBatchEntry;
    ///
    /// let entries = ["a", "b"].map(|body| SendMessageBatchEntry::new(body, body));
    /// let sent = client.send_message_batch(queue, entries).await?;
    /// for failed in sent.failed {
    ///     println!("{}: {}", failed.id, failed.code);
    /// }
    /// for unconfirmed in sent.unconfirmed {
    ///     println!("{}: may have been sent: {}", unconfirmed.id, unconfirmed.error);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: there are no entries or more than 10, or
    ///   together they exceed 1 MiB. The same applies if an id is not valid or occurs twice, or if no server would
    ///   accept one of the messages. No message of the batch is sent.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn send_message_batch(
        &self,
        queue_url: impl Into<String>,
        entries: impl IntoIterator<Item = SendMessageBatchEntry>,
    ) -> Request<SendMessageBatch> {
        self.request(SendMessageBatch::new(queue_url, entries))
    }
}
