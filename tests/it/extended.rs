//! The large-payload layer on real servers and real stores.

mod auth;
pub mod crash;
mod faults;
pub mod hostile;
mod leases;
mod peer;
mod pointers;
mod road;
mod settings;
pub mod store;
pub mod stores;
mod sweep;

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::bench::Bench;

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let modules = [
        auth::trials(bench),
        crash::trials(bench),
        faults::trials(bench),
        hostile::trials(bench),
        leases::trials(bench),
        peer::trials(bench),
        pointers::trials(bench),
        road::trials(bench),
        settings::trials(bench),
        stores::trials(bench),
        sweep::trials(bench),
    ];
    modules.into_iter().flatten().collect()
}
