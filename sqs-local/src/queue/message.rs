//! The parts of a message and their rules.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::memory::Held;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::{self, Input};
use crate::queue::attribute::{Attribute, AttributeValue, Attributes};
use crate::queue::md5;

const MAX_ATTRIBUTES: usize = 10;

/// The memory of a message besides its body and attributes: its ids, digests and places in the queue's indices.
pub const MESSAGE_OVERHEAD_BYTES: usize = 1024;
/// The memory of a deduplication id, which a FIFO queue remembers for five minutes.
pub const DEDUPLICATION_ID_BYTES: usize = 1024;

const TRACE_HEADER: &str = "AWSTraceHeader";

/// The parts of a message that never change after it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) md5: String,
    pub(crate) attributes: Attributes,
    pub(crate) md5_attributes: Option<String>,
    pub(crate) trace_header: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) deduplication_id: Option<String>,
    pub(crate) sequence_number: Option<String>,
    pub(crate) sender: String,
    pub(crate) sent_ms: u64,
    /// The memory that the message occupies.
    pub(crate) _held: Held,
}

/// The message in a SendMessage request or a batch entry.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
    pub(crate) system: Attributes,
    /// The trace header of the request.
    trace: Option<String>,
}

impl Draft {
    pub(crate) fn read(input: &mut Input) -> Result<Self> {
        let body = input.take_str("MessageBody").filter(|b| !b.is_empty());
        let draft = Self {
            body: body.ok_or_else(|| Error::missing("MessageBody"))?,
            attributes: read_attributes(input.take_map("MessageAttributes")?)?,
            system: read_system_attributes(input.take_map("MessageSystemAttributes")?)?,
            trace: input.take_str(input::TRACE),
        };
        check_characters(&draft.body, "body")?;
        Ok(draft)
    }

    /// Returns the size that counts against quotas. System attributes do not count.
    pub(crate) fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, a)| {
            let value = match &a.value {
                AttributeValue::Text(text) => text.len(),
                AttributeValue::Binary(bytes) => bytes.len(),
            };
            name.len() + a.data_type.len() + value
        });
        self.body.len() + attributes.sum::<usize>()
    }

    /// Returns the size of what is kept of the message.
    pub(crate) fn kept_size(&self) -> usize {
        self.size() + self.trace_header().map_or(0, |header| header.len())
    }

    pub(crate) fn trace_header(&self) -> Option<String> {
        match self.system.get(TRACE_HEADER).map(|a| &a.value) {
            Some(AttributeValue::Text(text)) => Some(text.clone()),
            _ => self.trace.clone(),
        }
    }

    pub(crate) fn md5_system(&self) -> Option<String> {
        md5::of_attributes(self.system.iter())
    }
}

fn read_attributes(given: Vec<(String, Input)>) -> Result<Attributes> {
    if given.len() > MAX_ATTRIBUTES {
        let message = format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            given.len()
        );
        return Err(Error::invalid(message));
    }
    let read = given.into_iter().map(|(name, value)| {
        check_name(&name)?;
        let attribute = read_attribute(&name, value)?;
        Ok((name, attribute))
    });
    read.collect()
}

fn read_system_attributes(given: Vec<(String, Input)>) -> Result<Attributes> {
    let read = given.into_iter().map(|(name, value)| {
        let attribute = read_attribute(&name, value)?;
        if name != TRACE_HEADER || attribute.data_type != "String" {
            let reason = "The only message system attribute is AWSTraceHeader, a String.";
            return Err(Error::invalid_value(&name, "MessageSystemAttributes", reason));
        }
        Ok((name, attribute))
    });
    read.collect()
}

fn check_name(name: &str) -> Result<()> {
    // AWS documents only ASCII, but accepts the letters of Latin-1 and Latin Extended-A.
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c) || is_latin(c);
    let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        let reserved = "You can't use message attribute names beginning with 'AWS.' or 'Amazon.' because these \
                        strings are reserved for internal use.";
        return Err(Error::invalid(reserved));
    }
    if name.is_empty() || name.chars().count() > 256 || dots || !name.chars().all(allowed) {
        return Err(Error::invalid(format!(
            "The message attribute name '{name}' is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore \
             (_), hyphen (-), and period (.) characters."
        )));
    }
    Ok(())
}

fn is_latin(c: char) -> bool {
    ('\u{c0}'..='\u{17f}').contains(&c) && c.is_alphabetic()
}

