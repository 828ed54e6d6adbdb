//! What each action does, the same for both protocols.

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

/// The answer of an action that has nothing to say.
pub(crate) fn nothing() -> Value {
    json!({})
}
