use std::fmt;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::types::{Message, MessageSystemAttributeName, parts};

/// The maximum length of an id in an error text.
const MAX_QUOTED_ID_BYTES: usize = 128;

/// A received message that was rejected, because it could not be read or its MD5 does not match. Other messages of the
/// response are unaffected.
///
/// The message is still in the queue, hidden for the visibility timeout. SQS delivers it again until it is deleted by
/// its receipt handle, or until a redrive policy moves it to a dead-letter queue.
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
/// let received = client.receive_message(queue).max_messages(10).await?;
/// for rejected in received.rejected {
///     eprintln!("{}", rejected.error);
///     client.delete_message(queue, &rejected.message.receipt_handle).await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RejectedMessage {
    /// The message as far as it could be read. Unreadable members are empty, including the receipt handle.
    pub message: Message,
    /// The message's position in the response, counted from 0 over accepted and rejected messages.
    pub position: usize,
    /// The cause, of kind [`Response`](crate::ErrorKind::Response) if the message could not be read, and
    /// [`Checksum`](crate::ErrorKind::Checksum) if an MD5 does not match.
    pub error: Error,
}

impl RejectedMessage {
    /// Reads the readable members of a message that cannot be read as a whole.
    pub(crate) fn salvage(json: &[u8], position: usize) -> Self {
        let mut message = Message::unread();
        let mut cause = None;
        let is_object = parts::members(json, |name, value| {
            if let Err(why) = read_member(&mut message, name, value) {
                cause.get_or_insert_with(|| format!("its {name} {why}"));
            }
            Some(())
        });
        let cause = match (is_object, cause) {
            (None, _) => format!("it {}", Unexpected(json, "an object")),
            (Some(()), Some(cause)) => cause,
            (Some(()), None) if message.receipt_handle.is_empty() => "it has no receipt handle".to_owned(),
            (Some(()), None) => "a member occurs twice".to_owned(),
        };
        let id = bounded_id(&message.message_id);
        let error = Error::response(format!("message {id:?} could not be read: {cause}"));
        Self {
            message,
            position,
            error,
        }
    }
}

/// Compares errors by kind and message, as their sources cannot be compared.
impl PartialEq for RejectedMessage {
    fn eq(&self, other: &Self) -> bool {
        let comparable = |this: &Self| (this.position, this.error.kind());
        comparable(self) == comparable(other)
            && self.message == other.message
            && self.error.message() == other.error.message()
    }
}

impl Eq for RejectedMessage {}

/// Cuts an id to the length that errors and logs may quote.
pub(crate) fn bounded_id(id: &str) -> &str {
    id.get(..id.floor_char_boundary(MAX_QUOTED_ID_BYTES)).unwrap_or(id)
}

fn read_member(message: &mut Message, name: &str, json: &[u8]) -> Result<(), String> {
    match name {
        "MessageId" => read(&mut message.message_id, json, "text"),
        "ReceiptHandle" => read(&mut message.receipt_handle, json, "text"),
        "Body" => read(&mut message.body, json, "text"),
        "MD5OfBody" => read(&mut message.md5_of_body, json, "text"),
        "MD5OfMessageAttributes" => read(&mut message.md5_of_message_attributes, json, "text"),
        "Attributes" => read_entries(json, "text", |name, value: String| {
            message.attributes.insert(MessageSystemAttributeName::from(name), value);
        }),
        "MessageAttributes" => read_entries(json, "an attribute", |name, value| {
            message.message_attributes.insert(name.to_owned(), value);
        }),
        _ => Ok(()),
    }
}

fn read<T: DeserializeOwned>(member: &mut T, json: &[u8], expected: &'static str) -> Result<(), String> {
    match serde_json::from_slice(json) {
        Ok(Some(value)) => *member = value,
        Ok(None) => {}
        Err(_) => return Err(Unexpected(json, expected).to_string()),
    }
    Ok(())
}

/// Reads the readable entries of a map.
fn read_entries<T: DeserializeOwned>(
    json: &[u8],
    expected: &'static str,
    mut insert: impl FnMut(&str, T),
) -> Result<(), String> {
    let mut result = Ok(());
    let is_map = parts::members(json, |name, value| {
        match serde_json::from_slice(value) {
            Ok(Some(value)) => insert(name, value),
            Ok(None) => {}
            Err(_) => result = Err(format!("have a value that {}", Unexpected(value, expected))),
        }
        Some(())
    });
    match is_map {
        Some(()) => result,
        None if json.trim_ascii() == b"null" => Ok(()),
        None => Err(Unexpected(json, "a map").to_string()),
    }
}

/// Describes the type of the JSON, and never its content.
struct Unexpected<'a>(&'a [u8], &'static str);

impl fmt::Display for Unexpected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(json, expected) = self;
        let found = match json.trim_ascii_start().first() {
            Some(b'"') if *expected == "text" => return f.write_str("has characters that are not Unicode"),
            Some(b'{') if *expected == "an attribute" => return f.write_str("is not a valid attribute"),
            Some(b'"') => "text",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        write!(f, "is {found} where {expected} is expected")
    }
}
