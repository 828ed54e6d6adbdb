//! ElasticMQ, with its dependencies copied by Maven.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::install::{install, on_path, run};
use super::process::Process;
use super::server::{Kind, Server};

const VERSION: &str = "1.7.1";

/// The last version to be had that speaks the Query protocol only.
const QUERY_ONLY_VERSION: &str = "1.3.9";

const ELASTICMQ: Kind = Kind {
    name: "ElasticMQ",
    variable: "SQS_TEST_ELASTICMQ",
    ready: "/?Action=ListQueues",
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

fn start_here(version: &str) -> Result<Server> {
    let java = on_path("java").context("there is no java on PATH")?;
    let jars = installed(version)?;
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
    // Tests' messages reach 1 MiB, and not many are held.
    command.args(["-Xmx512m", "-XX:+UseSerialGC"]).arg(option);
    command.arg("-cp").arg(jars.join("*")).arg("org.elasticmq.server.Main");
    command
}

/// `node-address` is what queue URLs start with. Limits are AWS's.
fn configuration(port: u16) -> String {
    format!(
        r#"include classpath("application.conf")
node-address {{ host = "127.0.0.1", port = {port} }}
rest-sqs {{ bind-hostname = "127.0.0.1", bind-port = {port}, sqs-limits = strict }}
aws.region = "us-east-1"
"#
    )
}

fn installed(version: &str) -> Result<PathBuf> {
    let folder = install(&format!("elasticmq-{version}"), |folder| {
        let maven = on_path("mvn").context("there is no mvn on PATH")?;
        fs::write(folder.join("pom.xml"), project(version))?;
        let goal = "dependency:copy-dependencies";
        run(Command::new(maven).current_dir(folder).args([
            "--batch-mode",
            "--quiet",
            goal,
            "-DincludeScope=runtime",
            "-DoutputDirectory=jars",
        ]))?;
        Ok(())
    })?;
    Ok(folder.join("jars"))
}

/// A Maven project that is nothing but its dependency.
fn project(version: &str) -> String {
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sqs-tests</groupId>
  <artifactId>elasticmq</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.elasticmq</groupId>
      <artifactId>elasticmq-server_2.13</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"#
    )
}

/// The version in `… Starting ElasticMQ server (1.7.1) ...`.
fn version_in(log: &str) -> Option<&str> {
    Some(log.split_once("ElasticMQ server (")?.1.split_once(')')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_log() {
        assert_eq!(
            version_in("12:00 INFO Main$ - Starting ElasticMQ server (1.7.1) ...\n"),
            Some("1.7.1")
        );
        assert_eq!(version_in("Error: Could not find or load main class"), None);
    }
}
