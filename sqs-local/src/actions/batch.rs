//! Code that all batch actions share: checks of the entries, and the output with successes and failures.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::faults::Effects;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::rng::Rng;

const MAX_ENTRIES: usize = 10;

/// An entry with its id.
pub(crate) type Entry = (String, Input);

/// Takes a batch's entries out of a request. `entry` is their name in error messages.
pub(crate) fn entries(input: &mut Input, entry: &str) -> Result<Vec<Entry>> {
    let entries = input.take_list("Entries")?;
    if entries.is_empty() {
        let message = format!("There should be at least one {entry} in the request.");
        return Err(Error::new(&error::EMPTY_BATCH, message));
    }
    if entries.len() > MAX_ENTRIES {
        let message = format!(
            "Maximum number of entries per request are 10. You have sent {}.",
            entries.len()
        );
        return Err(Error::new(&error::TOO_MANY_ENTRIES, message));
    }
    let mut seen = BTreeSet::new();
    let identified = entries.into_iter().zip(1..).map(|(mut members, number)| {
        let id = members.take_str("Id");
        let id = id.ok_or_else(|| Error::missing(&format!("{entry}.{number}.Id")))?;
        check_id(&id)?;
        if !seen.insert(id.clone()) {
            return Err(Error::new(&error::BATCH_IDS_NOT_DISTINCT, format!("Id {id} repeated.")));
        }
        Ok((id, members))
    });
    identified.collect()
}

fn check_id(id: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=80).contains(&id.len()) && id.chars().all(allowed) {
        return Ok(());
    }
    let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at \
                   most 80 letters long.";
    Err(Error::new(&error::INVALID_BATCH_ID, message))
}

/// Performs each entry except those that a fault makes fail, and returns the output.
pub(crate) fn perform<T>(
    entries: Vec<(String, T)>,
    effects: &Effects,
    rng: &Rng,
    mut perform: impl FnMut(T) -> Result<Value>,
) -> Value {
    let failing = pick(effects.fail_entries, entries.len(), rng);
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (index, (id, entry)) in entries.into_iter().enumerate() {
        let result = if failing.contains(&index) {
            Err(Error::internal())
        } else {
            perform(entry)
        };
        match result {
            Ok(mut output) => {
                output["Id"] = Value::from(id);
                successful.push(output);
            }
            Err(error) => failed.push(refusal(&id, &error)),
        }
    }
    // AWS omits an empty list.
    let mut output = json!({});
    for (member, results) in [("Successful", successful), ("Failed", failed)] {
        if !results.is_empty() {
            output[member] = results.into();
        }
    }
    output
}

fn refusal(id: &str, error: &Error) -> Value {
    json!({"Id": id, "SenderFault": error.is_sender(), "Code": error.code.query, "Message": error.message})
}

/// Picks random indices below `length`.
fn pick(count: usize, length: usize, rng: &Rng) -> BTreeSet<usize> {
    let mut picked = BTreeSet::new();
    while picked.len() < count.min(length) {
        picked.insert(rng.below(length));
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ids: &[&str]) -> Result<usize> {
        let list: Vec<Value> = ids.iter().map(|id| json!({"Id": id})).collect();
        let mut input = Input::new(json!({"Entries": list}))?;
        entries(&mut input, "Entry").map(|e| e.len())
    }

    #[test]
    fn entry_ids_and_counts_are_checked() {
        let code = |ids: &[&str]| read(ids).map_err(|e| e.code);
        assert_eq!(code(&["a", "B-_9"]), Ok(2));
        assert_eq!(code(&[]), Err(&error::EMPTY_BATCH));
        assert_eq!(code(&["a"; 11]), Err(&error::TOO_MANY_ENTRIES));
        assert_eq!(code(&["a", "a"]), Err(&error::BATCH_IDS_NOT_DISTINCT));
        assert_eq!(code(&["a:b"]), Err(&error::INVALID_BATCH_ID));
        assert_eq!(code(&[""]), Err(&error::INVALID_BATCH_ID));
        assert_eq!(code(&["a".repeat(81).as_str()]), Err(&error::INVALID_BATCH_ID));
    }

    #[test]
    fn an_entry_needs_an_id() {
        let mut input = Input::new(json!({"Entries": [{"Id": "a"}, {}]})).expect("an object");
        let refused = entries(&mut input, "SomeEntry").expect_err("refused");
        assert_eq!(refused, Error::missing("SomeEntry.2.Id"));
    }

    #[test]
    fn an_output_has_no_empty_lists() {
        let perform = |result: Result<Value>| {
            let entries = vec![("a".to_owned(), ())];
            perform(entries, &Effects::default(), &Rng::new(1), |()| result.clone())
        };
        assert_eq!(perform(Ok(json!({}))), json!({"Successful": [{"Id": "a"}]}));
        let failed = perform(Err(Error::missing("x")));
        assert!(failed.get("Successful").is_none(), "{failed}");
        assert_eq!(failed["Failed"][0]["Code"], "MissingParameter");
    }

    #[test]
    fn a_fault_fails_the_given_number_of_entries() {
        let entries = (0..10).map(|i| (i.to_string(), ())).collect();
        let effects = Effects {
            fail_entries: 3,
            ..Effects::default()
        };
        let output = perform(entries, &effects, &Rng::new(1), |()| Ok(json!({})));
        assert_eq!(output["Failed"].as_array().map(Vec::len), Some(3));
        assert_eq!(output["Failed"][0]["SenderFault"], false);
        assert_eq!(output["Successful"].as_array().map(Vec::len), Some(7));
    }
}
