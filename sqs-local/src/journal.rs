//! A record of received requests: a count for each action, and the last requests in detail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::HeaderMap;
use serde_json::Value;

use crate::protocol::Protocol;
use crate::protocol::schema::Action;

/// The maximum size of all remembered requests. The oldest make room.
pub const MAX_JOURNAL_BYTES: usize = 64 * 1024 * 1024;

/// A request as it arrived, before any check.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The action, if it could be parsed.
    pub action: Option<Action>,
    /// The request's protocol.
    pub protocol: Protocol,
    /// The request's path.
    pub path: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The length of the body in bytes.
    pub body_bytes: usize,
    /// The number of entries of a batch, or 1 for any other request.
    pub entries: usize,
    /// The parsed members by their JSON names, whatever the protocol. `None` if the request could not be parsed or
    /// [`Builder::keep_inputs`](crate::Builder::keep_inputs) is off.
    pub input: Option<Value>,
}

/// The memory of an object's member besides its name and value.
const MEMBER_OVERHEAD: usize = 64;

impl Recorded {
    /// Returns about the memory that it occupies.
    fn size(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
        let input = self.input.as_ref().map_or(0, size_of_value);
        size_of::<Self>() + self.path.len() + headers + input
    }
}

/// Returns about the memory that a value occupies. That is far more than its text for a list of empty objects.
fn size_of_value(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size_of_value).sum(),
        Value::Object(members) => {
            let members = members.iter();
            members
                .map(|(name, value)| MEMBER_OVERHEAD + name.len() + size_of_value(value))
                .sum()
        }
        _ => 0,
    };
    size_of::<Value>() + inner
}

#[derive(Debug)]
pub(crate) struct Journal {
    capacity: usize,
    /// `true` if requests are recorded with their input.
    keep_inputs: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<Action, u64>,
    /// The last requests, with their sizes.
    last: VecDeque<(Recorded, usize)>,
    /// The total size of `last`.
    bytes: usize,
}

impl Journal {
    pub(crate) fn new(capacity: usize, keep_inputs: bool) -> Self {
        Self {
            capacity,
            keep_inputs,
            inner: Mutex::default(),
        }
    }

    /// Records a request. `describe` is told whether to include its input.
    pub(crate) fn record(&self, describe: impl FnOnce(bool) -> Recorded) {
        let request = describe(self.keep_inputs);
        let mut inner = self.lock();
        if let Some(action) = request.action {
            *inner.counts.entry(action).or_default() += 1;
        }
        if self.capacity == 0 {
            return;
        }
        let size = request.size();
        inner.bytes += size;
        inner.last.push_back((request, size));
        while inner.last.len() > self.capacity || inner.bytes > MAX_JOURNAL_BYTES {
            let Some((_, size)) = inner.last.pop_front() else {
                return;
            };
            inner.bytes -= size;
        }
    }

    pub(crate) fn count(&self, action: Action) -> u64 {
        self.lock().counts.get(&action).copied().unwrap_or(0)
    }

    pub(crate) fn counts(&self) -> BTreeMap<Action, u64> {
        self.lock().counts.clone()
    }

    pub(crate) fn last(&self) -> Vec<Recorded> {
        self.lock().last.iter().map(|(request, _)| request.clone()).collect()
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Inner::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body_bytes: usize, keep_inputs: bool) -> Recorded {
        Recorded {
            action: None,
            protocol: Protocol::Json,
            path: "/".into(),
            headers: HeaderMap::new(),
            body_bytes,
            entries: 1,
            input: keep_inputs.then(|| Value::from("x".repeat(body_bytes))),
        }
    }

    #[test]
    fn remembered_requests_are_bounded_in_number_and_size() {
        let journal = Journal::new(3, true);
        (0..5).for_each(|_| journal.record(|keep| request(10, keep)));
        assert_eq!(journal.last().len(), 3);
        journal.record(|keep| request(MAX_JOURNAL_BYTES / 2, keep));
        journal.record(|keep| request(MAX_JOURNAL_BYTES / 2, keep));
        assert_eq!(journal.last().len(), 1);
        journal.clear();
        (0..3).for_each(|_| journal.record(|keep| request(10, keep)));
        assert_eq!(journal.last().len(), 3);
        // Without its input, a request's body is not remembered.
        let journal = Journal::new(3, false);
        (0..3).for_each(|_| journal.record(|keep| request(MAX_JOURNAL_BYTES, keep)));
        assert_eq!(journal.last().len(), 3);
    }
}
