//! Checks before any I/O, of what every server refuses; each says the value, the limit and whose limit it is.

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

pub(crate) fn no_longer_than(what: &str, value: Option<Duration>, limit: Duration) -> Result<(), Error> {
    match value {
        Some(value) if value > limit => Err(Error::invalid_input(format!(
            "the {what} is {value:?}; SQS takes at most {limit:?}"
        ))),
        _ => Ok(()),
    }
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

/// The rules of a batch's entries: 1–10 of them, ids well-formed and distinct.
pub(crate) fn entry_ids<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen: Vec<&str> = Vec::with_capacity(limits::MAX_BATCH_ENTRIES);
    for id in ids {
        let well_formed = !id.is_empty()
            && id.len() <= limits::MAX_ENTRY_ID_CHARS
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !well_formed {
            return Err(Error::invalid_input(format!(
                "the entry id {id:?} is not 1 to {} letters, digits, hyphens and underscores",
                limits::MAX_ENTRY_ID_CHARS
            )));
        }
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
}
