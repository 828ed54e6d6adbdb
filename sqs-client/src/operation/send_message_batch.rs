use serde::{Deserialize, Serialize};

use super::operation;
use crate::telemetry::Purpose;
use crate::types::{BatchOutput, SendMessageBatchEntry, SendMessageBatchResultEntry};
use crate::{Client, Error, Request, checksum, limits, validate};

/// Sends up to 10 messages: the input of [`Client::send_message_batch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageBatch {
    /// The queue's URL.
    pub queue_url: String,
    /// The messages: 1 to 10, of 1 MiB together.
    pub entries: Vec<SendMessageBatchEntry>,
}

/// The answer to [`SendMessageBatch`]: every entry is in one of the two lists.
pub type SendMessageBatchOutput = BatchOutput<SendMessageBatchResultEntry>;

impl SendMessageBatch {
    pub(crate) fn new(queue_url: impl Into<String>, entries: impl IntoIterator<Item = SendMessageBatchEntry>) -> Self {
        Self {
            queue_url: queue_url.into(),
            entries: entries.into_iter().collect(),
        }
    }
}

operation!(SendMessageBatch of queue => SendMessageBatchOutput {
    const PURPOSE: Purpose = Purpose::Send;

    fn prepare(&mut self, client: &Client) {
        for entry in &mut self.entries {
            client.before_send(&self.queue_url, &mut entry.message);
        }
    }

    fn messages(&self, output: &SendMessageBatchOutput) -> usize {
        output.successful.len()
    }

    fn validate(&self) -> Result<(), Error> {
        validate::entry_ids(self.entries.iter().map(|entry| entry.id.as_str()))?;
        let bytes = self.entries.iter().map(|entry| entry.message.size()).sum();
        validate::at_most("size of the batch in bytes", bytes, limits::MAX_MESSAGE_BYTES)?;
        self.entries.iter().try_for_each(|entry| entry.message.validate())
    }

    fn encoded_size(&self) -> usize {
        self.entries.iter().map(|entry| entry.message.encoded_size()).sum()
    }

    fn verify(&self, output: &mut SendMessageBatchOutput) -> Result<(), Error> {
        let pairs = output.successful.iter().map(|SendMessageBatchResultEntry { id, output }| {
            let entry = self.entries.iter().find(|entry| entry.id == *id);
            let entry = entry.ok_or_else(|| Error::response(format!("the answer names an entry {id:?} that was not sent")))?;
            Ok((&entry.message, output))
        });
        checksum::verify_sent(&pairs.collect::<Result<Vec<_>, Error>>()?)
    }
});

impl Client {
    /// Sends 1 to 10 messages of 1 MiB together in one request. An entry can fail alone: look at `failed`.
    ///
    /// An entry in `failed` may have been sent all the same, by an attempt before this one whose response was lost.
    /// [`send_messages`](Self::send_messages) tells the difference.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use sqs_client::SendMessageBatchEntry;
    ///
    /// let entries = ["a", "b"].map(|body| SendMessageBatchEntry::new(body, body));
    /// let sent = client.send_message_batch(queue, entries).await?;
    /// for failed in sent.failed {
    ///     println!("{}: {}", failed.id, failed.code);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O, for what no server takes: no or more than 10
    /// entries, ids not well-formed or not distinct, more than 1 MiB together;
    /// [`Checksum`](crate::ErrorKind::Checksum) where the server stored something else.
    pub fn send_message_batch(
        &self,
        queue_url: impl Into<String>,
        entries: impl IntoIterator<Item = SendMessageBatchEntry>,
    ) -> Request<SendMessageBatch> {
        self.request(SendMessageBatch::new(queue_url, entries))
    }
}
