//! Tests stores other than the S3 servers of the rest of the suite.

mod ambiguous;
mod credentials;
mod dynamodb;
mod http;
pub mod killed;
pub mod memory;
mod multipart;
mod other_writers;
pub mod scripted;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::harness::Harness;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let modules = [
        ambiguous::trials(harness),
        credentials::trials(harness),
        dynamodb::trials(harness),
        killed::trials(harness),
        memory::trials(harness),
        multipart::trials(harness),
        other_writers::trials(harness),
    ];
    modules.into_iter().flatten().collect()
}
