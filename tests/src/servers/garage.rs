//! Garage, built by Cargo.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::install::{install, on_path, run};
use super::process::Process;
use super::server::{Kind, Server};

const VERSION: &str = "2.5.0";

const GARAGE: Kind = Kind {
    name: "Garage",
    variable: "SQS_TEST_GARAGE",
    // It refuses an unsigned request once it is ready.
    ready: "/",
    ready_status: 403,
    access_key: "GK000000000000000000000001",
    secret_key: "0000000000000000000000000000000000000000000000000000000000000001",
};

pub(super) fn start() -> Result<Server> {
    if let Some(given) = Server::given(&GARAGE)? {
        return Ok(given);
    }
    let program = match on_path("garage") {
        Some(program) => program,
        None => installed().context("SQS_TEST_GARAGE is not set, there is no garage on PATH")?,
    };
    let printed = run(Command::new(&program).arg("--version"))?;
    let version = version(&printed).with_context(|| format!("{} has no version", program.display()))?;
    let process = Process::start(&GARAGE, |port, data| command(&program, port, data))?;
    Ok(Server::started(&GARAGE, version.to_owned(), process))
}

fn installed() -> Result<PathBuf> {
    let folder = install(&format!("garage-{VERSION}"), |folder| {
        let cargo = on_path("cargo").context("there is no cargo on PATH")?;
        // Without optimizations, whose build takes twice as long.
        run(Command::new(cargo)
            .args(["install", "garage", "--version", VERSION, "--locked", "--debug"])
            .args(["--no-default-features", "--features", "bundled-libs,sqlite", "--root"])
            .arg(folder)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env_remove("CARGO_TARGET_DIR"))?;
        Ok(())
    })?;
    Ok(folder
        .join("bin")
        .join(format!("garage{}", std::env::consts::EXE_SUFFIX)))
}

fn command(program: &Path, port: u16, data: &Path) -> Result<Command> {
    let settings = data.join("garage.toml");
    let rpc_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    fs::write(&settings, configuration(data, port, rpc_port))?;
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(settings)
        .args(["server", "--single-node", "--default-access-key"])
        .env("GARAGE_DEFAULT_ACCESS_KEY", GARAGE.access_key)
        .env("GARAGE_DEFAULT_SECRET_KEY", GARAGE.secret_key);
    Ok(command)
}

fn configuration(data: &Path, port: u16, rpc_port: u16) -> String {
    let data = data.display();
    format!(
        r#"metadata_dir = "{data}/meta"
data_dir = "{data}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc_port}"
rpc_public_addr = "127.0.0.1:{rpc_port}"
rpc_secret = "{:064x}"

[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:{port}"
"#,
        1
    )
}

/// Returns the version in `garage v2.5.0 [features: …]` or `garage cargo:2.5.0 …`.
fn version(printed: &str) -> Option<&str> {
    let version = printed.strip_prefix("garage ")?.split_whitespace().next()?;
    Some(version.trim_start_matches("cargo:").trim_start_matches('v'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed() {
        assert_eq!(version("garage cargo:2.5.0 [features: sqlite]\n"), Some("2.5.0"));
        assert_eq!(version("garage v2.5.0\n"), Some("2.5.0"));
        assert_eq!(version("error"), None);
    }
}
