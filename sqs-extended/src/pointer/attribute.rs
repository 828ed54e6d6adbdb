//! The message attributes by which a message says that its payload is elsewhere.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqs_client::types::MessageAttributeValue;

use crate::error::{Error, ErrorKind};
use crate::pointer::Pointer;

/// The message attribute that marks a pointer when sending. Received messages are recognised by either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReservedAttribute {
    /// `SQSLargePayloadSize`, the older name. AWS's Java library still writes it unless told otherwise, and every
    /// reader knows it: hence our default too. AWS's Python library asks for the newer one only unless it is told to
    /// receive all attributes, or to use the older one.
    #[default]
    SqsLargePayloadSize,
    /// `ExtendedPayloadSize`, the newer name; unknown to AWS's Java library before 1.1.
    ExtendedPayloadSize,
}

impl ReservedAttribute {
    /// Every attribute that we can write; of a message that carries both, the first is believed.
    pub(crate) const ALL: [Self; 2] = [Self::ExtendedPayloadSize, Self::SqsLargePayloadSize];

    /// The attribute's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SqsLargePayloadSize => "SQSLargePayloadSize",
            Self::ExtendedPayloadSize => "ExtendedPayloadSize",
        }
    }
}

/// The attribute that holds the whole pointer in the form of the DVLA's library for Node: `(bucket)key`.
const NODE_POINTER: &str = "S3MessageBodyKey";

/// Every attribute that can make a message a pointer: to be asked for on every receive, and not for users to send or see.
pub(crate) const RESERVED_NAMES: [&str; 3] = [
    ReservedAttribute::ExtendedPayloadSize.name(),
    ReservedAttribute::SqsLargePayloadSize.name(),
    NODE_POINTER,
];

/// Whether the name belongs to this layer, so that users can neither send nor see it.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED_NAMES.contains(&name)
}

/// Takes the reserved attributes away, for the user's eyes.
pub(crate) fn take_reserved(
    attributes: &mut BTreeMap<String, MessageAttributeValue>,
) -> BTreeMap<String, MessageAttributeValue> {
    RESERVED_NAMES
        .iter()
        .filter_map(|name| attributes.remove_entry(*name))
        .collect()
}

/// The payload's length according to the message's reserved attribute, or `None` if it has none.
///
/// # Errors
///
/// The attribute is not a whole number of bytes.
pub(super) fn size(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<Option<u64>, Error> {
    let found = ReservedAttribute::ALL
        .iter()
        .find_map(|attribute| attributes.get(attribute.name()));
    // Some writers send the number as text.
    let digits = |value| text(value, "Number").or_else(|| text(value, "String"));
    let size = found.map(|value| digits(value)?.parse().ok());
    size.map(|size| size.ok_or_else(|| refused("the message's reserved attribute is not a whole number of bytes")))
        .transpose()
}

/// The pointer of a message in the form of the DVLA's library for Node, or `None` if it has none. Its body is the key
/// again, or whatever a program chose to put there beside its payload.
///
/// # Errors
///
/// The attribute is not such a pointer.
pub(super) fn node_pointer(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<Option<Pointer>, Error> {
    let Some(value) = attributes.get(NODE_POINTER) else {
        return Ok(None);
    };
    // No bucket's name has a parenthesis; a key may.
    text(value, "String")
        .and_then(|text| text.strip_prefix('(')?.split_once(')'))
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
        .map(|(bucket, key)| Some(Pointer::new(bucket, key)))
        .ok_or_else(|| refused("the message's reserved attribute is not a bucket in parentheses and a key"))
}

/// The text of a value of this data type, whatever label it has.
fn text<'a>(value: &'a MessageAttributeValue, data_type: &str) -> Option<&'a str> {
    let base = value.data_type().split('.').next();
    value.as_str().filter(|_| base == Some(data_type))
}

/// A value from what a JSON document other than SQS's own says of it, where an integer or boolean counts as the text that
/// says the same; `None` if it is none.
pub(super) fn value_of(data_type: &str, text: Option<Value>, base64: Option<Value>) -> Option<MessageAttributeValue> {
    let value = json!({"DataType": data_type, "StringValue": text, "BinaryValue": base64});
    serde_json::from_value(value).ok()
}

fn refused(why: &'static str) -> Error {
    Error::plain(ErrorKind::RefusedPointer, why)
}
