//! The actions, independent of the protocol.

pub(crate) mod acknowledge;
pub(crate) mod attributes;
pub(crate) mod batch;
pub(crate) mod move_tasks;
pub(crate) mod paging;
pub(crate) mod permissions;
pub(crate) mod queues;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod tags;

use serde_json::{Value, json};

/// Returns the output of an action without output members.
pub(crate) fn nothing() -> Value {
    json!({})
}
