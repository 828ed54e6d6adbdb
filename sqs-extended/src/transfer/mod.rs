//! Transfers of payloads to and from the object store, independent of messages.

pub(crate) mod blocking_writer;
pub(crate) mod delete;
pub(crate) mod download;
pub(crate) mod lookup;
pub(crate) mod part_plan;
pub(crate) mod part_source;
pub(crate) mod pressure;
pub(crate) mod upload;
