use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::OutgoingMessage;
use super::lenient;
use super::members::of_text_members;
use super::text::always_seconds;
use crate::error::{self, ErrorCode};
use crate::operation::SendMessageOutput;

/// One message of a batch to send.
///
/// ```
/// use sqs_client::{OutgoingMessage, SendMessageBatchEntry};
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

/// The answer to a batch: every entry is in one of the two lists.
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
}

impl<Entry> Default for BatchOutput<Entry> {
    fn default() -> Self {
        Self {
            successful: Vec::new(),
            failed: Vec::new(),
        }
    }
}

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

of_text_members!(SendMessageBatchResultEntry);

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
