//! The integration tests: one binary that owns the servers, so that they are shared by all tests and stopped after
//! the last.

mod actions;
mod batcher;
mod batches;
mod bench;
mod child;
mod conformance;
mod connections;
mod consumer;
mod credentials;
mod extended;
mod fake_http;
mod faults;
mod roundtrip;
mod segments;
mod telemetry;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;

use crate::bench::Bench;

fn main() -> ExitCode {
    let ordered = child::run_if_ordered()
        .or_else(extended::crash::child::run_if_ordered)
        .or_else(extended::hostile::run_if_ordered);
    if let Some(ended) = ordered {
        return ended.map_or_else(
            |error| {
                eprintln!("child: {error:?}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let _dispatchers = telemetry::dispatchers_beside_the_observers();
    let arguments = Arguments::from_args();
    let bench = Arc::new(Bench::new());
    let mut trials = conformance::trials(&bench);
    trials.extend(batcher::trials(&bench));
    trials.extend(actions::trials(&bench));
    trials.extend(batches::trials(&bench));
    trials.extend(connections::trials(&bench));
    trials.extend(credentials::trials(&bench));
    trials.extend(consumer::trials(&bench));
    trials.extend(extended::trials(&bench));
    trials.extend(faults::trials(&bench));
    trials.extend(roundtrip::trials(&bench));
    trials.extend(segments::trials(&bench));
    trials.extend(telemetry::trials(&bench));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The servers stop here, before the process ends.
    drop(bench);
    conclusion.exit_code()
}
