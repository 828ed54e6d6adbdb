//! Receiving: requests, deliveries, and what a delivery claims until it is settled.

pub(crate) mod assembled;
pub(crate) mod body;
pub(crate) mod claim;
pub(crate) mod delivery;
pub(crate) mod download;
pub(crate) mod lease;
pub(crate) mod missing;
pub(crate) mod outcome;
pub(crate) mod request;
pub(crate) mod segment_bytes;

pub use delivery::ExtendedDelivery;
pub use missing::MissingPayload;
pub use outcome::{PayloadOutcome, RetainReason};
pub use request::{ReceiveRequest, Rejected};
