//! The program `sqs-local` with AWS's SDKs and with sqs-consumer: their users can use it instead of SQS.

mod rust;

use std::sync::Arc;

use anyhow::ensure;
use libtest_mimic::Trial;
use sqs_tests::sdks::{CHECKS, CONSUMER_CHECKS, Program};
use sqs_tests::servers::{Servers, Unavailable};

use crate::harness::{Harness, Outcome};

/// Finds a program that runs the checks of an SDK.
type FindProgram = fn(&Servers) -> Result<Program, Unavailable>;

/// The tests: name, the program, and the checks that it must make.
const CASES: [(&str, FindProgram, &[&str]); 5] = [
    ("boto3", boto3, &CHECKS),
    ("boto3_of_the_query_protocol", boto3_of_query, &CHECKS),
    ("javascript", javascript, &CHECKS),
    ("sqs_consumer", sqs_consumer, &CONSUMER_CHECKS),
    ("go", go, &CHECKS),
];

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let programs = CASES.map(|(name, program, checks)| {
        harness.trial(format!("local_sdks::{name}"), move |harness| {
            let program = program(&harness.servers)?;
            let server = harness.servers.sqs_local().map_err(Clone::clone)?;
            let running = program.run_against(server);
            Ok(Box::pin(async move { all_made(&running.await?, checks) }))
        })
    });
    let rust = harness.trial("local_sdks::rust", |harness| {
        let server = harness.servers.sqs_local().map_err(Clone::clone)?;
        let running = rust::run_against(server);
        Ok(Box::pin(async move { all_made(&running.await?, &CHECKS) }))
    });
    programs.into_iter().chain([rust]).collect()
}

fn all_made(made: &[String], checks: &[&str]) -> Outcome {
    ensure!(
        made == checks,
        "the program made only the checks {made:?} of {checks:?}"
    );
    Ok(())
}

fn boto3(servers: &Servers) -> Result<Program, Unavailable> {
    let python = servers.python_extended_client().map_err(Clone::clone)?;
    Ok(Program::python(python))
}

fn boto3_of_query(servers: &Servers) -> Result<Program, Unavailable> {
    let python = servers.python_of_query().map_err(Clone::clone)?;
    Ok(Program::python(python))
}

fn javascript(servers: &Servers) -> Result<Program, Unavailable> {
    let packages = servers.javascript().map_err(Clone::clone)?;
    Ok(Program::javascript(packages).expect("the program"))
}

fn sqs_consumer(servers: &Servers) -> Result<Program, Unavailable> {
    let packages = servers.javascript().map_err(Clone::clone)?;
    Ok(Program::sqs_consumer(packages).expect("the program"))
}

fn go(servers: &Servers) -> Result<Program, Unavailable> {
    let go = servers.go().map_err(Clone::clone)?;
    Ok(Program::go(go).expect("the program compiles"))
}
