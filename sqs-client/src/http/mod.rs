//! The way of a request to a server: endpoint, signature, connection.

pub(crate) mod endpoint;
pub(crate) mod signer;
mod tls;
pub(crate) mod transport;
