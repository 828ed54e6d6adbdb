//! How a message says that its payload is elsewhere: seals messages to send and opens received ones. No I/O.
//!
//! Another form of pointer to read is another arm of `open_parts`, and a codec beside `format`.

mod attribute;
mod format;
mod lambda;
mod mac;
mod parsed_message;
mod receipt_handle;
mod sns;
#[cfg(test)]
mod testing;

pub use attribute::ReservedAttribute;
pub use format::{InvalidPointer, Pointer};
pub use lambda::LambdaRecord;
pub use mac::PointerKeys;
pub use parsed_message::{ParsedMessage, PayloadLocation};
pub use receipt_handle::{EmbeddedReceiptHandle, InvalidReceiptHandle};

use std::collections::BTreeMap;

use sqs_client::types::MessageAttributeValue;
use sqs_client::{Message, OutgoingMessage};

use crate::error::{Error, ErrorKind};
pub(crate) use attribute::{RESERVED_NAMES, is_reserved, take_reserved};

/// What a message that points to a payload says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// Where the payload is stored.
    pub pointer: Pointer,
    /// Bytes of the payload, where the sender says so.
    pub size: Option<u64>,
}

/// Makes `message` a pointer to the payload of `size` bytes.
pub(crate) fn seal(message: &mut OutgoingMessage, pointer: &Pointer, size: u64, attribute: ReservedAttribute) {
    message.body = pointer.to_string();
    message
        .message_attributes
        .insert(attribute.name().to_owned(), MessageAttributeValue::number(size));
}

/// What `message` points to, or `None` if its body is the payload. As in other libraries, a message is a pointer
/// because of its reserved attribute, whatever its body looks like.
///
/// # Errors
///
/// The message claims to be a pointer but is not a sound one.
pub(crate) fn open(message: &Message) -> Result<Option<Envelope>, Error> {
    open_parts(&message.body, &message.message_attributes)
}

fn open_parts(body: &str, attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<Option<Envelope>, Error> {
    let Some(size) = attribute::size(attributes)? else {
        let pointer = attribute::node_pointer(attributes)?;
        return Ok(pointer.map(|pointer| Envelope { pointer, size: None }));
    };
    let refused = |why| Error::plain(ErrorKind::RefusedPointer, why);
    let pointer: Pointer = body
        .parse()
        .map_err(|error: InvalidPointer| refused(error.to_string()))?;
    // With an encoding, the one is the length of what is stored, and the other that of the payload.
    if pointer.encoding.is_plain() && pointer.length.is_some_and(|length| length != size) {
        return Err(refused(
            "the pointer and its attribute disagree about the payload's length".to_owned(),
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
    fn a_message_without_the_attribute_is_its_own_payload() {
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
    fn the_form_of_nodes_library_is_read() {
        for (body, value, bucket, key) in [
            ("K", "(B)K", "B", "K"),
            ("whatever a transform left", "(B)p/K", "B", "p/K"),
            ("", "(B)K(1).txt", "B", "K(1).txt"),
        ] {
            let opened = open(&message(body, json!({NODE: string(value)}))).unwrap();
            assert_eq!(opened, Some(envelope(bucket, key, None)));
        }
    }

    #[test]
    fn of_two_claims_that_of_awss_libraries_is_believed() {
        let both = json!({NODE: string("(X)Y"), "ExtendedPayloadSize": number("1")});
        assert_eq!(open(&message(BODY, both)).unwrap(), Some(envelope("B", "K", Some(1))));
    }

    #[test]
    fn all_that_makes_a_pointer_is_reserved_and_hidden() {
        let all = RESERVED_NAMES.map(|name| (name.to_owned(), "x".into()));
        let mut attributes = BTreeMap::from(all);
        attributes.insert("mine".to_owned(), "x".into());
        assert!(is_reserved(NODE) && !is_reserved("mine"));
        take_reserved(&mut attributes);
        assert_eq!(attributes.into_keys().collect::<Vec<_>>(), ["mine"]);
    }

    #[test]
    fn what_is_sealed_can_be_opened() {
        let pointer: Pointer = BODY.parse().unwrap();
        let mut sent = OutgoingMessage::new("").message_attribute("mine", "x");
        seal(&mut sent, &pointer, 12, ReservedAttribute::default());
        assert_eq!(sent.body, BODY);
        let received = message(&sent.body, serde_json::to_value(&sent.message_attributes).unwrap());
        assert_eq!(open(&received).unwrap(), Some(envelope("B", "K", Some(12))));
    }

    #[test]
    fn an_encoded_payload_may_be_longer_or_shorter_than_what_is_stored() {
        let mut pointer = Pointer::new("B", "K");
        pointer.length = Some(7);
        let claim = json!({"ExtendedPayloadSize": number("8")});
        assert!(open(&message(&pointer.to_string(), claim.clone())).is_err());
        pointer.encoding.compression = Some("zstd".to_owned());
        let opened = open(&message(&pointer.to_string(), claim)).unwrap().unwrap();
        assert_eq!((opened.pointer, opened.size), (pointer, Some(8)));
    }

    #[test]
    fn a_claim_that_does_not_hold_is_refused() {
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
