//! Stores other than the S3 of the rest of the suite.

mod ambiguous;
mod credentials;
mod dynamodb;
mod http;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::bench::Bench;

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let modules = [ambiguous::trials(bench), credentials::trials(bench), dynamodb::trials(bench)];
    modules.into_iter().flatten().collect()
}
