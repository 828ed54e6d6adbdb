//! What reached the server: a count for every action, and the last requests in detail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::HeaderMap;
use serde_json::Value;

use super::http::Protocol;
use super::schema::Action;

/// A request, as it arrived and before anything was checked.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What it asks for, if that could be read.
    pub action: Option<Action>,
    /// How it asks.
    pub protocol: Protocol,
    /// Where it was sent.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// How long its body is.
    pub body_bytes: usize,
    /// How many entries its batch has; 1 if it is none.
    pub entries: usize,
    /// Its members as the server read them, by their names in JSON whichever protocol it spoke; only where
    /// [`Builder::keep_inputs`](super::Builder::keep_inputs) asks for it, and the request could be read.
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
