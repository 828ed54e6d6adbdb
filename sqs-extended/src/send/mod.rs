//! Send requests, the strategy for each payload, and the messages that carry it.

pub(crate) mod message;
mod offload;
pub(crate) mod policy;
pub(crate) mod prepare;
pub(crate) mod queue_limits;
pub(crate) mod request;
mod resumable;
pub(crate) mod strategy;

pub use message::ExtendedMessage;
pub use request::{SendMessagesRequest, SendOutput, SendRequest};
pub use strategy::Strategy;
