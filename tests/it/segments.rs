//! Payloads in segments, with no store, on every server.

mod road;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::bench::Bench;

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    road::trials(bench)
}
