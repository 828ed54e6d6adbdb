//! Message attributes and their rules.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;

const MAX_ATTRIBUTES: usize = 10;
/// The maximum length of a name and of a type in bytes.
const MAX_LENGTH: usize = 256;
/// The maximum number of significant digits of a number.
const MAX_DIGITS: usize = 38;
/// The powers of ten between which a number must be.
const EXPONENTS: std::ops::RangeInclusive<i64> = -128..=126;
/// The only message system attribute.
pub(crate) const TRACE_HEADER: &str = "AWSTraceHeader";

/// A message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) data_type: String,
    pub(crate) value: AttributeValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AttributeValue {
    Text(String),
    Binary(Vec<u8>),
}

pub(crate) type Attributes = BTreeMap<String, Attribute>;

impl Attribute {
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            AttributeValue::Text(text) => json!({"DataType": self.data_type, "StringValue": text}),
            AttributeValue::Binary(bytes) => {
                json!({"DataType": self.data_type, "BinaryValue": BASE64_STANDARD.encode(bytes)})
            }
        }
    }
}

/// Reads a message's own attributes.
pub(crate) fn read_all(given: Vec<(String, Input)>) -> Result<Attributes> {
    if given.len() > MAX_ATTRIBUTES {
        let message = format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            given.len()
        );
        return Err(Error::invalid(message));
    }
    let read = given.into_iter().map(|(name, value)| {
        check_name(&name)?;
        let attribute = read(&name, "(user)", value)?;
        Ok((name, attribute))
    });
    read.collect()
}

/// Reads the attributes that senders set for SQS itself.
pub(crate) fn read_system(given: Vec<(String, Input)>) -> Result<Attributes> {
    let read = given.into_iter().map(|(name, value)| {
        if name != TRACE_HEADER {
            return Err(Error::invalid(format!(
                "Message system attribute name '{name}' is invalid."
            )));
        }
        let attribute = read(&name, "system", value)?;
        if attribute.data_type != "String" {
            return Err(Error::invalid(format!(
                "The type of message system attribute '{name}' is invalid. You must use only the following supported \
                 type: String."
            )));
        }
        Ok((name, attribute))
    });
    read.collect()
}

fn check_name(name: &str) -> Result<()> {
    let invalid = |reason: &str| Err(Error::invalid(format!("Message (user) attribute name {reason}")));
    if name.is_empty() {
        let message = "The request must contain non-empty message (user) attribute names.";
        return Err(Error::invalid(message));
    }
    if name.len() > MAX_LENGTH {
        return invalid("must be shorter than 256 bytes.");
    }
    if !name.chars().all(is_allowed_in_a_name) {
        return Err(Error::invalid(
            "Message (user) attributes name can only contain upper and lower score characters, digits, periods, \
             hyphens and underscores. ",
        ));
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err(Error::invalid(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for \
             internal use.",
        ));
    }
    if name.starts_with('.') {
        return invalid("must not begin with character '.'.");
    }
    if name.ends_with('.') {
        return invalid("must not end with character '.'.");
    }
    if name.contains("..") {
        return invalid("must not have successive '.' characters.");
    }
    Ok(())
}

/// AWS documents only ASCII, but accepts the letters of Latin-1 and Latin Extended-A, such as `ß`.
fn is_allowed_in_a_name(c: char) -> bool {
    let is_latin = ('\u{c0}'..='\u{17f}').contains(&c) && c.is_alphabetic();
    c.is_ascii_alphanumeric() || "_-.".contains(c) || is_latin
}

/// Reads an attribute. `kind` names its kind in error messages.
fn read(name: &str, kind: &str, mut given: Input) -> Result<Attribute> {
    let has_list = |member: &str| !given.strings(member).is_empty();
    if has_list("StringListValues") || has_list("BinaryListValues") {
        return Err(Error::unsupported(
            "Message attribute list values in SendMessage operation are not supported.",
        ));
    }
    let invalid = |reason: &str| Err(Error::invalid(format!("Message {kind} attribute {reason}")));
    let data_type = given.take_str("DataType").unwrap_or_default();
    if data_type.is_empty() {
        return Err(Error::invalid(format!(
            "The message {kind} attribute '{name}' must contain a non-empty message attribute type."
        )));
    }
    // Other characters could not be sent back in XML.
    if data_type.chars().any(char::is_control) {
        return invalid(&format!("'{name}' has a type with control characters."));
    }
    // A label may follow the type: `Number.int`.
    let base = data_type.split('.').next().unwrap_or_default();
    let (member, field, other) = match base {
        "String" | "Number" => ("StringValue", "String", "BinaryValue"),
        "Binary" => ("BinaryValue", "Binary", "StringValue"),
        _ => {
            return Err(Error::invalid(format!(
                "The type of message {kind} attribute '{name}' is invalid. You must use only the following supported \
                 type prefixes: Binary, Number, String."
            )));
        }
    };
    if data_type.len() > MAX_LENGTH {
        return invalid("type must be shorter than 256 bytes.");
    }
    let text = given.take_str(member).unwrap_or_default();
    let has_other = given.opt_str(other).is_some_and(|value| !value.is_empty());
    match (text.is_empty(), has_other) {
        (true, true) => return invalid(&format!("'{name}' with type '{base}' must use field '{field}'.")),
        (true, false) => {
            return invalid(&format!(
                "'{name}' must contain a non-empty value of type '{data_type}'."
            ));
        }
        (false, true) => return invalid(&format!("'{name}' must have a single value.")),
        (false, false) => {}
    }
    let value = if base == "Binary" {
        AttributeValue::Binary(decode_binary(&text)?)
    } else {
        if let Some(reason) = find_bad_character(&text, &format!("attribute '{name}' value")) {
            return Err(Error::invalid(reason));
        }
        if base == "Number" && !is_number(&text) {
            return Err(Error::invalid(format!(
                "Can't cast the value of message {kind} attribute '{name}' to a number."
            )));
        }
        AttributeValue::Text(text)
    };
    Ok(Attribute { data_type, value })
}

