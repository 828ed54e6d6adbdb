//! Checks before any I/O. Each error states the value, the limit and that the limit is SQS's.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::Error;
use crate::limits;

pub(crate) fn at_most(what: &str, value: usize, limit: usize) -> Result<(), Error> {
    if value > limit {
        return Err(Error::invalid_input(format!(
            "the {what} is {value}; SQS accepts at most {limit}"
        )));
    }
    Ok(())
}

pub(crate) fn no_longer_than(what: &str, value: impl Into<Option<Duration>>, limit: Duration) -> Result<(), Error> {
    match value.into() {
        Some(value) if value > limit => Err(Error::invalid_input(format!(
            "the {what} is {value:?}; SQS accepts at most {limit:?}"
        ))),
        _ => Ok(()),
    }
}

/// Checks that the value, if there is one, is in this range.
pub(crate) fn within<T: PartialOrd + Debug>(
    what: &str,
    value: Option<T>,
    range: RangeInclusive<T>,
) -> Result<(), Error> {
    match value {
        Some(value) if !range.contains(&value) => Err(Error::invalid_input(format!(
            "the {what} is {value:?}; SQS accepts {:?} to {:?}",
            range.start(),
            range.end()
        ))),
        _ => Ok(()),
    }
}

/// Refuses an ARN in place of a queue's URL, as every server does.
///
/// # Errors
///
/// The text begins with `arn:`.
pub fn no_arn(queue: &str) -> Result<(), Error> {
    if !queue.starts_with("arn:") {
        return Ok(());
    }
    let parts: Vec<&str> = queue.split(':').collect();
    let name = match parts[..] {
        [_, _, "sqs", _, _, name] if !name.is_empty() => format!(" ({name:?})"),
        _ => String::new(),
    };
    Err(Error::invalid_input(format!(
        "{queue:?} is an ARN; pass the queue's name{name} or its URL"
    )))
}

/// Checks that there is at least one.
pub(crate) fn some(what: &str, is_empty: bool) -> Result<(), Error> {
    if is_empty {
        return Err(Error::invalid_input(format!(
            "the request has no {what}; add at least one"
        )));
    }
    Ok(())
}

pub(crate) fn id(what: &str, value: Option<&str>) -> Result<(), Error> {
    match value {
        Some("") => Err(Error::invalid_input(format!(
            "the {what} is empty; set 1 to {} characters",
            limits::MAX_ID_CHARS
        ))),
        Some(id) => at_most(
            &format!("length of the {what}"),
            id.chars().count(),
            limits::MAX_ID_CHARS,
        ),
        None => Ok(()),
    }
}

/// Checks the id of a batch entry or the label of a permission.
pub(crate) fn label(what: &str, label: &str) -> Result<(), Error> {
    let well_formed = !label.is_empty()
        && label.len() <= limits::MAX_ENTRY_ID_CHARS
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if well_formed {
        return Ok(());
    }
    Err(Error::invalid_input(format!(
        "the {what} {label:?} is not valid; SQS accepts 1 to {} letters, digits, hyphens and underscores",
        limits::MAX_ENTRY_ID_CHARS
    )))
}

/// Checks a queue's tags: up to 50, with keys of 1–128 characters and values of up to 256.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    at_most("number of tags", tags.len(), limits::MAX_TAGS)?;
    for (key, value) in tags {
        within(
            "length of a tag's key",
            Some(key.chars().count()),
            1..=limits::MAX_TAG_KEY_CHARS,
        )?;
        at_most(
            "length of a tag's value",
            value.chars().count(),
            limits::MAX_TAG_VALUE_CHARS,
        )?;
    }
    Ok(())
}

/// Checks that a batch has 1–10 entries with valid and distinct ids.
pub(crate) fn entry_ids<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen: Vec<&str> = Vec::with_capacity(limits::MAX_BATCH_ENTRIES);
    for id in ids {
        label("entry id", id)?;
        if seen.contains(&id) {
            return Err(Error::invalid_input(format!(
                "the entry id {id:?} occurs twice in the batch; give each entry an id of its own"
            )));
        }
        seen.push(id);
        at_most("number of entries in the batch", seen.len(), limits::MAX_BATCH_ENTRIES)?;
    }
    if seen.is_empty() {
        return Err(Error::invalid_input("the batch has no entries; add 1 to 10"));
    }
    Ok(())
}

/// Checks that the text consists of the characters that SQS accepts in bodies and attribute values:
/// `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF`. The error does not quote the text.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub(crate) fn characters(what: impl FnOnce() -> String, text: &str) -> Result<(), Error> {
    if !may_have_invalid_character(text.as_bytes()) {
        return Ok(());
    }
    // Surrogates cannot occur in a Rust string.
    let invalid =
        |c: &(usize, char)| matches!(c.1, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    let Some((offset, character)) = text.char_indices().find(invalid) else {
        return Ok(());
    };
    Err(Error::invalid_input(format!(
        "the {} has the character U+{:04X} at byte {offset}, which SQS does not accept; remove it, or encode the text, for \
         example as Base64",
        what(),
        u32::from(character)
    )))
}

