//! The program `sqs-local`: Amazon SQS on a local port, until it is stopped.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::Runtime;

use crate::cli::{Arguments, announcement, logging, serving};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sqs-local: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    logging::start(&arguments.log);
    let runtime = Runtime::new().map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(async {
        // Before the announcement, because a signal may follow it at once.
        let stop = serving::stop_signal()?;
        let server = serving::start(arguments).await?;
        announcement::print(arguments, &server)?;
        stop.await;
        Ok(())
    })
}
