//! The integration tests: one binary that owns the servers, so that all tests share them and they stop after the last
//! test.

mod actions;
mod batcher;
mod batches;
mod child;
mod conformance;
mod connections;
mod consumer;
mod credentials;
mod extended;
mod fake_http;
mod faults;
mod harness;
mod local_sdks;
mod roundtrip;
mod segments;
mod telemetry;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;

use crate::harness::Harness;

fn main() -> ExitCode {
    let ordered = child::run_if_ordered()
        .or_else(extended::crash::child::run_if_ordered)
        .or_else(extended::resumed_uploads::run_if_ordered)
        .or_else(extended::untrusted::run_if_ordered);
    if let Some(ended) = ordered {
        return ended.map_or_else(
            |error| {
                eprintln!("child: {error:?}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let _dispatchers = telemetry::idle_dispatchers();
    let arguments = Arguments::from_args();
    let harness = Arc::new(Harness::new());
    let modules = [
        conformance::trials(&harness),
        batcher::trials(&harness),
        actions::trials(&harness),
        batches::trials(&harness),
        connections::trials(&harness),
        credentials::trials(&harness),
        consumer::trials(&harness),
        extended::trials(&harness),
        faults::trials(&harness),
        local_sdks::trials(&harness),
        roundtrip::trials(&harness),
        segments::trials(&harness),
        telemetry::trials(&harness),
    ];
    let conclusion = libtest_mimic::run(&arguments, modules.into_iter().flatten().collect());
    // The servers stop here, before the process ends.
    drop(harness);
    conclusion.exit_code()
}