fn decode_binary(text: &str) -> Result<Vec<u8>> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map_err(|_| Error::malformed("A binary value is not base64."))
}

/// Returns `true` for a decimal number within the documented precision and range. A float would round both.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
        None => (unsigned, Some(0)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let Some(exponent) = exponent.filter(|_| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())) else {
        return false;
    };
    let significant = digits.trim_start_matches('0');
    let shown = significant.trim_end_matches('0');
    if shown.is_empty() {
        return true;
    }
    // The power of ten of the first significant digit.
    let length = i64::try_from(significant.len()).unwrap_or(i64::MAX);
    let decimals = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let power = (length - 1 - decimals).saturating_add(exponent);
    let in_range = EXPONENTS.contains(&power) && (power < *EXPONENTS.end() || shown == "1");
    in_range && shown.len() <= MAX_DIGITS
}

/// Finds a character that XML cannot contain, and returns AWS's message for it.
pub(crate) fn find_bad_character(text: &str, place: &str) -> Option<String> {
    // Surrogates cannot occur in a Rust string.
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let bad = text.chars().find(|c| !allowed(*c))?;
    Some(format!(
        "Invalid binary character '#x{:X}' was found in the message {place}, the set of allowed characters is #x9 | \
         #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF].",
        u32::from(bad)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one attribute, and returns the error message.
    fn refusal(name: &str, value: Value) -> String {
        let given = vec![(name.to_owned(), Input::new(value).expect("an object"))];
        read_all(given).expect_err("refused").message
    }

    fn accepts(name: &str, value: Value) -> bool {
        let given = vec![(name.to_owned(), Input::new(value).expect("an object"))];
        read_all(given).is_ok()
    }

    #[test]
    fn numbers_have_38_digits_and_a_range() {
        let digits = "9".repeat(38);
        let good = [
            "0", "-0", "1", "+1", "-1.5", "1e10", "2.5E-3", "007", "1e126", "1e-128", "-9.9e125",
        ];
        for good in good
            .into_iter()
            .chain([digits.as_str(), &format!("0.{digits}"), "1.e2", ".5"])
        {
            assert!(is_number(good), "{good}");
        }
        let long = "9".repeat(39);
        let bad = [
            "", "-", ".", "e5", "1e", "inf", "NaN", "1 ", "1_000", "0x1", "1e127", "1.1e126", "1e-129", "--1",
        ];
        for bad in bad.into_iter().chain([long.as_str(), "1e99999999999999999999"]) {
            assert!(!is_number(bad), "{bad}");
        }
    }

    #[test]
    fn names_are_checked() {
        let string = || json!({"DataType": "String", "StringValue": "x"});
        for good in ["a", "a.b_c-9", "attr.1øßä", "awsome", &"n".repeat(256)] {
            assert!(accepts(good, string()), "{good}");
        }
        for (name, reason) in [
            ("", "non-empty message (user) attribute names"),
            (&*"n".repeat(257), "shorter than 256"),
            ("AWS.n", "reserved"),
            ("aMaZon.n", "reserved"),
            (".n", "not begin"),
            ("n.", "not end"),
            ("a..b", "successive"),
            ("a b", "can only contain"),
            ("a§", "can only contain"),
        ] {
            let message = refusal(name, string());
            assert!(message.contains(reason), "{name}: {message}");
        }
    }

    #[test]
    fn types_and_values_are_checked() {
        for data_type in [
            "String",
            "Number",
            "String.x",
            "Number.java.lang.Long",
            &format!("String.{}", "x".repeat(249)),
        ] {
            assert!(
                accepts("k", json!({"DataType": data_type, "StringValue": "1"})),
                "{data_type}"
            );
        }
        assert!(accepts("k", json!({"DataType": "Binary.png", "BinaryValue": "AQ=="})));
        let empty_lists =
            json!({"DataType": "String", "StringValue": "x", "StringListValues": [], "BinaryListValues": []});
        assert!(accepts("k", empty_lists));
        let long = format!("String.{}", "x".repeat(250));
        for (value, message) in [
            (
                json!({"StringValue": "x"}),
                "The message (user) attribute 'k' must contain a non-empty message attribute type.",
            ),
            (
                json!({"DataType": "string", "StringValue": "x"}),
                "The type of message (user) attribute 'k' is invalid. You must use only the following supported type \
                 prefixes: Binary, Number, String.",
            ),
            (
                json!({"DataType": "String", "StringValue": ""}),
                "Message (user) attribute 'k' must contain a non-empty value of type 'String'.",
            ),
            (
                json!({"DataType": "String", "BinaryValue": "AQ=="}),
                "Message (user) attribute 'k' with type 'String' must use field 'String'.",
            ),
            (
                json!({"DataType": "Binary", "StringValue": "x", "BinaryValue": "AQ=="}),
                "Message (user) attribute 'k' must have a single value.",
            ),
            (
                json!({"DataType": "Number", "StringValue": "one"}),
                "Can't cast the value of message (user) attribute 'k' to a number.",
            ),
            (
                json!({"DataType": long, "StringValue": "x"}),
                "Message (user) attribute type must be shorter than 256 bytes.",
            ),
        ] {
            assert_eq!(refusal("k", value), message);
        }
    }
}
