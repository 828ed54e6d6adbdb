use serde::{Deserialize, Serialize};

use crate::action::Purpose;
use crate::client::Request;
use crate::operation::operation;
use crate::types::{BatchOutput, DeleteMessageBatchEntry};
use crate::{Client, Error, validate};

/// The input of [`Client::delete_message_batch`]. See AWS's
/// [`DeleteMessageBatch`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str, receipt_handle: &str) {
/// use sqs_client::types::DeleteMessageBatchEntry;
///
/// let request = client.delete_message_batch(queue, [DeleteMessageBatchEntry::new("1", receipt_handle)]);
/// assert_eq!(request.input().entries.len(), 1);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DeleteMessageBatch {
    /// The queue's URL.
    pub queue_url: String,
    /// The messages. Range: 1–10.
    pub entries: Vec<DeleteMessageBatchEntry>,
}

/// The output of [`Client::delete_message_batch`]. Each entry is in one of its three lists.
pub type DeleteMessageBatchOutput = BatchOutput;

operation!(DeleteMessageBatch of queue => DeleteMessageBatchOutput {
    const PURPOSE: Purpose = Purpose::Acknowledge;

    fn messages(&self, output: &DeleteMessageBatchOutput) -> usize {
        output.successful.len()
    }

    fn read(json: &[u8]) -> Result<DeleteMessageBatchOutput, serde_json::Error> {
        BatchOutput::read(json)
    }

    fn report(&self, output: &DeleteMessageBatchOutput) {
        output.report();
    }

    fn validate(&self) -> Result<(), Error> {
        validate::entry_ids(self.entries.iter().map(|entry| entry.id.as_str()))
    }
});

impl Client {
    /// Deletes 1 to 10 received messages in one request.
    ///
    /// An entry can fail alone, so check `failed`. [`delete_messages`](Self::delete_messages) accepts any number of
    /// receipt handles.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use sqs_client::types::DeleteMessageBatchEntry;
    ///
    /// let messages = client.receive_message(queue).max_messages(10).await?.messages;
    /// let entries = messages.iter().enumerate().map(|(i, m)| DeleteMessageBatchEntry::new(i.to_string(), &m.receipt_handle));
    /// let deleted = client.delete_message_batch(queue, entries).await?;
    /// assert!(deleted.failed.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: there are no entries or more than 10, or
    ///   an id is not valid or occurs twice.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn delete_message_batch(
        &self,
        queue_url: impl Into<String>,
        entries: impl IntoIterator<Item = DeleteMessageBatchEntry>,
    ) -> Request<DeleteMessageBatch> {
        self.request(DeleteMessageBatch {
            queue_url: queue_url.into(),
            entries: entries.into_iter().collect(),
        })
    }
}
