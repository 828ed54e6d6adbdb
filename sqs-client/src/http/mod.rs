//! The endpoint, signature and connection of a request.

pub(crate) mod endpoint;
pub(crate) mod reqwest_service;
pub(crate) mod service;
pub(crate) mod signer;
mod tls;
pub(crate) mod transport;
