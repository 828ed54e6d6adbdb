//! Tags of a queue.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::nothing;
use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;
use crate::service::Service;

const MAX_TAGS: usize = 50;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

pub(crate) fn tag(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let given = read(&queue.name, input.string_map("Tags"))?;
    if given.is_empty() {
        return Err(Error::missing("Tags"));
    }
    let mut state = queue.lock(service.now());
    let mut tags = state.tags.clone();
    tags.extend(given);
    check_count(&queue.name, &tags)?;
    state.tags = tags;
    Ok(nothing())
}

/// Reads and checks a request's tags for the queue of this name.
pub(crate) fn read(queue: &str, given: Vec<(String, String)>) -> Result<BTreeMap<String, String>> {
    for (key, value) in &given {
        check_text("keys", key, 1, MAX_KEY)?;
        check_text("values", value, 0, MAX_VALUE)?;
        let prefix = key.get(..4).unwrap_or_default();
        if prefix.eq_ignore_ascii_case("aws:") {
            let message = "aws: prefixed tag key names are not allowed for external use.";
            return Err(Error::invalid(message));
        }
    }
    let tags = given.into_iter().collect();
    check_count(queue, &tags)?;
    Ok(tags)
}

fn check_count(queue: &str, tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.len() > MAX_TAGS {
        return Err(Error::invalid(format!("Too many tags added for queue {queue}.")));
    }
    Ok(())
}

/// Checks the length of a key or value in characters, and its characters.
fn check_text(kind: &str, text: &str, min: usize, max: usize) -> Result<()> {
    if !(min..=max).contains(&text.chars().count()) {
        let message = format!("Tag {kind} must be between {min} and {max} characters in length.");
        return Err(Error::invalid(message));
    }
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    if !text.chars().all(allowed) {
        return Err(Error::invalid(format!(
            "Tag {kind} may only contain unicode letters, digits, whitespace, or one of these symbols: _ . : / = + - @"
        )));
    }
    Ok(())
}

pub(crate) fn untag(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let keys = input.strings("TagKeys");
    if keys.is_empty() {
        return Err(Error::missing("TagKeys"));
    }
    queue.lock(service.now()).tags.retain(|key, _| !keys.contains(key));
    Ok(nothing())
}

pub(crate) fn list(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let state = queue.lock(service.now());
    if state.tags.is_empty() {
        Ok(nothing())
    } else {
        Ok(json!({"Tags": state.tags}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str) -> std::result::Result<usize, String> {
        let read = read("q", vec![(key.to_owned(), value.to_owned())]);
        read.map(|tags| tags.len()).map_err(|e| e.message)
    }

    #[test]
    fn keys_and_values_have_lengths_and_characters() {
        let long = |length: usize| "ß".repeat(length);
        for (key, value) in [
            ("k", ""),
            ("ключ 1_.:/=+-@", "v"),
            ("xaws:", "aws:"),
            (&long(128), &long(256)),
        ] {
            assert_eq!(check(key, value), Ok(1), "{key}");
        }
        for (key, value, reason) in [
            ("", "v", "Tag keys must be between 1 and 128 characters in length."),
            (
                &*long(129),
                "v",
                "Tag keys must be between 1 and 128 characters in length.",
            ),
            (
                "k",
                &*long(257),
                "Tag values must be between 0 and 256 characters in length.",
            ),
            (
                "aws:k",
                "v",
                "aws: prefixed tag key names are not allowed for external use.",
            ),
            (
                "AwS:k",
                "v",
                "aws: prefixed tag key names are not allowed for external use.",
            ),
        ] {
            assert_eq!(check(key, value), Err(reason.to_owned()), "{key}");
        }
        for (key, value) in [("k!", "v"), ("k", "v*"), ("k\u{0}", "v")] {
            assert!(
                check(key, value).is_err_and(|e| e.contains("may only contain")),
                "{key}"
            );
        }
    }

    #[test]
    fn a_queue_has_at_most_50_tags() {
        let tags = |count: usize| read("q", (0..count).map(|n| (n.to_string(), String::new())).collect());
        assert_eq!(tags(50).map(|t| t.len()), Ok(50));
        assert_eq!(tags(51), Err(Error::invalid("Too many tags added for queue q.")));
    }
}
