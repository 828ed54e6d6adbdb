//! Tests every kind of store, and stores that behave in unusual ways.

mod ambiguous;
mod contract;
mod credentials;
mod dynamodb;
mod google;
mod http;
pub mod killed;
pub mod memory;
mod multipart;
mod other_writers;
pub mod s3s;
pub mod scripted;
mod unsweepable;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::harness::Harness;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let modules = [
        ambiguous::trials(harness),
        contract::trials(harness),
        credentials::trials(harness),
        dynamodb::trials(harness),
        google::trials(harness),
        killed::trials(harness),
        memory::trials(harness),
        multipart::trials(harness),
        other_writers::trials(harness),
        unsweepable::trials(harness),
    ];
    modules.into_iter().flatten().collect()
}
