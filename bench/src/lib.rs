//! What the benchmarks share.

pub mod figures;
pub mod null_server;
pub mod transfer;
