//! Transfers of payloads to and from the object store, independent of messages.

pub(crate) mod blocking_writer;
pub(crate) mod delete;
pub(crate) mod download;
#[allow(dead_code, reason = "resumable transfers are its first user")]
pub(crate) mod journal;
pub(crate) mod lookup;
pub(crate) mod part_plan;
pub(crate) mod part_source;
pub(crate) mod upload;
