//! MD5 of bodies and attributes, as SQS computes them: against damage, not against forgery.
//!
//! The attributes' digest is described in "Calculating the MD5 message digest for message attributes" of the Amazon
//! SQS Developer Guide.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use crate::error::Error;
use crate::operation::SendMessageOutput;
use crate::types::{Message, MessageAttributeValue, OutgoingMessage};

type Attributes = BTreeMap<String, MessageAttributeValue>;

pub(crate) fn verify_sent(message: &OutgoingMessage, output: &SendMessageOutput) -> Result<(), Error> {
    check_body(&message.body, output.md5_of_message_body.as_deref())?;
    check_attributes(&message.message_attributes, output.md5_of_message_attributes.as_deref())?;
    check_attributes(
        &message.message_system_attributes,
        output.md5_of_message_system_attributes.as_deref(),
    )
}

pub(crate) fn verify_received(message: &Message) -> Result<(), Error> {
    check_body(&message.body, message.md5_of_body.as_deref())?;
    check_attributes(
        &message.message_attributes,
        message.md5_of_message_attributes.as_deref(),
    )
}

/// A server that sends no digest leaves its answer unverified.
fn check_body(body: &str, said: Option<&str>) -> Result<(), Error> {
    check("body", said, || Md5::digest(body).into())
}

fn check_attributes(attributes: &Attributes, said: Option<&str>) -> Result<(), Error> {
    check("message attributes", said, || md5_of_attributes(attributes))
}

fn check(what: &str, said: Option<&str>, compute: impl FnOnce() -> [u8; 16]) -> Result<(), Error> {
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        return Ok(());
    };
    if is_hex_of(said, &compute()) {
        return Ok(());
    }
    Err(Error::checksum(format!(
        "the server's MD5 of the {what} does not match: the message was damaged on its way"
    )))
}

fn is_hex_of(text: &str, digest: &[u8; 16]) -> bool {
    let digits = text.as_bytes().chunks_exact(2);
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    text.len() == 2 * digest.len()
        && digits.zip(digest).all(|(pair, byte)| match pair {
            [high, low] => match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => high * 16 + low == u32::from(*byte),
                _ => false,
            },
            _ => false,
        })
}

/// The attributes in the order of their names, each as length-prefixed name and data type, a byte for the kind of
/// value, and the length-prefixed value.
fn md5_of_attributes(attributes: &Attributes) -> [u8; 16] {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    let mut md5 = Md5::new();
    let prefixed = |md5: &mut Md5, bytes: &[u8]| {
        // A message is limited to 1 MiB, so that a length always fits.
        md5.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        md5.update(bytes);
    };
    for (name, value) in attributes {
        prefixed(&mut md5, name.as_bytes());
        prefixed(&mut md5, value.data_type().as_bytes());
        md5.update([if value.as_bytes().is_some() { BINARY } else { TEXT }]);
        prefixed(&mut md5, value.value_bytes());
    }
    md5.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_matches_passes_in_either_case_and_another_does_not() {
        assert!(check_body("hello", Some("5d41402abc4b2a76b9719d911017c592")).is_ok());
        assert!(check_body("hello", Some("5D41402ABC4B2A76B9719D911017C592")).is_ok());
        assert!(check_body("hello", None).is_ok());
        for wrong in [
            "00000000000000000000000000000000",
            "5d41402abc4b2a76b9719d911017c59",
            "zz",
        ] {
            let error = check_body("hello", Some(wrong)).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Checksum);
            assert!(error.may_have_been_sent());
        }
    }

    #[test]
    fn attributes_are_hashed_in_the_order_of_their_names() {
        // 00000001 "a" 00000006 "Binary" 02 00000001 ff, 00000001 "b" 00000006 "Number" 01 00000001 "1"
        let mut flat = Vec::new();
        flat.extend(b"\0\0\0\x01a\0\0\0\x06Binary\x02\0\0\0\x01\xff");
        flat.extend(b"\0\0\0\x01b\0\0\0\x06Number\x01\0\0\0\x011");
        let attributes = Attributes::from([
            ("b".to_owned(), MessageAttributeValue::number(1)),
            ("a".to_owned(), MessageAttributeValue::binary(vec![0xff])),
        ]);
        let expected: [u8; 16] = Md5::digest(&flat).into();
        assert_eq!(md5_of_attributes(&attributes), expected);
    }
}
