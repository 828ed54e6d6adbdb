//! How a message says that its payload is elsewhere: seals messages to send and opens received ones. No I/O.
//!
//! Another form of pointer to read is another arm of [`open`], and a codec beside [`pointer`].

mod attribute;
mod pointer;

pub use attribute::ReservedAttribute;
pub use pointer::{InvalidPointer, Pointer};

use sqs_client::{Message, MessageAttributeValue, OutgoingMessage};

use crate::error::{Error, ErrorKind};
pub(crate) use attribute::{is_reserved, take_reserved};

/// What a message that points to a payload says of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Envelope {
    pub(crate) pointer: Pointer,
    /// Bytes of the original body, where the sender says so.
    pub(crate) size: Option<u64>,
}

/// Makes `message` a pointer to the payload of `size` bytes.
pub(crate) fn seal(message: &mut OutgoingMessage, pointer: &Pointer, size: u64, attribute: ReservedAttribute) {
    message.body = pointer.to_string();
    message
        .message_attributes
        .insert(attribute.name().to_owned(), MessageAttributeValue::number(size));
}

/// What `message` points to, or `None` if its body is the payload. As in AWS's libraries, a message is a pointer
/// because of its reserved attribute, whatever its body looks like.
///
/// # Errors
///
/// The message claims to be a pointer but is not a sound one.
pub(crate) fn open(message: &Message) -> Result<Option<Envelope>, Error> {
    let Some(size) = attribute::find(&message.message_attributes)? else {
        return Ok(None);
    };
    let pointer: Pointer = message
        .body
        .parse()
        .map_err(|error: InvalidPointer| Error::plain(ErrorKind::RefusedPointer, error.to_string()))?;
    if pointer.length.is_some_and(|length| length != size) {
        return Err(Error::plain(
            ErrorKind::RefusedPointer,
            "the pointer and its attribute disagree about the payload's length",
        ));
    }
    Ok(Some(Envelope {
        pointer,
        size: Some(size),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BODY: &str = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"B","s3Key":"K"}]"#;

    fn message(body: &str, attributes: serde_json::Value) -> Message {
        serde_json::from_value(json!({
            "MessageId": "m", "ReceiptHandle": "r", "Body": body, "MessageAttributes": attributes,
        }))
        .unwrap()
    }

    fn number(value: &str) -> serde_json::Value {
        json!({"DataType": "Number", "StringValue": value})
    }

    #[test]
    fn a_message_without_the_attribute_is_its_own_payload() {
        assert_eq!(open(&message(BODY, json!({"mine": number("1")}))).unwrap(), None);
    }

    #[test]
    fn either_attribute_makes_a_pointer() {
        for attribute in ReservedAttribute::ALL {
            let envelope = open(&message(BODY, json!({attribute.name(): number("300000")})))
                .unwrap()
                .unwrap();
            assert_eq!(envelope.size, Some(300_000));
            assert_eq!(
                (envelope.pointer.bucket.as_str(), envelope.pointer.key.as_str()),
                ("B", "K")
            );
        }
    }

    #[test]
    fn what_is_sealed_can_be_opened() {
        let pointer: Pointer = BODY.parse().unwrap();
        let mut sent = OutgoingMessage::new("").message_attribute("mine", "x");
        seal(&mut sent, &pointer, 12, ReservedAttribute::default());
        assert_eq!(sent.body, BODY);
        let received = message(&sent.body, serde_json::to_value(&sent.message_attributes).unwrap());
        let envelope = open(&received).unwrap().unwrap();
        assert_eq!((envelope.pointer, envelope.size), (pointer, Some(12)));
    }

    #[test]
    fn a_claim_that_does_not_hold_is_refused() {
        let with_length = BODY.replace("\"K\"", "\"K\",\"payloadLength\":7");
        let string = json!({"DataType": "String", "StringValue": "12"});
        let binary = json!({"DataType": "Binary", "BinaryValue": "MTI="});
        for (body, attribute) in [
            ("hello", number("12")),
            (BODY, number("-1")),
            (BODY, number("1.5")),
            (BODY, number("")),
            (BODY, number("99999999999999999999")),
            (BODY, string),
            (BODY, binary),
            (&with_length, number("8")),
        ] {
            let error = open(&message(body, json!({"ExtendedPayloadSize": attribute}))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RefusedPointer);
        }
    }
}
