//! Stores: by URL, what reaches those over HTTP, and one of our own.

#[cfg(feature = "_http")]
mod connector;
mod open;

#[cfg(feature = "_http")]
pub use connector::StoreConnector;
pub(crate) use open::OpenedStore;
