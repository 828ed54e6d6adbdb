//! Payloads to and from the object store; nothing here knows of messages.

pub(crate) mod blocking;
pub(crate) mod delete;
pub(crate) mod download;
pub(crate) mod location;
pub(crate) mod plan;
pub(crate) mod response;
pub(crate) mod source;
pub(crate) mod upload;
