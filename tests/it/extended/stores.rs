//! Stores other than the S3 of the rest of the suite.

mod ambiguous;
mod credentials;
mod dynamodb;
mod foreign;
mod http;
pub mod memory;
mod multipart;
pub mod scripted;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::bench::Bench;

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let modules = [
        ambiguous::trials(bench),
        credentials::trials(bench),
        dynamodb::trials(bench),
        foreign::trials(bench),
        memory::trials(bench),
        multipart::trials(bench),
    ];
    modules.into_iter().flatten().collect()
}