/// Scans the bytes without branches, so that the compiler vectorizes both loops: about 0.1 ms for 1 MiB.
fn may_have_invalid_character(text: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
    let (has_control, has_lead) = text.iter().fold((false, false), |(control, lead), byte| {
        (control | is_control(*byte), lead | (*byte == 0xEF))
    });
    has_control || has_lead && has_noncharacter(text)
}

/// U+FFFE is EF BF BE in UTF-8, and U+FFFF is EF BF BF.
fn has_noncharacter(text: &[u8]) -> bool {
    let (second, third) = (text.get(1..).unwrap_or_default(), text.get(2..).unwrap_or_default());
    let triples = text.iter().zip(second).zip(third);
    triples.fold(false, |found, ((first, second), third)| {
        found | (*first == 0xEF) & (*second == 0xBF) & (*third >= 0xBE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_characters_that_sqs_accepts_pass() {
        let check = |text: &str| characters(|| "message body".to_owned(), text);
        for text in [
            "",
            "\t\n\r ~\x7f",
            "é\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff}",
            "，\u{ffee}\u{ffbf}\u{1ffff}",
        ] {
            assert!(check(text).is_ok(), "{text:?}");
        }
        let refused = (0..0x20_u8)
            .map(char::from)
            .filter(|c| !"\t\n\r".contains(*c))
            .chain(['\u{fffe}', '\u{ffff}']);
        for character in refused {
            for before in [0, 1, 31, 64, 1_000] {
                let text = format!("{}é{character}secret", "x".repeat(before));
                let message = check(&text).unwrap_err().message().to_owned();
                let position = format!(
                    "the message body has the character U+{:04X} at byte {},",
                    u32::from(character),
                    before + 2
                );
                assert!(
                    message.starts_with(&position) && !message.contains("secret"),
                    "{message}"
                );
            }
        }
    }

    #[test]
    fn an_arn_is_refused_with_the_name_that_it_contains() {
        let text = |queue: &str| no_arn(queue).unwrap_err().message().to_owned();
        assert_eq!(
            text("arn:aws:sqs:eu-west-1:123456789012:orders"),
            "\"arn:aws:sqs:eu-west-1:123456789012:orders\" is an ARN; pass the queue's name (\"orders\") or its URL"
        );
        for other in [
            "arn:aws:sns:eu-west-1:123456789012:orders",
            "arn:aws:sqs:eu-west-1:1:",
            "arn:",
        ] {
            assert_eq!(
                text(other),
                format!("{other:?} is an ARN; pass the queue's name or its URL")
            );
        }
        for queue in [
            "orders",
            "arn",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/arn:orders",
            "",
        ] {
            assert!(no_arn(queue).is_ok(), "{queue}");
        }
    }

    #[test]
    fn entry_ids_follow_aws_rules() {
        assert!(entry_ids(["a", "b-1_C"].into_iter()).is_ok());
        assert!(entry_ids(std::iter::empty()).is_err());
        assert!(entry_ids(["a", "a"].into_iter()).is_err());
        assert!(entry_ids(["a b"].into_iter()).is_err());
        assert!(entry_ids([""].into_iter()).is_err());
        let eleven: Vec<String> = (0..11).map(|i| i.to_string()).collect();
        assert!(entry_ids(eleven.iter().map(String::as_str)).is_err());
    }

    #[test]
    fn a_range_includes_both_ends() {
        for (value, fits) in [
            (None, true),
            (Some(0), false),
            (Some(1), true),
            (Some(10), true),
            (Some(11), false),
        ] {
            assert_eq!(within("number", value, 1..=10).is_ok(), fits, "{value:?}");
        }
        assert_eq!(
            within("number of messages", Some(11), 1..=10).unwrap_err().message(),
            "the number of messages is 11; SQS accepts 1 to 10"
        );
    }

    #[test]
    fn tags_are_counted_in_characters() {
        let with = |key: &str, value: &str| tags(&BTreeMap::from([(key.to_owned(), value.to_owned())]));
        assert!(with(&"ü".repeat(128), &"ü".repeat(256)).is_ok());
        assert!(with("k", "").is_ok());
        assert!(with("", "v").is_err());
        assert!(with(&"k".repeat(129), "v").is_err());
        assert!(with("k", &"v".repeat(257)).is_err());
        let many = |count: u32| tags(&(0..count).map(|i| (i.to_string(), String::new())).collect());
        assert!(many(50).is_ok() && many(51).is_err());
    }
}
