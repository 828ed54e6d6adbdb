use serde::{Deserialize, Serialize};

use crate::action::Purpose;
use crate::client::Request;
use crate::operation::operation;
use crate::types::{BatchOutput, ChangeMessageVisibilityBatchEntry};
use crate::{Client, Error, limits, validate};

/// The input of [`Client::change_message_visibility_batch`]. See AWS's
/// [`ChangeMessageVisibilityBatch`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, queue: &str, receipt_handle: &str) {
/// use std::time::Duration;
/// use sqs_client::types::ChangeMessageVisibilityBatchEntry;
///
/// let entry = ChangeMessageVisibilityBatchEntry::new("1", receipt_handle, Duration::ZERO);
/// let request = client.change_message_visibility_batch(queue, [entry]);
/// assert_eq!(request.input().entries.len(), 1);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ChangeMessageVisibilityBatch {
    /// The queue's URL.
    pub queue_url: String,
    /// The messages. Range: 1–10.
    pub entries: Vec<ChangeMessageVisibilityBatchEntry>,
}

/// The output of [`Client::change_message_visibility_batch`]. Each entry is in one of its three lists.
pub type ChangeMessageVisibilityBatchOutput = BatchOutput;

operation!(ChangeMessageVisibilityBatch of queue => ChangeMessageVisibilityBatchOutput {
    const PURPOSE: Purpose = Purpose::Settle;

    fn messages(&self, output: &ChangeMessageVisibilityBatchOutput) -> usize {
        output.successful.len()
    }

    fn read(json: &[u8]) -> Result<ChangeMessageVisibilityBatchOutput, serde_json::Error> {
        BatchOutput::read(json)
    }

    fn report(&self, output: &ChangeMessageVisibilityBatchOutput) {
        output.report();
    }

    fn validate(&self) -> Result<(), Error> {
        validate::entry_ids(self.entries.iter().map(|entry| entry.id.as_str()))?;
        self.entries.iter().try_for_each(|entry| {
            validate::no_longer_than("visibility timeout", entry.visibility_timeout, limits::MAX_VISIBILITY_TIMEOUT)
        })
    }
});

impl Client {
    /// Hides 1 to 10 received messages in one request, each for the time of its entry. Zero makes a message visible at
    /// once.
    ///
    /// An entry can fail alone, so check `failed`. [`change_visibilities`](Self::change_visibilities) accepts any number
    /// of messages.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    /// use sqs_client::types::ChangeMessageVisibilityBatchEntry;
    ///
    /// let messages = client.receive_message(queue).max_messages(10).await?.messages;
    /// let entries = messages.iter().enumerate().map(|(i, message)| {
    ///     ChangeMessageVisibilityBatchEntry::new(i.to_string(), &message.receipt_handle, Duration::from_secs(300))
    /// });
    /// let changed = client.change_message_visibility_batch(queue, entries).await?;
    /// assert!(changed.failed.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: there are no entries or more than 10, or a
    ///   timeout exceeds 12 hours. The same applies if an id is not valid or occurs twice.
    /// - [`QueueDoesNotExist`](crate::ErrorCode::QueueDoesNotExist): the queue does not exist.
    pub fn change_message_visibility_batch(
        &self,
        queue_url: impl Into<String>,
        entries: impl IntoIterator<Item = ChangeMessageVisibilityBatchEntry>,
    ) -> Request<ChangeMessageVisibilityBatch> {
        self.request(ChangeMessageVisibilityBatch {
            queue_url: queue_url.into(),
            entries: entries.into_iter().collect(),
        })
    }
}
