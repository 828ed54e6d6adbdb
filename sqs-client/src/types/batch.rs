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

/// One message of a batch to send.
///
/// ```
/// use sqs_client::OutgoingMessage;
/// use sqs_client::types::SendMessageBatchEntry;
///
/// let entries = ["a", "b"].iter().enumerate().map(|(i, body)| SendMessageBatchEntry::new(i.to_string(), *body));
/// assert_eq!(entries.count(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageBatchEntry {
    /// Names the entry within its batch, to find its result by: up to 80 letters, digits, hyphens and underscores.
    pub id: String,
    /// The message.
    #[serde(flatten)]
    pub message: OutgoingMessage,
}

impl SendMessageBatchEntry {
    /// An entry of this id.
    pub fn new(id: impl Into<String>, message: impl Into<OutgoingMessage>) -> Self {
        Self {
            id: id.into(),
            message: message.into(),
        }
    }
}

/// One message of a batch to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DeleteMessageBatchEntry {
    /// Names the entry within its batch, to find its result by: up to 80 letters, digits, hyphens and underscores.
    pub id: String,
    /// The handle of the receipt.
    pub receipt_handle: String,
}

impl DeleteMessageBatchEntry {
    /// An entry of this id.
    pub fn new(id: impl Into<String>, receipt_handle: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            receipt_handle: receipt_handle.into(),
        }
    }
}

/// One message of a batch whose visibility is to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ChangeMessageVisibilityBatchEntry {
    /// Names the entry within its batch, to find its result by: up to 80 letters, digits, hyphens and underscores.
    pub id: String,
    /// The handle of the receipt.
    pub receipt_handle: String,
    /// From now on: 0 s–12 h, in whole seconds (a fraction counts as one). Always sent, zero too.
    #[serde(with = "always_seconds")]
    pub visibility_timeout: Duration,
}

impl ChangeMessageVisibilityBatchEntry {
    /// An entry of this id, to hide the message for this long from now on.
    pub fn new(id: impl Into<String>, receipt_handle: impl Into<String>, visibility_timeout: Duration) -> Self {
        Self {
            id: id.into(),
            receipt_handle: receipt_handle.into(),
            visibility_timeout,
        }
    }
}

/// The response to a batch: every entry is in one of the three lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", bound(deserialize = "Entry: Deserialize<'de>"))]
#[non_exhaustive]
pub struct BatchOutput<Entry = BatchResultEntry> {
    /// The entries that were carried out.
    #[serde(default = "Vec::new", deserialize_with = "lenient::list")]
    pub successful: Vec<Entry>,
    /// The entries that were not.
    #[serde(default = "Vec::new", deserialize_with = "lenient::list")]
    pub failed: Vec<BatchResultErrorEntry>,
    /// The entries whose result cannot be read or does not match what was sent. They may have been carried out. The client
    /// logs a warning for each.
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

    /// `None` if it does not consist of entries, or if more of them cannot be read than a batch has.
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
    /// Logs the entries that a caller may overlook.
    pub(crate) fn report(&self) {
        for UnconfirmedEntry { id, error } in &self.unconfirmed {
            tracing::warn!(entry = bounded_id(id), %error, "the result of a batch's entry is damaged");
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

/// An entry of a batch whose result is damaged, while the results of others are not: the result cannot be read, or it is
/// not about what was sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnconfirmedEntry {
    /// The entry's id, as the caller gave it; empty where it cannot be read.
    pub id: String,
    /// The cause: of kind [`Response`](crate::ErrorKind::Response) where the result cannot be read, and
    /// [`Checksum`](crate::ErrorKind::Checksum) where an MD5 does not match.
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

/// An entry of a batch that was carried out, where there is nothing more to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct BatchResultEntry {
    /// The entry's id, as the caller gave it.
    pub id: String,
}

/// An entry of a batch that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SendMessageBatchResultEntry {
    /// The entry's id, as the caller gave it.
    pub id: String,
    /// What sending it alone would have answered.
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

/// An entry of a batch that the server refused or could not carry out; the others are not affected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct BatchResultErrorEntry {
    /// The entry's id, as the caller gave it.
    pub id: String,
    /// Why; `Unknown` where the server does not say.
    #[serde(default = "ErrorCode::unknown", deserialize_with = "code")]
    pub code: ErrorCode,
    /// Whether the caller is at fault; else the server is, and the entry may be tried again.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub sender_fault: bool,
    /// The server's explanation, of which at most 4 KiB are kept.
    #[serde(default, deserialize_with = "explanation", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ErrorCode, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(ErrorCode::unknown))
}

fn explanation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(error::explanation))
}