fn read_attribute(name: &str, mut given: Input) -> Result<Attribute> {
    if given.has("StringListValues") || given.has("BinaryListValues") {
        return Err(Error::unsupported(
            "Message attribute list values in SendMessage operation are not supported.",
        ));
    }
    let invalid = |reason: &str| Err(Error::invalid(format!("The message attribute '{name}' {reason}")));
    let data_type = given.take_str("DataType").unwrap_or_default();
    if data_type.is_empty() || data_type.len() > 256 {
        return invalid("must contain a non-empty message attribute type of at most 256 characters.");
    }
    // A label may follow the type: `Number.int`.
    let base = data_type.split('.').next().unwrap_or_default();
    let (member, other) = match base {
        "String" | "Number" => ("StringValue", "BinaryValue"),
        "Binary" => ("BinaryValue", "StringValue"),
        _ => {
            return invalid(
                "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and \
                 String.",
            );
        }
    };
    let text = given.take_str(member).unwrap_or_default();
    if text.is_empty() || given.has(other) {
        return invalid(&format!(
            "must contain a non-empty message attribute value for message attribute type '{base}'."
        ));
    }
    let value = match base {
        "Binary" => AttributeValue::Binary(decode_binary(&text)?),
        "Number" if !is_number(&text) => {
            return Err(Error::invalid(format!(
                "Can't cast the value of message (user) attribute '{name}' to a number."
            )));
        }
        _ => {
            check_characters(&text, &format!("attribute '{name}'"))?;
            AttributeValue::Text(text)
        }
    };
    Ok(Attribute { data_type, value })
}

fn decode_binary(text: &str) -> Result<Vec<u8>> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map_err(|_| Error::malformed("A binary value is not base64."))
}

fn is_number(text: &str) -> bool {
    // Rust's parser also accepts the words inf and nan.
    text.parse::<f64>().is_ok_and(f64::is_finite) && !text.contains(char::is_alphabetic)
        || text
            .to_ascii_lowercase()
            .split_once('e')
            .is_some_and(|(m, e)| is_number(m) && e.parse::<i32>().is_ok())
}

fn check_characters(text: &str, place: &str) -> Result<()> {
    // Surrogates cannot occur in a Rust string.
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    match text.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(bad) => Err(Error::new(
            &error::INVALID_CONTENTS,
            format!(
                "Invalid binary character '#x{:X}' was found in the message {place}, the set of allowed characters is \
                 #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]",
                u32::from(bad)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn draft(value: Value) -> Result<Draft> {
        Draft::read(&mut Input::new(value)?)
    }

    fn with_attribute(name: &str, value: Value) -> Result<Draft> {
        draft(json!({"MessageBody": "b", "MessageAttributes": {name: value}}))
    }

    #[test]
    fn size_counts_names_types_and_values() {
        let draft = draft(json!({"MessageBody": "é", "MessageAttributes": {
            "ab": {"DataType": "String.x", "StringValue": "xyz"},
            "c": {"DataType": "Binary", "BinaryValue": "AQID"}}}));
        assert_eq!(draft.map(|d| d.size()), Ok(2 + (2 + 8 + 3) + (1 + 6 + 3)));
    }

    #[test]
    fn bodies_may_have_only_characters_of_xml() {
        assert!(draft(json!({"MessageBody": "\t\r\n \u{d7ff}\u{e000}\u{fffd}\u{10ffff}"})).is_ok());
        for bad in ["\u{0}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            let refused = draft(json!({"MessageBody": bad})).map(|d| d.size());
            assert_eq!(refused.map_err(|e| e.code), Err(&error::INVALID_CONTENTS));
        }
        assert_eq!(
            draft(json!({"MessageBody": ""})).map_err(|e| e.code).map(|d| d.size()),
            Err(&error::MISSING_PARAMETER)
        );
    }

    #[test]
    fn attributes_are_checked() {
        for good in ["1", "-1.5", "1e10", "2.5E-3"] {
            assert!(
                with_attribute("n", json!({"DataType": "Number", "StringValue": good})).is_ok(),
                "{good}"
            );
        }
        for name in ["Größe", "año", "Łódź", &"é".repeat(256)] {
            let value = json!({"DataType": "String", "StringValue": "x"});
            assert!(with_attribute(name, value).is_ok(), "{name}");
        }
        for (name, bad) in [
            ("n", json!({"DataType": "Number", "StringValue": "inf"})),
            ("n", json!({"DataType": "Number", "StringValue": "one"})),
            ("n", json!({"DataType": "Text", "StringValue": "x"})),
            ("n", json!({"DataType": "String", "StringValue": ""})),
            ("n", json!({"DataType": "String", "BinaryValue": "AQ=="})),
            ("n", json!({"DataType": "Binary", "BinaryValue": "?"})),
            ("n", json!({"StringValue": "x"})),
            ("n", json!({"DataType": "String", "StringListValues": ["x"]})),
            ("AWS.n", json!({"DataType": "String", "StringValue": "x"})),
            (".n", json!({"DataType": "String", "StringValue": "x"})),
            ("a..b", json!({"DataType": "String", "StringValue": "x"})),
            ("a b", json!({"DataType": "String", "StringValue": "x"})),
            ("a\u{d7}b", json!({"DataType": "String", "StringValue": "x"})),
            ("\u{540d}", json!({"DataType": "String", "StringValue": "x"})),
        ] {
            assert!(with_attribute(name, bad.clone()).is_err(), "{name} {bad}");
        }
    }
}
