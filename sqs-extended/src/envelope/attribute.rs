//! The reserved message attributes, by which a message says that its body is a pointer, and how long the payload is.

use std::collections::BTreeMap;

use sqs_client::MessageAttributeValue;

use crate::error::{Error, ErrorKind};

/// The message attribute that marks a pointer when sending. Received messages are recognised by either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReservedAttribute {
    /// `SQSLargePayloadSize`, the older name. AWS's Java library still writes it unless told otherwise, and every
    /// reader knows it: hence our default too.
    #[default]
    SqsLargePayloadSize,
    /// `ExtendedPayloadSize`, the newer name; unknown to AWS's Java library before 1.1.
    ExtendedPayloadSize,
}

impl ReservedAttribute {
    /// Every reserved attribute; of a message that carries both, the first is believed.
    pub(crate) const ALL: [Self; 2] = [Self::ExtendedPayloadSize, Self::SqsLargePayloadSize];

    /// The attribute's name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SqsLargePayloadSize => "SQSLargePayloadSize",
            Self::ExtendedPayloadSize => "ExtendedPayloadSize",
        }
    }
}

/// Whether the name belongs to this layer, so that users can neither send nor see it.
pub(crate) fn is_reserved(name: &str) -> bool {
    ReservedAttribute::ALL.iter().any(|attribute| attribute.name() == name)
}

/// The payload's length according to the message's reserved attribute, or `None` if it has none.
///
/// # Errors
///
/// The attribute is not a whole number of bytes.
pub(crate) fn find(attributes: &BTreeMap<String, MessageAttributeValue>) -> Result<Option<u64>, Error> {
    let found = ReservedAttribute::ALL
        .iter()
        .find_map(|attribute| attributes.get(attribute.name()));
    let Some(value) = found else {
        return Ok(None);
    };
    let is_number = value.data_type().split('.').next() == Some("Number");
    value
        .as_str()
        .filter(|_| is_number)
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Error::plain(
                ErrorKind::RefusedPointer,
                "the message's reserved attribute is not a whole number of bytes",
            )
        })
}

/// Takes the reserved attributes away, for the user's eyes.
pub(crate) fn take_reserved(
    attributes: &mut BTreeMap<String, MessageAttributeValue>,
) -> BTreeMap<String, MessageAttributeValue> {
    let names = ReservedAttribute::ALL.map(ReservedAttribute::name);
    names.iter().filter_map(|name| attributes.remove_entry(*name)).collect()
}
