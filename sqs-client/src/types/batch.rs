use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{self, Error, ErrorCode};
use crate::limits;
use crate::types::lenient;
use crate::types::members::{Nested, of_text_members};
use crate::types::send_message_output::SendMessageOutput;
use crate::types::text::always_seconds;
use crate::types::{OutgoingMessage, bounded_id, parts};

/// A message to send in a batch. See [`send_message_batch`](crate::Client::send_message_batch).
///
/// ```
/// use sqs_client::OutgoingMessage;
/// use sqs_client::types::SendMessageBatchEntry;
///
/// let entry = SendMessageBatchEntry::new("1", OutgoingMessage::new("hello").message_group_id("orders"));
/// assert_eq!(entry.message.body, "hello");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageBatchEntry {
    /// The id of the entry and of its result, unique in the batch: up to 80 letters, digits, hyphens and underscores.
    pub id: String,
    /// The message.
    #[serde(flatten)]
    pub message: OutgoingMessage,
}

impl SendMessageBatchEntry {
    /// Creates an entry with this id: up to 80 letters, digits, hyphens and underscores.
    pub fn new(id: impl Into<String>, message: impl Into<OutgoingMessage>) -> Self {
        Self {
            id: id.into(),
            message: message.into(),
        }
    }
}

/// A message to delete in a batch. See [`delete_message_batch`](crate::Client::delete_message_batch).
///
/// ```
/// use sqs_client::types::DeleteMessageBatchEntry;
///
/// let entry = DeleteMessageBatchEntry::new("1", "receipt handle");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DeleteMessageBatchEntry {
    /// The id of the entry and of its result, unique in the batch: up to 80 letters, digits, hyphens and underscores.
    pub id: String,
    /// The receipt handle.
    pub receipt_handle: String,
}

impl DeleteMessageBatchEntry {
    /// Creates an entry with this id: up to 80 letters, digits, hyphens and underscores.
    pub fn new(id: impl Into<String>, receipt_handle: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            receipt_handle: receipt_handle.into(),
        }
    }
}

/// A message whose visibility changes in a batch. See
/// [`change_message_visibility_batch`](crate::Client::change_message_visibility_batch).
///
/// ```
/// use std::time::Duration;
/// use sqs_client::types::ChangeMessageVisibilityBatchEntry;
///
/// let entry = ChangeMessageVisibilityBatchEntry::new("1", "receipt handle", Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ChangeMessageVisibilityBatchEntry {
    /// The id of the entry and of its result, unique in the batch: up to 80 letters, digits, hyphens and underscores.
    pub id: String,
    /// The receipt handle.
    pub receipt_handle: String,
    /// The time from now for which the message stays hidden, in whole seconds (rounded up). Range: 0 s–12 h. Zero makes
    /// the message visible.
    #[serde(with = "always_seconds")]
    pub visibility_timeout: Duration,
}

impl ChangeMessageVisibilityBatchEntry {
    /// Creates an entry that hides the message for this time from now on. Range: 0 s–12 h. The id has up to 80 letters,
    /// digits, hyphens and underscores.
    pub fn new(id: impl Into<String>, receipt_handle: impl Into<String>, visibility_timeout: Duration) -> Self {
        Self {
            id: id.into(),
            receipt_handle: receipt_handle.into(),
            visibility_timeout,
        }
    }
}

/// The output of a batch action. Each result that the server returned is in one of the three lists. An entry that the
/// server left out is in none, and may have succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", bound(deserialize = "Entry: Deserialize<'de>"))]
#[non_exhaustive]
pub struct BatchOutput<Entry = BatchResultEntry> {
    /// The entries that succeeded.
    #[serde(default = "Vec::new", deserialize_with = "lenient::list")]
    pub successful: Vec<Entry>,
    /// The entries that failed.
    #[serde(default = "Vec::new", deserialize_with = "lenient::list")]
    pub failed: Vec<BatchResultErrorEntry>,
    /// The entries whose result cannot be read or does not match the request. These may have succeeded. The client logs
    /// a warning for each.
    #[serde(skip)]
    pub unconfirmed: Vec<UnconfirmedEntry>,
}

impl<Entry> Default for BatchOutput<Entry> {
    fn default() -> Self {
        Self {
            successful: Vec::new(),
            failed: Vec::new(),
            unconfirmed: Vec::new(),
        }
    }
}

