//! A record of received requests: a count for each action, and the last requests in detail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::HeaderMap;
use serde_json::Value;

use crate::protocol::Protocol;
use crate::protocol::schema::Action;

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

#[derive(Debug)]
pub(crate) struct Journal {
    capacity: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<Action, u64>,
    last: VecDeque<Recorded>,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            inner: Mutex::default(),
        }
    }

    pub(crate) fn record(&self, request: Recorded) {
        let mut inner = self.lock();
        if let Some(action) = request.action {
            *inner.counts.entry(action).or_default() += 1;
        }
        if self.capacity == 0 {
            return;
        }
        if inner.last.len() == self.capacity {
            inner.last.pop_front();
        }
        inner.last.push_back(request);
    }

    pub(crate) fn count(&self, action: Action) -> u64 {
        self.lock().counts.get(&action).copied().unwrap_or(0)
    }

    pub(crate) fn counts(&self) -> BTreeMap<Action, u64> {
        self.lock().counts.clone()
    }

    pub(crate) fn last(&self) -> Vec<Recorded> {
        self.lock().last.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Inner::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
