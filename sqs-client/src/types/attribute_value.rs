use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::types::lenient;
use crate::types::text::blob;

/// The value of a user's message attribute: text, a number or bytes, with AWS's data type.
///
/// A data type is `String`, `Number` or `Binary`, with an optional label of the user's own after a dot
/// (`Number.int`), 256 characters in all.
///
/// ```
/// use sqs_client::types::MessageAttributeValue;
///
/// let retries = MessageAttributeValue::number(3);
/// assert_eq!(retries.data_type(), "Number");
/// assert_eq!(retries.as_str(), Some("3"));
///
/// let thumb = MessageAttributeValue::binary(vec![0xff, 0xd8]).with_label("jpeg");
/// assert_eq!(thumb.data_type(), "Binary.jpeg");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttributeValue {
    data_type: String,
    #[serde(
        default,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    string_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "blob")]
    binary_value: Option<Bytes>,
}

impl MessageAttributeValue {
    /// Text, of data type `String`.
    pub fn string(value: impl Into<String>) -> Self {
        Self::text("String", value.into())
    }

    /// A number, of data type `Number`: up to 38 digits of precision, between 10⁻¹²⁸ and 10¹²⁶.
    pub fn number(value: impl ToString) -> Self {
        Self::text("Number", value.to_string())
    }

    /// Bytes, of data type `Binary`.
    pub fn binary(value: impl Into<Bytes>) -> Self {
        Self {
            data_type: "Binary".to_owned(),
            string_value: None,
            binary_value: Some(value.into()),
        }
    }

    /// The same value with a label of the user's own: `Number` becomes `Number.label`.
    #[must_use]
    pub fn with_label(mut self, label: &str) -> Self {
        let base = self.data_type.split('.').next().unwrap_or_default();
        self.data_type = format!("{base}.{label}");
        self
    }

    fn text(data_type: &str, value: String) -> Self {
        Self {
            data_type: data_type.to_owned(),
            string_value: Some(value),
            binary_value: None,
        }
    }

    /// The data type with its label, such as `String`, `Number.int` or `Binary.gif`.
    #[must_use]
    pub fn data_type(&self) -> &str {
        &self.data_type
    }

    /// The text of a `String` or `Number` attribute.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.string_value.as_deref()
    }

    /// The bytes of a `Binary` attribute.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        self.binary_value.as_ref()
    }

    /// Bytes that the value counts for in the message's size: data type and value, without the attribute's name.
    #[must_use]
    pub fn size(&self) -> usize {
        self.data_type.len() + self.value_bytes().len()
    }

    /// The value as it is hashed and counted.
    pub(crate) fn value_bytes(&self) -> &[u8] {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => text.as_bytes(),
            (None, Some(bytes)) => bytes,
            (None, None) => &[],
        }
    }
}

impl From<&str> for MessageAttributeValue {
    fn from(value: &str) -> Self {
        Self::string(value)
    }
}

impl From<String> for MessageAttributeValue {
    fn from(value: String) -> Self {
        Self::string(value)
    }
}
