//! MinIO, built by Go from its last public commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::go;
use super::install::{install, on_path, run};
use super::process::Process;
use super::server::{Kind, Server};

/// The last commit of the archived project. Its last release is not a Go module version.
const VERSION: &str = "v0.0.0-20260212201848-7aac2a2c5b7c";

/// The version that the binary reports. Without it, all builds by `go install` report the same.
const TAG: &str = "DEVELOPMENT.2026-02-12T20-18-48Z";

const MINIO: Kind = Kind {
    name: "MinIO",
    variable: "SQS_TEST_MINIO",
    // MinIO reports that it is "live" and "ready" before it accepts requests.
    ready: "/minio/health/cluster",
    ready_status: 200,
    access_key: "minioadmin",
    secret_key: "minioadmin",
};

pub(super) fn start() -> Result<Server> {
    if let Some(given) = Server::given(&MINIO)? {
        return Ok(given);
    }
    let program = match on_path("minio") {
        Some(program) => program,
        None => installed().context("SQS_TEST_MINIO is not set, there is no minio on PATH")?,
    };
    let printed = run(Command::new(&program).arg("--version"))?;
    let version = version(&printed).with_context(|| format!("{} has no version", program.display()))?;
    let process = Process::start(&MINIO, |port, data| Ok(command(&program, port, data)))?;
    Ok(Server::started(&MINIO, version.to_owned(), process))
}

fn command(program: &Path, port: u16, data: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["server", "--address", &format!("127.0.0.1:{port}")])
        // The user's own certificates would enable TLS.
        .arg("--certs-dir")
        .arg(data.join("certs"))
        .arg(data.join("drive"))
        .env("MINIO_ROOT_USER", MINIO.access_key)
        .env("MINIO_ROOT_PASSWORD", MINIO.secret_key)
        .env("MINIO_BROWSER", "off")
        .env("MINIO_UPDATE", "off");
    command
}

fn installed() -> Result<PathBuf> {
    let folder = install(&format!("minio-{VERSION}"), |folder| {
        let flags =
            format!("-s -w -X github.com/minio/minio/cmd.ReleaseTag={TAG} -X github.com/minio/minio/cmd.Version={TAG}");
        let module = format!("github.com/minio/minio@{VERSION}");
        run(Command::new(go::program()?)
            .args(["install", "-ldflags", &flags, &module])
            .env("GOBIN", folder))?;
        Ok(())
    })?;
    Ok(folder.join(format!("minio{}", std::env::consts::EXE_SUFFIX)))
}

/// Returns the version in `minio version RELEASE.2025-… (commit-id=…)`.
fn version(printed: &str) -> Option<&str> {
    printed.split_once(" version ")?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed() {
        let printed = "minio version RELEASE.2025-10-15T17-29-55Z (commit-id=9e49d5e)\nRuntime: go1.24.8 linux/amd64\n";
        assert_eq!(version(printed), Some("RELEASE.2025-10-15T17-29-55Z"));
        assert_eq!(version("minio"), None);
    }
}
