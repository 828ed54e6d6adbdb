//! The message attributes that mark a message as a pointer.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqs_client::types::MessageAttributeValue;

use crate::error::{Error, ErrorKind};
use crate::pointer::format::Pointer;

/// The message attribute that marks a pointer on sending. On receiving, either one marks a pointer.
///
/// ```
/// use object_store::memory::InMemory;
/// use sqs_extended::PayloadStore;
/// use sqs_extended::pointer::ReservedAttribute;
///
/// # fn example() -> Result<(), sqs_extended::Error> {
/// let payloads = PayloadStore::builder(InMemory::new(), "my-bucket")
///     .reserved_attribute(ReservedAttribute::ExtendedPayloadSize)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReservedAttribute {
    /// `SQSLargePayloadSize`, the older name, which every reader supports. The default, as in
    /// [AWS's Java library](https://github.com/awslabs/amazon-sqs-java-extended-client-lib).
    ///
    /// [AWS's Python library](https://github.com/awslabs/amazon-sqs-python-extended-client-lib) requests only the newer
    /// name by default. Configure it to receive all attributes, or to use the older name.
    #[default]
    SqsLargePayloadSize,
    /// `ExtendedPayloadSize`, the newer name. AWS's Java library does not support it before version 1.1.
    ExtendedPayloadSize,
}

impl ReservedAttribute {
    /// All attributes that this crate can write. If a message has both, the first one counts.
    pub(crate) const ALL: [Self; 2] = [Self::ExtendedPayloadSize, Self::SqsLargePayloadSize];

    /// Returns the attribute's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SqsLargePayloadSize => "SQSLargePayloadSize",
            Self::ExtendedPayloadSize => "ExtendedPayloadSize",
        }
    }
}

/// The attribute of the [DVLA's Node library](https://github.com/dvla/sqs-extended-client). Its value is the whole
/// pointer: `(bucket)key`.
const NODE_POINTER: &str = "S3MessageBodyKey";

/// All attributes that mark a pointer. Every receive requests them, and users can neither send nor see them.
pub(crate) const RESERVED_NAMES: [&str; 3] = [
    ReservedAttribute::ExtendedPayloadSize.name(),
    ReservedAttribute::SqsLargePayloadSize.name(),
    NODE_POINTER,
];

/// Returns `true` if users can neither send nor see an attribute of this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED_NAMES.contains(&name)
}

/// Removes and returns the reserved attributes.
pub(crate) fn take_reserved(
    attributes: &mut BTreeMap<String, MessageAttributeValue>,
) -> BTreeMap<String, MessageAttributeValue> {
    RESERVED_NAMES
        .iter()
        .filter_map(|name| attributes.remove_entry(*name))
        .collect()
}

/// Returns the payload's length from the reserved attribute, or `None` if the message has no such attribute.
///
/// # Errors
///
/// The attribute is not a whole number of bytes.
pub(super) fn size(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<Option<u64>, Error> {
    let found = ReservedAttribute::ALL
        .iter()
        .find_map(|attribute| attributes.get(attribute.name()));
    // Some senders write the number with the type String.
    let digits = |value| text(value, "Number").or_else(|| text(value, "String"));
    let size = found.map(|value| digits(value)?.parse().ok());
    size.map(|size| size.ok_or_else(|| refused("the message's payload size attribute is not a whole number of bytes")))
        .transpose()
}

/// Returns the pointer in the format of the DVLA's Node library, or `None` if the message has none. The message's body
/// is the key again, or a text that the sender chose.
///
/// # Errors
///
/// The attribute is malformed.
pub(super) fn node_pointer(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<Option<Pointer>, Error> {
    let Some(value) = attributes.get(NODE_POINTER) else {
        return Ok(None);
    };
    // A bucket's name cannot contain a parenthesis, but a key can.
    text(value, "String")
        .and_then(|text| text.strip_prefix('(')?.split_once(')'))
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
        .map(|(bucket, key)| Some(Pointer::new(bucket, key)))
        .ok_or_else(|| refused("the message's S3MessageBodyKey attribute is not of the form (bucket)key"))
}

/// Returns the text of a value of this data type, with any custom label.
fn text<'a>(value: &'a MessageAttributeValue, data_type: &str) -> Option<&'a str> {
    let base = value.data_type().split('.').next();
    value.as_str().filter(|_| base == Some(data_type))
}

/// Converts an attribute from the JSON of SNS or Lambda. Accepts integers and booleans as the same text. Returns `None`
/// if the value is malformed.
pub(super) fn value_from_json(
    data_type: &str,
    text: Option<Value>,
    base64: Option<Value>,
) -> Option<MessageAttributeValue> {
    let value = json!({"DataType": data_type, "StringValue": text, "BinaryValue": base64});
    serde_json::from_value(value).ok()
}

fn refused(why: &'static str) -> Error {
    Error::plain(ErrorKind::RefusedPointer, why)
}
