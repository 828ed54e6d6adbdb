//! The cases that every kind of store passes, on real servers.

mod objects;
mod payloads;
mod place;
mod sweeps;

use std::sync::Arc;

use libtest_mimic::Trial;
use sqs_client::Client;

use self::place::{Kind, Place};
use crate::harness::{Backend, Harness, Outcome, name_of};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in Kind::all() {
        let modules = [
            objects::trials(harness, kind),
            payloads::trials(harness, kind),
            sweeps::trials(harness, kind),
        ];
        trials.extend(modules.into_iter().flatten());
    }
    trials
}

/// Returns a test of this kind of store. Its name ends in the store's.
fn test<F, T>(harness: &Arc<Harness>, kind: Kind, test: F) -> Trial
where
    F: FnOnce(Place) -> T + Send + 'static,
    T: Future<Output = Outcome> + Send + 'static,
{
    harness.trial(format!("{}::{}", name_of(&test), kind.name()), move |harness| {
        Ok(Box::pin(test(Place::new(harness, kind)?)))
    })
}

/// Returns a test of this kind of store with sqs-local as the queue.
fn queue_test<F, T>(harness: &Arc<Harness>, kind: Kind, test: F) -> Trial
where
    F: FnOnce(Place, Client) -> T + Send + 'static,
    T: Future<Output = Outcome> + Send + 'static,
{
    harness.trial(format!("{}::{}", name_of(&test), kind.name()), move |harness| {
        let client = harness.client_for(Backend::Local)?.build().expect("a client");
        Ok(Box::pin(test(Place::new(harness, kind)?, client)))
    })
}
