//! The MD5s of bodies and attributes, as SQS computes them. They detect damage, not forgery.
//!
//! The digest of attributes is described in
//! [Calculating the MD5 message digest for message attributes](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation).

mod lanes;

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};

use crate::error::Error;
use crate::types::send_message_output::SendMessageOutput;
use crate::types::{Message, MessageAttributeValue, OutgoingMessage, bounded_id};
use lanes::Digest;

type Attributes = BTreeMap<String, MessageAttributeValue>;

/// The minimum number of bodies for which parallel lanes are faster.
const MIN_PARALLEL: usize = 4;

/// Checks for each message that the server's MD5s match what was sent.
pub(crate) fn verify_sent(sent: &[(&OutgoingMessage, &SendMessageOutput)]) -> Vec<Result<(), Error>> {
    let bodies = sent.iter().map(|(message, output)| ServerMd5 {
        part: message.body.as_str(),
        md5: output.md5_of_message_body.as_deref(),
        named: "MD5OfMessageBody",
        message_id: &output.message_id,
    });
    let bodies = check_bodies(bodies);
    let attributes = sent.iter().map(|(message, output)| {
        let user = ServerMd5 {
            part: &message.message_attributes,
            md5: output.md5_of_message_attributes.as_deref(),
            named: "MD5OfMessageAttributes",
            message_id: &output.message_id,
        };
        let system = ServerMd5 {
            part: &message.message_system_attributes,
            md5: output.md5_of_message_system_attributes.as_deref(),
            named: "MD5OfMessageSystemAttributes",
            message_id: &output.message_id,
        };
        check_attributes(&user).and_then(|()| check_attributes(&system))
    });
    let checked = bodies.into_iter().zip(attributes);
    checked.map(|(body, attributes)| body.and(attributes)).collect()
}

/// Returns the indices and errors of messages whose MD5s do not match, in ascending order.
///
/// Some servers send the MD5 of all attributes even if only some were requested. The MD5 of attributes therefore counts
/// only if `all_attributes` were requested.
pub(crate) fn damaged(messages: &[Message], all_attributes: bool) -> Vec<(usize, Error)> {
    let bodies = check_bodies(messages.iter().map(|message| ServerMd5 {
        part: message.body.as_str(),
        md5: message.md5_of_body.as_deref(),
        named: "MD5OfBody",
        message_id: &message.message_id,
    }));
    let attributes = messages.iter().map(|message| {
        let checked = check_attributes(&ServerMd5 {
            part: &message.message_attributes,
            md5: message.md5_of_message_attributes.as_deref(),
            named: "MD5OfMessageAttributes",
            message_id: &message.message_id,
        });
        checked.or_else(|error| if all_attributes { Err(error) } else { tolerated(&error) })
    });
    let checked = bodies.into_iter().zip(attributes).enumerate();
    checked
        .filter_map(|(index, (body, attributes))| Some((index, body.and(attributes).err()?)))
        .collect()
}

fn tolerated(error: &Error) -> Result<(), Error> {
    tracing::debug!(%error, "ignored a mismatch of the attributes' MD5, because not all attributes were requested");
    Ok(())
}

/// A part of a message and the server's MD5 of it. Without an MD5, the part is not verified.
struct ServerMd5<'a, T: ?Sized> {
    part: &'a T,
    md5: Option<&'a str>,
    /// The name of the MD5 in the service model.
    named: &'static str,
    message_id: &'a str,
}

impl<T: ?Sized> ServerMd5<'_, T> {
    fn has_digest(&self) -> bool {
        self.md5.is_some_and(|md5| !md5.trim().is_empty())
    }

    fn compare(&self, digest: &Digest) -> Result<(), Error> {
        if self.md5.is_some_and(|md5| is_hex_of(md5.trim(), digest)) {
            return Ok(());
        }
        let (named, id) = (self.named, bounded_id(self.message_id));
        Err(Error::checksum(format!(
            "the server's {named} of message {id:?} does not match: the message was damaged in transit, or the \
             server computes this MD5 differently; for such a server, set `verify_checksums(false)`"
        )))
    }
}

