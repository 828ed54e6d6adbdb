//! Code that the benchmarks share.

pub mod by_hand;
pub mod child;
pub mod measure;
pub mod null_server;
pub mod shaped_store;
pub mod transfer;
pub mod turns;