impl<Entry: DeserializeOwned> BatchOutput<Entry> {
    /// Reads an output, entry by entry if it cannot be read as a whole.
    pub(crate) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json).or_else(|error| Self::read_each(json).ok_or(error))
    }

    /// Returns `None` if the output does not consist of entries, or if it has more unreadable entries than a batch can have.
    fn read_each(json: &[u8]) -> Option<Self> {
        let mut output = Self::default();
        parts::members(json, |name, list| match name {
            "Successful" => read_entries(list, &mut output.successful, &mut output.unconfirmed),
            "Failed" => read_entries(list, &mut output.failed, &mut output.unconfirmed),
            _ => Some(()),
        })?;
        Some(output)
    }
}

impl<Entry> BatchOutput<Entry> {
    /// Logs the unconfirmed entries, which a caller may overlook.
    pub(crate) fn report(&self) {
        for UnconfirmedEntry { id, error } in &self.unconfirmed {
            let entry = bounded_id(id);
            tracing::warn!(entry, %error, "the result of a batch entry is damaged; the entry may have succeeded");
        }
    }
}

fn read_entries<T: DeserializeOwned>(
    list: &[u8],
    entries: &mut Vec<T>,
    unconfirmed: &mut Vec<UnconfirmedEntry>,
) -> Option<()> {
    if list.trim_ascii() == b"null" {
        return Some(());
    }
    parts::elements(list, |element| {
        match serde_json::from_slice::<Option<T>>(element) {
            Ok(entry) => entries.extend(entry),
            Err(error) => unconfirmed.push(UnconfirmedEntry::unread(element, &error)),
        }
        (unconfirmed.len() <= limits::MAX_BATCH_ENTRIES).then_some(())
    })
}

/// A batch entry with a damaged result, which cannot be read or does not match the request. The results of other entries
/// are unaffected.
///
/// It is in [`BatchOutput::unconfirmed`]. [`send_message_batch`](crate::Client::send_message_batch) has an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnconfirmedEntry {
    /// The entry's id. Empty if it cannot be read.
    pub id: String,
    /// The cause, of kind [`Response`](crate::ErrorKind::Response) if the result cannot be read or names an unknown entry,
    /// and [`Checksum`](crate::ErrorKind::Checksum) if an MD5 does not match.
    pub error: Error,
}

impl UnconfirmedEntry {
    pub(crate) fn new(id: String, error: Error) -> Self {
        Self { id, error }
    }

    fn unread(json: &[u8], error: &serde_json::Error) -> Self {
        let mut id = String::new();
        parts::members(json, |name, value| {
            if name == "Id" {
                id = serde_json::from_slice(value).unwrap_or_default();
            }
            Some(())
        });
        let (what, column) = (error.classify(), error.column());
        let error = Error::response(format!(
            "the result of entry {:?} could not be read ({what:?} error at column {column})",
            bounded_id(&id)
        ));
        Self { id, error }
    }
}

/// Compares errors by kind and message, as their sources cannot be compared.
impl PartialEq for UnconfirmedEntry {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.error.kind() == other.error.kind() && self.error.message() == other.error.message()
    }
}

impl Eq for UnconfirmedEntry {}

/// A batch entry that succeeded without further output.
///
/// It is in [`BatchOutput::successful`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct BatchResultEntry {
    /// The entry's id.
    pub id: String,
}

/// A batch entry that was sent.
///
/// It is in [`BatchOutput::successful`] of [`send_message_batch`](crate::Client::send_message_batch).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageBatchResultEntry {
    /// The entry's id.
    pub id: String,
    /// The output, as [`send_message`](crate::Client::send_message) returns it.
    #[serde(flatten)]
    pub output: SendMessageOutput,
}

of_text_members!(SendMessageBatchResultEntry, |name| match name {
    "Id"
    | "MessageId"
    | "MD5OfMessageBody"
    | "MD5OfMessageAttributes"
    | "MD5OfMessageSystemAttributes"
    | "SequenceNumber" => Nested::Refuse,
    _ => Nested::Skip,
});

/// A batch entry that failed. Other entries are unaffected.
///
/// It is in [`BatchOutput::failed`]. [`send_message_batch`](crate::Client::send_message_batch) has an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct BatchResultErrorEntry {
    /// The entry's id.
    pub id: String,
    /// The error code. `Unknown` if the server sent none.
    #[serde(default = "ErrorCode::unknown", deserialize_with = "code")]
    pub code: ErrorCode,
    /// `true` if the caller is at fault. `false` if the server is, so that the entry may be retried.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub sender_fault: bool,
    /// The server's explanation, cut off after 4 KiB.
    #[serde(default, deserialize_with = "explanation", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ErrorCode, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(ErrorCode::unknown))
}

fn explanation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(error::explanation))
}
