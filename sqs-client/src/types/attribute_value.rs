use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::types::lenient;
use crate::types::text::blob;

/// The value of a message attribute: text, a number or bytes, with its data type.
///
/// A data type is `String`, `Number` or `Binary`, with an optional custom label after a dot (`Number.int`). It has up to
/// 256 characters. See AWS's
/// [`MessageAttributeValue`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_MessageAttributeValue.html).
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
    /// Creates a value of data type `String`. It may contain the same characters as a body.
    pub fn string(value: impl Into<String>) -> Self {
        Self::text("String", value.into())
    }

    /// Creates a value of data type `Number`. Range: up to 38 digits of precision, between 10⁻¹²⁸ and 10¹²⁶.
    pub fn number(value: impl ToString) -> Self {
        Self::text("Number", value.to_string())
    }

    /// Creates a value of data type `Binary`.
    pub fn binary(value: impl Into<Bytes>) -> Self {
        Self {
            data_type: "Binary".to_owned(),
            string_value: None,
            binary_value: Some(value.into()),
        }
    }

    /// Sets the custom label of the data type: `Number` becomes `Number.label`. Default: none.
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

    /// Returns the data type with its label, such as `String`, `Number.int` or `Binary.gif`.
    #[must_use]
    pub fn data_type(&self) -> &str {
        &self.data_type
    }

    /// Returns the text of a `String` or `Number` value.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.string_value.as_deref()
    }

    /// Returns the bytes of a `Binary` value.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        self.binary_value.as_ref()
    }

    /// Returns the value's share of the message size in bytes: data type and value, without the attribute's name.
    #[must_use]
    pub fn size(&self) -> usize {
        self.data_type.len() + self.value_bytes().len()
    }

    /// Returns the bytes that are hashed and counted.
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
