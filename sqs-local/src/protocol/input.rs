//! A request's members, after the codec has checked their types.

use serde_json::{Map, Value};

use crate::protocol::error::{Error, Result};

/// Queue attributes with a boolean value.
const BOOLEANS: [&str; 3] = ["ContentBasedDeduplication", "FifoQueue", "SqsManagedSseEnabled"];

/// The member that has the trace header of a message's request. It is not a member of the model, so that no request can
/// contain it.
pub(crate) const TRACE: &str = "X-Amzn-Trace-Id";

/// The members of a request or of a batch entry. The codec checked their types. Their presence is checked here.
#[derive(Debug)]
pub(crate) struct Input(Map<String, Value>);

impl Input {
    pub(crate) fn new(value: Value) -> Result<Self> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(Error::malformed("expected an object")),
        }
    }

    pub(crate) fn opt_str(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Returns a required, non-empty string.
    pub(crate) fn str(&self, name: &str) -> Result<&str> {
        let present = self.opt_str(name).filter(|s| !s.is_empty());
        present.ok_or_else(|| Error::missing(name))
    }

    /// Takes a string, so that large bodies are moved instead of copied.
    pub(crate) fn take_str(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn opt_int(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// Returns an optional integer, and checks its range.
    pub(crate) fn int_within(&self, name: &str, min: i64, max: i64, reason: &str) -> Result<Option<u64>> {
        let Some(value) = self.opt_int(name) else {
            return Ok(None);
        };
        if !(min..=max).contains(&value) {
            return Err(Error::invalid_value(value, name, reason));
        }
        Ok(u64::try_from(value).ok())
    }

    /// Returns a list of strings, which is empty if the member is absent.
    pub(crate) fn strings(&self, name: &str) -> Vec<String> {
        let items = self.0.get(name).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    /// Returns a map of strings, which is empty if the member is absent.
    pub(crate) fn string_map(&self, name: &str) -> Vec<(String, String)> {
        let entries = self.0.get(name).and_then(Value::as_object);
        let pairs = entries.into_iter().flatten();
        pairs
            .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
            .collect()
    }

    /// Takes a map of structures.
    pub(crate) fn take_map(&mut self, name: &str) -> Result<Vec<(String, Input)>> {
        let Some(Value::Object(entries)) = self.0.remove(name) else {
            return Ok(Vec::new());
        };
        entries.into_iter().map(|(k, v)| Ok((k, Self::new(v)?))).collect()
    }

    /// Takes a list of structures.
    pub(crate) fn take_list(&mut self, name: &str) -> Result<Vec<Input>> {
        match self.0.remove(name) {
            Some(Value::Array(items)) => items.into_iter().map(Self::new).collect(),
            _ => Ok(Vec::new()),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the number of entries of a batch, or 1 for any other request.
    pub(crate) fn entry_count(&self) -> usize {
        self.0.get("Entries").and_then(Value::as_array).map_or(1, Vec::len)
    }

    /// Sets a member that is absent. A Query request may have its queue URL in its path.
    pub(crate) fn default_str(&mut self, name: &str, value: &str) {
        self.0.entry(name).or_insert_with(|| Value::from(value));
    }

    /// Writes the boolean queue attributes in lower case, because AWS accepts `True` and `False` too.
    pub(crate) fn lower_booleans(&mut self) {
        let Some(Value::Object(attributes)) = self.0.get_mut("Attributes") else {
            return;
        };
        let booleans = attributes
            .iter_mut()
            .filter(|(name, _)| BOOLEANS.contains(&name.as_str()));
        for (_, value) in booleans {
            if let Value::String(text) = value
                && (text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"))
            {
                text.make_ascii_lowercase();
            }
        }
    }

    /// Gives the messages of a request its trace header.
    pub(crate) fn set_trace(&mut self, trace: Option<&str>) {
        let Some(trace) = trace else {
            return;
        };
        match self.0.get_mut("Entries") {
            Some(Value::Array(entries)) => {
                for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                    entry.insert(TRACE.to_owned(), trace.into());
                }
            }
            _ => drop(self.0.insert(TRACE.to_owned(), trace.into())),
        }
    }

    /// Returns all members by their JSON names.
    pub(crate) fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}
