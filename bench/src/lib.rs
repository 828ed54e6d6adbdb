//! What the benchmarks share.

pub mod by_hand;
pub mod figures;
pub mod null_server;
pub mod transfer;
pub mod turns;
