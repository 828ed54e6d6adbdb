//! ElasticMQ, installed by Maven.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::install::on_path;
use super::java;
use super::process::Process;
use super::server::{Kind, Server};

const VERSION: &str = "1.7.1";

/// The last available version that has only the Query protocol.
const QUERY_ONLY_VERSION: &str = "1.3.9";

/// The last version that limits a batch to 262,144 bytes.
const SMALL_BATCHES_VERSION: &str = "1.6.1";

const ELASTICMQ: Kind = Kind {
    name: "ElasticMQ",
    variable: "SQS_TEST_ELASTICMQ",
    ready: "/?Action=ListQueues",
    ready_status: 200,
    access_key: "test",
    secret_key: "test",
};

pub(super) fn start() -> Result<Server> {
    if let Some(given) = Server::given(&ELASTICMQ)? {
        return Ok(given);
    }
    start_here(VERSION).context("SQS_TEST_ELASTICMQ is not set")
}

pub(super) fn start_query_only() -> Result<Server> {
    start_here(QUERY_ONLY_VERSION)
}

pub(super) fn start_small_batches() -> Result<Server> {
    start_here(SMALL_BATCHES_VERSION)
}

fn start_here(version: &str) -> Result<Server> {
    let java = on_path("java").context("there is no java on PATH")?;
    let jars = java::jars("elasticmq", ("org.elasticmq", "elasticmq-server_2.13", version))?;
    let process = Process::start(&ELASTICMQ, |port, data| {
        let settings = data.join("elasticmq.conf");
        fs::write(&settings, configuration(port))?;
        Ok(command(&java, &jars, &settings))
    })?;
    let log = process.log();
    let version = version_in(&log).context("ElasticMQ's log has no version")?.to_owned();
    Ok(Server::started(&ELASTICMQ, version, process))
}

fn command(java: &Path, jars: &Path, settings: &Path) -> Command {
    let mut option = std::ffi::OsString::from("-Dconfig.file=");
    option.push(settings);
    let mut command = Command::new(java);
    // Messages of tests reach 1 MiB, but queues have few of them.
    command.args(["-Xmx512m", "-XX:+UseSerialGC"]).arg(option);
    command.arg("-cp").arg(jars.join("*")).arg("org.elasticmq.server.Main");
    command
}

/// Returns a configuration with AWS's limits. Queue URLs start with `node-address`.
fn configuration(port: u16) -> String {
    format!(
        r#"include classpath("application.conf")
node-address {{ host = "127.0.0.1", port = {port} }}
rest-sqs {{ bind-hostname = "127.0.0.1", bind-port = {port}, sqs-limits = strict }}
aws.region = "us-east-1"
"#
    )
}

/// Returns the version in `… Starting ElasticMQ server (1.7.1) ...`.
fn version_in(log: &str) -> Option<&str> {
    Some(log.split_once("ElasticMQ server (")?.1.split_once(')')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_parsed_from_the_log() {
        assert_eq!(
            version_in("12:00 INFO Main$ - Starting ElasticMQ server (1.7.1) ...\n"),
            Some("1.7.1")
        );
        assert_eq!(version_in("Error: Could not find or load main class"), None);
    }
}
