//! Receive requests, deliveries, and the settings and outcomes of a delivery.

pub(crate) mod assembled;
mod body;
pub(crate) mod claim;
pub(crate) mod claimed_segments;
pub(crate) mod delivery;
mod download;
pub(crate) mod lease;
pub(crate) mod lease_requests;
mod missing;
pub(crate) mod missing_policy;
mod open;
pub(crate) mod outcome;
mod rejected;
pub(crate) mod request;
pub(crate) mod segment_bytes;

pub use delivery::{DownloadRequest, ExtendedDelivery};
pub use missing_policy::MissingPayload;
pub use outcome::{PayloadOutcome, RetainReason};
pub use rejected::Rejected;
pub use request::ReceiveRequest;
