//! Tests the large-payload layer on real servers and stores.

mod auth;
pub mod crash;
mod faults;
mod leases;
mod peer;
mod pointers;
pub mod resumed_uploads;
mod round_trip;
mod settings;
pub mod store;
pub mod stores;
mod sweep;
pub mod untrusted;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::harness::Harness;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let modules = [
        auth::trials(harness),
        crash::trials(harness),
        faults::trials(harness),
        leases::trials(harness),
        peer::trials(harness),
        pointers::trials(harness),
        resumed_uploads::trials(harness),
        round_trip::trials(harness),
        settings::trials(harness),
        stores::trials(harness),
        sweep::trials(harness),
        untrusted::trials(harness),
    ];
    modules.into_iter().flatten().collect()
}