/// Checks the bodies and returns their results in order.
fn check_bodies<'a>(bodies: impl Iterator<Item = ServerMd5<'a, str>>) -> Vec<Result<(), Error>> {
    let expected: Vec<_> = bodies.collect();
    let bodies: Vec<&[u8]> = expected
        .iter()
        .filter(|expected| expected.has_digest())
        .map(|expected| expected.part.as_bytes())
        .collect();
    let digests = if bodies.len() < MIN_PARALLEL {
        bodies.iter().map(|body| Md5::digest(body).into()).collect()
    } else {
        lanes::digests(&bodies)
    };
    let mut digests = digests.iter();
    let result = |expected: &ServerMd5<'_, str>| match expected.has_digest().then(|| digests.next()).flatten() {
        Some(digest) => expected.compare(digest),
        None => Ok(()),
    };
    expected.iter().map(result).collect()
}

fn check_attributes(expected: &ServerMd5<'_, Attributes>) -> Result<(), Error> {
    if !expected.has_digest() {
        return Ok(());
    }
    expected.compare(&md5_of_attributes(expected.part))
}

fn is_hex_of(text: &str, digest: &Digest) -> bool {
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

/// Hashes the attributes in the order of their names. For each, it hashes the length-prefixed name and data type, a byte
/// for the kind of the value, and the length-prefixed value.
fn md5_of_attributes(attributes: &Attributes) -> Digest {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    let mut md5 = Md5::new();
    let prefixed = |md5: &mut Md5, bytes: &[u8]| {
        // A message has at most 1 MiB, so its lengths fit.
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

    /// Returns messages with these bodies, all with the same MD5.
    fn received(bodies: &[&str], md5: Option<&str>) -> Vec<Message> {
        let message = |(index, body): (usize, &&str)| Message {
            message_id: format!("id-{index}"),
            receipt_handle: String::new(),
            body: (*body).to_owned(),
            md5_of_body: md5.map(str::to_owned),
            md5_of_message_attributes: None,
            attributes: crate::types::MessageSystemAttributes::default(),
            message_attributes: Attributes::new(),
        };
        bodies.iter().enumerate().map(message).collect()
    }

    #[test]
    fn a_digest_matches_in_either_case() {
        for right in [
            Some("5d41402abc4b2a76b9719d911017c592"),
            Some("5D41402ABC4B2A76B9719D911017C592"),
            Some(" 5d41402abc4b2a76b9719d911017c592\n"),
            Some(""),
            None,
        ] {
            assert!(damaged(&received(&["hello"], right), true).is_empty(), "{right:?}");
        }
        for wrong in [
            "00000000000000000000000000000000",
            "5d41402abc4b2a76b9719d911017c59",
            "zz",
        ] {
            let (_, error) = damaged(&received(&["hello"], Some(wrong)), true).pop().unwrap();
            assert_eq!(error.kind(), crate::ErrorKind::Checksum);
            assert!(error.may_have_been_sent());
        }
    }

    #[test]
    fn a_damaged_message_is_found_among_any_number() {
        let md5 = Some("5d41402abc4b2a76b9719d911017c592");
        for count in 1..=10 {
            let mut bodies = vec!["hello"; count];
            assert!(damaged(&received(&bodies, md5), true).is_empty());
            bodies[count - 1] = "hallo";
            let found = damaged(&received(&bodies, md5), true);
            let [(index, error)] = &found[..] else {
                panic!("{found:?}");
            };
            assert_eq!(*index, count - 1);
            let name = format!("\"id-{}\"", count - 1);
            assert!(error.message().contains(&name), "{error}");
            assert!(!error.to_string().contains("hallo"), "{error}");
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
        let expected: Digest = Md5::digest(&flat).into();
        assert_eq!(md5_of_attributes(&attributes), expected);
    }
}
