use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{is_fifo, operation};
use crate::telemetry::Purpose;
use crate::types::{BatchOutput, SendMessageBatchEntry, SendMessageBatchResultEntry, UnconfirmedEntry, bounded_id};
use crate::{Client, Error, checksum, limits, validate};

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

/// The response to [`SendMessageBatch`]: every entry is in one of the three lists.
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

    fn prepare(&mut self, client: &Client) {
        for entry in &mut self.entries {
            client.before_send(&self.queue_url, &mut entry.message);
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
        self.entries.iter().try_for_each(|entry| entry.message.validate(is_fifo))
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
            let error = Error::response(format!("the response names an entry {id:?} that was not sent"));
            UnconfirmedEntry::new(result.id, error)
        }));
        Ok(())
    }
});

impl Client {
    /// Sends 1 to 10 messages of 1 MiB together in one request. An entry can fail alone: look at `failed`, and at
    /// `unconfirmed` for those whose result is damaged.
    ///
    /// An entry in `failed` may have been sent all the same, by an attempt before this one whose response was lost.
    /// [`send_messages`](Self::send_messages) tells the difference.
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
    ///     println!("{}: perhaps sent: {}", unconfirmed.id, unconfirmed.error);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O, for what no server takes: no or more than 10
    /// entries, ids not well-formed or not distinct, more than 1 MiB together. Where the server stored something else,
    /// the entry is in `unconfirmed`, and the others count.
    pub fn send_message_batch(
        &self,
        queue_url: impl Into<String>,
        entries: impl IntoIterator<Item = SendMessageBatchEntry>,
    ) -> Request<SendMessageBatch> {
        self.request(SendMessageBatch::new(queue_url, entries))
    }
}
