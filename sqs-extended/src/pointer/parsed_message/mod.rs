//! Messages that a program received in another way than by this crate's client.

use std::collections::BTreeMap;
use std::fmt;

use sqs_client::Message;
use sqs_client::types::MessageAttributeValue;

use crate::error::Error;
use crate::pointer::attribute::take_reserved;
use crate::pointer::envelope::{Envelope, open_parts};
use crate::pointer::sns;

/// The content of a message, read from its body and its attributes alone. Nothing is fetched.
///
/// Use it for messages that did not arrive by [`ExtendedClient::receive`](crate::ExtendedClient::receive): those of AWS
/// Lambda ([`LambdaRecord`](crate::pointer::LambdaRecord)), SNS or another client. Fetch an offloaded payload by
/// [`PayloadStore::open`](crate::PayloadStore::open).
///
/// ```
/// use std::collections::BTreeMap;
/// use sqs_extended::pointer::{ParsedMessage, PayloadLocation};
///
/// let body = r#"{"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:orders", "Message": "hello"}"#;
/// let parsed = ParsedMessage::new(body, BTreeMap::new())?.unwrap_sns()?;
/// assert_eq!(parsed.contents, PayloadLocation::Inline("hello".to_owned()));
/// # Ok::<(), sqs_extended::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParsedMessage {
    /// The payload or its location.
    pub contents: PayloadLocation,
    /// The sender's attributes, without the reserved ones.
    pub message_attributes: BTreeMap<String, MessageAttributeValue>,
}

/// The payload of a [`ParsedMessage`], or its location.
///
/// ```
/// use sqs_extended::pointer::{ParsedMessage, PayloadLocation};
///
/// # fn example(message: sqs_client::Message) -> Result<(), sqs_extended::Error> {
/// match ParsedMessage::from_message(&message)?.contents {
///     PayloadLocation::Inline(payload) => println!("{payload}"),
///     PayloadLocation::Offloaded(envelope) => println!("the object {}", envelope.pointer.key),
///     _ => {}
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadLocation {
    /// The message's body is the payload.
    Inline(String),
    /// The payload is in an object store, as the sender claims. Neither its location nor its authenticity is verified yet.
    Offloaded(Box<Envelope>),
}

impl ParsedMessage {
    /// Parses a message from its body and all of its attributes. Only a reserved attribute makes a message a pointer.
    ///
    /// # Errors
    ///
    /// Returns an error of kind [`RefusedPointer`](crate::ErrorKind::RefusedPointer) if the message claims to be a
    /// pointer, but is malformed.
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

    /// Parses a received message. Receive it with all of its attributes.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](Self::new), with the message's receipt handle.
    pub fn from_message(message: &Message) -> Result<Self, Error> {
        Self::new(message.body.as_str(), message.message_attributes.clone())
            .map_err(|error| error.with_receipt_handle(&message.receipt_handle))
    }

    /// Unwraps the message in an SNS notification, with the publisher's attributes. Returns any other message
    /// unchanged.
    ///
    /// SNS sends such notifications to queues that are subscribed without [raw message
    /// delivery](https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html). They have no
    /// attributes of their own.
    ///
    /// Call it only for queues that are subscribed to a topic. In other queues a text that looks like a notification is
    /// an ordinary payload.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](Self::new) for the published message, and an error of the same kind if the
    /// notification is malformed.
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
            // The body may be confidential.
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
