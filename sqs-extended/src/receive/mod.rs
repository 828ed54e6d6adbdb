//! Receiving: requests, deliveries, and what a delivery claims until it is settled.

pub(crate) mod assembled;
pub(crate) mod body;
pub(crate) mod claim;
pub(crate) mod claimed_segments;
pub(crate) mod delivery;
pub(crate) mod download;
pub(crate) mod lease;
pub(crate) mod missing;
pub(crate) mod missing_policy;
mod open;
pub(crate) mod outcome;
pub(crate) mod rejected;
pub(crate) mod request;
pub(crate) mod segment_bytes;

pub use delivery::ExtendedDelivery;
pub use missing_policy::MissingPayload;
pub use outcome::{PayloadOutcome, RetainReason};
pub use rejected::Rejected;
pub use request::ReceiveRequest;
