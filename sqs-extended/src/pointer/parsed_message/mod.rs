//! What a message holds, for programs that did not receive it through this library's client.

use std::collections::BTreeMap;
use std::fmt;

use sqs_client::Message;
use sqs_client::types::MessageAttributeValue;

use crate::error::Error;
use crate::pointer::{Envelope, open_parts, sns, take_reserved};

/// What a message holds, by its body and its attributes alone: for messages that came by another way than
/// [`ExtendedClient::receive`](crate::ExtendedClient::receive), such as AWS Lambda ([`LambdaRecord`](crate::pointer::LambdaRecord)),
/// SNS or another client. Nothing is fetched.
///
/// ```
/// use std::collections::BTreeMap;
/// use sqs_extended::pointer::{ParsedMessage, PayloadLocation};
///
/// let body = r#"{"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:orders", "Message": "hello"}"#;
/// let incoming = ParsedMessage::new(body, BTreeMap::new())?.unwrap_sns()?;
/// assert_eq!(incoming.contents, PayloadLocation::Inline("hello".to_owned()));
/// # Ok::<(), sqs_extended::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParsedMessage {
    /// The payload, or where it is.
    pub contents: PayloadLocation,
    /// The sender's attributes, without those that mark a pointer.
    pub message_attributes: BTreeMap<String, MessageAttributeValue>,
}

/// The payload of a [`ParsedMessage`], or its location.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadLocation {
    /// The message's body is the payload.
    Inline(String),
    /// The payload is in an object store. This is the sender's word: neither that it is a place to fetch from nor that
    /// it is authentic was asked yet.
    Offloaded(Box<Envelope>),
}

impl ParsedMessage {
    /// Of a message's body and its attributes, among them the reserved ones: a message is a pointer because of them.
    ///
    /// # Errors
    ///
    /// Of kind [`RefusedPointer`](crate::ErrorKind::RefusedPointer): the message claims to be a pointer but is not a
    /// sound one.
    pub fn new(
        body: impl Into<String>,
        mut message_attributes: BTreeMap<String, MessageAttributeValue>,
    ) -> Result<Self, Error> {
        let body = body.into();
        let contents = match open_parts(&body, &message_attributes)? {
            Some(envelope) => PayloadLocation::Offloaded(Box::new(envelope)),
            None => PayloadLocation::Inline(body),
        };
        take_reserved(&mut message_attributes);
        Ok(Self {
            contents,
            message_attributes,
        })
    }

    /// Of a received message.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), with the message's receipt handle.
    pub fn from_message(message: &Message) -> Result<Self, Error> {
        Self::new(message.body.as_str(), message.message_attributes.clone())
            .map_err(|error| error.with_receipt_handle(&message.receipt_handle))
    }

    /// What was published to SNS, if the payload is the notification of it that SNS sends to a queue whose subscription
    /// does not ask for raw delivery; anything else stays as it is. The publisher's attributes take the place of the
    /// message's, which SNS gives none.
    ///
    /// Call it only for queues that are subscribed to a topic: elsewhere a sender's ordinary text that looks like a
    /// notification is just that.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), of what was published. Of the same kind if the payload is a notification, but malformed.
    pub fn unwrap_sns(self) -> Result<Self, Error> {
        let PayloadLocation::Inline(body) = &self.contents else {
            return Ok(self);
        };
        match sns::unwrap(body)? {
            Some(published) => Self::new(published.message, published.attributes),
            None => Ok(self),
        }
    }
}

impl fmt::Debug for PayloadLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Not the body.
            Self::Inline(body) => f
                .debug_tuple("Inline")
                .field(&format_args!("{} bytes", body.len()))
                .finish(),
            Self::Offloaded(envelope) => f.debug_tuple("Offloaded").field(envelope).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
