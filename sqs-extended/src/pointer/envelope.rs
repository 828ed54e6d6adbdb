//! Writes pointers into messages to send, and reads them from received ones.

use std::collections::BTreeMap;

use sqs_client::types::MessageAttributeValue;
use sqs_client::{Message, OutgoingMessage};

use crate::error::{Error, ErrorKind};
use crate::pointer::attribute::{self, ReservedAttribute};
use crate::pointer::format::{InvalidPointer, Pointer};

/// The content of a message that points to a payload: the pointer, and the payload's size.
///
/// [`ParsedMessage`](crate::pointer::ParsedMessage) reads it from a message, and
/// [`PayloadStore::open`](crate::PayloadStore::open) fetches its payload.
///
/// ```
/// use std::collections::BTreeMap;
/// use sqs_client::types::MessageAttributeValue;
/// use sqs_extended::pointer::{ParsedMessage, PayloadLocation};
///
/// let body = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#;
/// let attributes = BTreeMap::from([("ExtendedPayloadSize".to_owned(), MessageAttributeValue::number(300_000))]);
/// let PayloadLocation::Offloaded(envelope) = ParsedMessage::new(body, attributes)?.contents else {
///     panic!("the message contains its payload");
/// };
/// assert_eq!((envelope.pointer.key.as_str(), envelope.size), ("k", Some(300_000)));
/// # Ok::<(), sqs_extended::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// The pointer to the payload.
    pub pointer: Pointer,
    /// The payload's length in bytes, if the sender states it.
    pub size: Option<u64>,
}

/// Turns `message` into a pointer to a payload of `size` bytes.
pub(crate) fn seal(message: &mut OutgoingMessage, pointer: &Pointer, size: u64, attribute: ReservedAttribute) {
    message.body = pointer.to_string();
    message
        .message_attributes
        .insert(attribute.name().to_owned(), MessageAttributeValue::number(size));
}

/// Returns the content of a message that is a pointer, or `None` if its body is the payload. As in AWS's libraries,
/// only the reserved attribute makes a message a pointer, whatever its body looks like.
///
/// # Errors
///
/// The message claims to be a pointer, but is malformed.
pub(crate) fn open(message: &Message) -> Result<Option<Envelope>, Error> {
    open_parts(&message.body, &message.message_attributes)
}

