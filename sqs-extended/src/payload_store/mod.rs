//! Stores, fetches and removes payloads. It knows no queue.

mod builder;
mod deletion;
mod fetch;
pub(crate) mod location;
mod removal;
mod reserved_key;
mod store;

pub use builder::PayloadStoreBuilder;
pub use deletion::Deletion;
pub(crate) use fetch::{Fetched, Located};
pub(crate) use removal::Removed;
pub(crate) use reserved_key::{StoredPayload, UploadOptions};
pub use store::PayloadStore;
pub(crate) use store::{NewId, unguessable_id};
