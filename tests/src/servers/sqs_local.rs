//! The program `sqs-local` of this workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::Value;

use super::install::run;
use super::process::Process;
use super::server::{Kind, Server};

const SQS_LOCAL: Kind = Kind {
    name: "sqs-local",
    variable: "SQS_TEST_SQS_LOCAL",
    ready: "/health",
    ready_status: 200,
    access_key: "test",
    secret_key: "test",
};

pub(super) fn start() -> Result<Server> {
    if let Some(given) = Server::given(&SQS_LOCAL)? {
        return Ok(given);
    }
    run_program(&program()?, &["--strict"])
}

/// Starts the program as its users do: optimized, and with default settings.
pub(super) fn start_release() -> Result<Server> {
    run_program(&build(&["--release"])?, &[])
}

fn run_program(program: &Path, settings: &[&str]) -> Result<Server> {
    let printed = run(Command::new(program).arg("--version"))?;
    let version = printed.split_whitespace().last().unwrap_or_default().to_owned();
    let process = Process::start(&SQS_LOCAL, |port, _| {
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string()]).args(settings);
        Ok(command)
    })?;
    Ok(Server::started(&SQS_LOCAL, version, process))
}

/// Returns the path of the program.
///
/// `cargo test --workspace` builds it beside this process. Otherwise it is built here, which takes a minute, because Cargo
/// then compiles its dependencies with other features.
fn program() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let beside = this.ancestors().nth(2).context("this process has no folder")?;
    let program = beside.join(format!("sqs-local{}", std::env::consts::EXE_SUFFIX));
    let built = fs::metadata(&program).and_then(|metadata| metadata.modified());
    match built {
        Ok(built) if built >= newest(&package().join("src"))? => Ok(program),
        _ => build(&[]),
    }
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sqs-local")
}

/// Returns the time of the newest file in a folder.
fn newest(folder: &Path) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let time = match entry.file_type()?.is_dir() {
            true => self::newest(&entry.path())?,
            false => entry.metadata()?.modified()?,
        };
        newest = newest.max(time);
    }
    Ok(newest)
}

fn build(settings: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_this_package) {
            command.env_remove(name);
        }
    }
    command
        .current_dir(package())
        .args(["build", "--locked", "--no-default-features", "--features", "cli"])
        .args(["--message-format", "json"])
        .args(settings);
    executable(&run(&mut command)?).context("cargo has built no program sqs-local")
}

/// Returns `true` for a variable that Cargo sets for the tests of a package. ring's build script depends on them, so that
/// Cargo would build it and everything above it again.
fn is_of_this_package(variable: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME"];
    prefixes.iter().any(|prefix| variable.starts_with(prefix)) || variable == "OUT_DIR"
}

/// Finds the program's path in Cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter(|message| {
        let target = &message["target"];
        target["name"] == "sqs-local" && target["kind"] == serde_json::json!(["bin"])
    });
    programs.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_file_of_all_folders_counts() {
        let folder = tempfile::tempdir().unwrap();
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(5_000_000_000);
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert!(newest(folder.path()).unwrap() < later);
        let source = fs::File::create(folder.path().join("src/main.rs")).unwrap();
        source.set_modified(later).unwrap();
        assert_eq!(newest(folder.path()).unwrap(), later);
    }

    #[test]
    fn the_program_is_found_in_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"sqs-local"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"program"},"executable":"/target/debug/deps/program-1"}
not json
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"sqs-local"},"executable":"/target/debug/sqs-local"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/target/debug/sqs-local")));
        assert_eq!(executable("{}"), None);
    }
}