/// Opens a message as [`open`] does, given its body and attributes.
///
/// To support another pointer format, add a case here, and a parser beside `format`.
pub(super) fn open_parts(
    body: &str,
    attributes: &BTreeMap<String, MessageAttributeValue>,
) -> Result<Option<Envelope>, Error> {
    let Some(size) = attribute::size(attributes)? else {
        let pointer = attribute::node_pointer(attributes)?;
        return Ok(pointer.map(|pointer| Envelope { pointer, size: None }));
    };
    let refused = |why| Error::plain(ErrorKind::RefusedPointer, why);
    let pointer: Pointer = body
        .parse()
        .map_err(|error: InvalidPointer| refused(error.to_string()))?;
    // The pointer has the length of the stored object, and the attribute that of the payload. Only an encoding can make
    // them differ.
    if pointer.encoding.is_plain() && pointer.length.is_some_and(|length| length != size) {
        return Err(refused(
            "the pointer and the message's size attribute state different payload lengths".to_owned(),
        ));
    }
    Ok(Some(Envelope {
        pointer,
        size: Some(size),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pointer::attribute::{RESERVED_NAMES, is_reserved, take_reserved};

    const BODY: &str = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"B","s3Key":"K"}]"#;
    const NODE: &str = "S3MessageBodyKey";

    fn message(body: &str, attributes: Value) -> Message {
        serde_json::from_value(json!({
            "MessageId": "m", "ReceiptHandle": "r", "Body": body, "MessageAttributes": attributes,
        }))
        .unwrap()
    }

    fn number(value: &str) -> Value {
        json!({"DataType": "Number", "StringValue": value})
    }

    fn string(value: &str) -> Value {
        json!({"DataType": "String", "StringValue": value})
    }

    fn envelope(bucket: &str, key: &str, size: Option<u64>) -> Envelope {
        let pointer = Pointer::new(bucket, key);
        Envelope { pointer, size }
    }

    #[test]
    fn a_message_without_the_attribute_contains_its_payload() {
        assert_eq!(open(&message(BODY, json!({"mine": number("1")}))).unwrap(), None);
    }

    #[test]
    fn either_attribute_makes_a_pointer() {
        for attribute in ReservedAttribute::ALL {
            let opened = open(&message(BODY, json!({attribute.name(): number("300000")}))).unwrap();
            assert_eq!(opened, Some(envelope("B", "K", Some(300_000))));
        }
    }

    #[test]
    fn the_format_of_the_node_library_is_read() {
        for (body, value, bucket, key) in [
            ("K", "(B)K", "B", "K"),
            ("a body that a transform left", "(B)p/K", "B", "p/K"),
            ("", "(B)K(1).txt", "B", "K(1).txt"),
        ] {
            let opened = open(&message(body, json!({NODE: string(value)}))).unwrap();
            assert_eq!(opened, Some(envelope(bucket, key, None)));
        }
    }

    #[test]
    fn the_format_of_awss_libraries_takes_precedence() {
        let both = json!({NODE: string("(X)Y"), "ExtendedPayloadSize": number("1")});
        assert_eq!(open(&message(BODY, both)).unwrap(), Some(envelope("B", "K", Some(1))));
    }

    #[test]
    fn every_pointer_attribute_is_reserved_and_hidden() {
        let all = RESERVED_NAMES.map(|name| (name.to_owned(), "x".into()));
        let mut attributes = BTreeMap::from(all);
        attributes.insert("mine".to_owned(), "x".into());
        assert!(is_reserved(NODE) && !is_reserved("mine"));
        take_reserved(&mut attributes);
        assert_eq!(attributes.into_keys().collect::<Vec<_>>(), ["mine"]);
    }

    #[test]
    fn a_sealed_message_can_be_opened() {
        let pointer: Pointer = BODY.parse().unwrap();
        let mut sent = OutgoingMessage::new("").message_attribute("mine", "x");
        seal(&mut sent, &pointer, 12, ReservedAttribute::default());
        assert_eq!(sent.body, BODY);
        let received = message(&sent.body, serde_json::to_value(&sent.message_attributes).unwrap());
        assert_eq!(open(&received).unwrap(), Some(envelope("B", "K", Some(12))));
    }

    #[test]
    fn only_an_encoded_payload_may_differ_in_length_from_its_object() {
        let mut pointer = Pointer::new("B", "K");
        pointer.length = Some(7);
        let attributes = json!({"ExtendedPayloadSize": number("8")});
        assert!(open(&message(&pointer.to_string(), attributes.clone())).is_err());
        pointer.encoding.compression = Some("zstd".to_owned());
        let opened = open(&message(&pointer.to_string(), attributes)).unwrap().unwrap();
        assert_eq!((opened.pointer, opened.size), (pointer, Some(8)));
    }

    #[test]
    fn a_malformed_pointer_is_refused() {
        let binary = json!({"DataType": "Binary", "BinaryValue": "MTI="});
        for (body, attribute) in [
            ("hello", number("12")),
            (BODY, number("-1")),
            (BODY, number("1.5")),
            (BODY, number("")),
            (BODY, number("99999999999999999999")),
            (BODY, string("twelve")),
            (BODY, binary.clone()),
        ] {
            let error = open(&message(body, json!({"ExtendedPayloadSize": attribute}))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RefusedPointer);
        }
        for attribute in [
            string(""),
            string("K"),
            string("B)K"),
            string("(BK"),
            string("()K"),
            string("(B)"),
            number("(B)K"),
            binary,
        ] {
            let error = open(&message("K", json!({NODE: attribute}))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RefusedPointer);
        }
    }
}
