//! Stores other than the S3 of the rest of the suite.

mod credentials;
mod dynamodb;
mod http;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::bench::Bench;

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let mut trials = dynamodb::trials(bench);
    trials.extend(credentials::trials(bench));
    trials
}
