//! The endpoint, signature and connection of a request.

pub(crate) mod endpoint;
pub(crate) mod signer;
mod tls;
pub(crate) mod transport;
