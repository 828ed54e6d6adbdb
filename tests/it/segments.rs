//! Payloads in segments, with no store, on every server.

pub mod bounded;
pub mod competing;
mod dead_letters;
mod fifo;
mod forged;
mod one;
mod payloads;
mod repeats;
mod returned;
mod road;
mod strategies;
pub mod untrusted;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::bench::{Bench, Outcome, trial};

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let mut trials = road::trials(bench);
    trials.extend(bounded::trials(bench));
    trials.extend(competing::trials(bench));
    trials.extend(dead_letters::trials(bench));
    trials.extend(fifo::trials(bench));
    trials.extend(one::trials(bench));
    trials.extend(repeats::trials(bench));
    trials.extend(returned::trials(bench));
    trials.extend(strategies::trials(bench));
    trials.extend(untrusted::trials(bench));
    trials
}

/// A test that needs no server of another's.
fn test<F: Future<Output = Outcome> + Send + 'static>(
    bench: &Arc<Bench>,
    name: &str,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    trial(format!("segments::{name}"), bench, |_| Ok(Box::pin(test())))
}
