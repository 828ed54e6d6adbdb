//! Checks before any I/O, of what every server refuses; each says the value, the limit and whose limit it is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::Error;
use crate::limits;

pub(crate) fn at_most(what: &str, value: usize, limit: usize) -> Result<(), Error> {
    if value > limit {
        return Err(Error::invalid_input(format!(
            "the {what} is {value}; SQS takes at most {limit}"
        )));
    }
    Ok(())
}

pub(crate) fn no_longer_than(what: &str, value: impl Into<Option<Duration>>, limit: Duration) -> Result<(), Error> {
    match value.into() {
        Some(value) if value > limit => Err(Error::invalid_input(format!(
            "the {what} is {value:?}; SQS takes at most {limit:?}"
        ))),
        _ => Ok(()),
    }
}

/// The value, where there is one, is in this range.
pub(crate) fn within<T: PartialOrd + Debug>(
    what: &str,
    value: Option<T>,
    range: RangeInclusive<T>,
) -> Result<(), Error> {
    match value {
        Some(value) if !range.contains(&value) => Err(Error::invalid_input(format!(
            "the {what} is {value:?}; SQS takes {:?} to {:?}",
            range.start(),
            range.end()
        ))),
        _ => Ok(()),
    }
}

/// There is at least one.
pub(crate) fn some(what: &str, is_empty: bool) -> Result<(), Error> {
    if is_empty {
        return Err(Error::invalid_input(format!(
            "the request has no {what}; SQS takes 1 or more"
        )));
    }
    Ok(())
}

pub(crate) fn id(what: &str, value: Option<&str>) -> Result<(), Error> {
    match value {
        Some("") => Err(Error::invalid_input(format!("the {what} is empty"))),
        Some(id) => at_most(
            &format!("length of the {what}"),
            id.chars().count(),
            limits::MAX_ID_CHARS,
        ),
        None => Ok(()),
    }
}

/// The rules of a name that the caller makes up, of a batch's entry or of a permission.
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
        "the {what} {label:?} is not 1 to {} letters, digits, hyphens and underscores",
        limits::MAX_ENTRY_ID_CHARS
    )))
}

/// The rules of a queue's tags: up to 50, with keys of 1–128 characters and values of up to 256.
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

/// The rules of a batch's entries: 1–10 of them, ids well-formed and distinct.
pub(crate) fn entry_ids<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen: Vec<&str> = Vec::with_capacity(limits::MAX_BATCH_ENTRIES);
    for id in ids {
        label("entry id", id)?;
        if seen.contains(&id) {
            return Err(Error::invalid_input(format!(
                "the entry id {id:?} occurs twice in one batch"
            )));
        }
        seen.push(id);
        at_most("number of entries in the batch", seen.len(), limits::MAX_BATCH_ENTRIES)?;
    }
    if seen.is_empty() {
        return Err(Error::invalid_input("the batch has no entry"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_range_has_both_its_ends() {
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
            "the number of messages is 11; SQS takes 1 to 10"
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
