//! Tests payloads in segments, without a store, on every server.

pub mod bounded;
pub mod competing;
mod dead_letters;
mod fifo;
mod forged;
mod payloads;
mod repeats;
mod returned;
mod round_trip;
mod single_consumer;
mod strategies;
pub mod untrusted;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::harness::Harness;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let modules = [
        bounded::trials(harness),
        competing::trials(harness),
        dead_letters::trials(harness),
        fifo::trials(harness),
        repeats::trials(harness),
        returned::trials(harness),
        round_trip::trials(harness),
        single_consumer::trials(harness),
        strategies::trials(harness),
        untrusted::trials(harness),
    ];
    modules.into_iter().flatten().collect()
}
