//! The parts of a message and their rules.

use crate::memory::Held;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::{self, Input};
use crate::queue::attribute::{self, AttributeValue, Attributes, TRACE_HEADER};
use crate::queue::md5;

/// The memory of a message besides its body and attributes: its ids, digests and places in the queue's indices.
pub const MESSAGE_OVERHEAD_BYTES: usize = 1024;
/// The memory of a deduplication id, which a FIFO queue remembers for five minutes.
pub const DEDUPLICATION_ID_BYTES: usize = 1024;

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
            attributes: attribute::read_all(input.take_map("MessageAttributes")?)?,
            system: attribute::read_system(input.take_map("MessageSystemAttributes")?)?,
            trace: input.take_str(input::TRACE),
        };
        match attribute::find_bad_character(&draft.body, "body") {
            None => Ok(draft),
            Some(reason) => Err(Error::new(&error::INVALID_CONTENTS, reason)),
        }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn draft(value: Value) -> Result<Draft> {
        Draft::read(&mut Input::new(value)?)
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
    fn the_only_system_attribute_is_the_trace_header() {
        let system = |name: &str, value: Value| {
            let read = draft(json!({"MessageBody": "b", "MessageSystemAttributes": {name: value}}));
            read.map(|d| d.trace_header()).map_err(|e| e.message)
        };
        let string = json!({"DataType": "String", "StringValue": "Root=1"});
        assert_eq!(system(TRACE_HEADER, string.clone()), Ok(Some("Root=1".to_owned())));
        assert_eq!(
            system("Other", string),
            Err("Message system attribute name 'Other' is invalid.".to_owned())
        );
        assert!(system(TRACE_HEADER, json!({"DataType": "Binary", "BinaryValue": "AQ=="})).is_err());
    }
}
