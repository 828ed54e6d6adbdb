//! The program `sqs-local`, built by Cargo from this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::install::run;
use super::process::Process;
use super::server::{Kind, Server};

const SQS_LOCAL: Kind = Kind {
    name: "sqs-local",
    variable: "SQS_TEST_SQS_LOCAL",
    // It refuses an unsigned request once it is ready.
    ready: "/?Action=ListQueues",
    ready_status: 403,
    access_key: "test",
    secret_key: "test",
};

pub(super) fn start() -> Result<Server> {
    if let Some(given) = Server::given(&SQS_LOCAL)? {
        return Ok(given);
    }
    let program = built()?;
    let printed = run(Command::new(&program).arg("--version"))?;
    let version = printed.split_whitespace().last().unwrap_or_default().to_owned();
    let process = Process::start(&SQS_LOCAL, |port, _| {
        let mut command = Command::new(&program);
        command.args(["--strict", "--port", &port.to_string()]);
        Ok(command)
    })?;
    Ok(Server::started(&SQS_LOCAL, version, process))
}

/// Builds the program, and returns its path.
///
/// Cargo builds a program along with the integration tests of its package. So this is what `cargo test --workspace` has
/// built already: `cargo build` would build the dependencies again, because it unifies other features.
fn built() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_this_package) {
            command.env_remove(name);
        }
    }
    let printed = run(command.current_dir(workspace).args([
        "test",
        "--workspace",
        "--locked",
        "--no-run",
        "--test",
        "program",
        "--message-format",
        "json",
    ]))?;
    executable(&printed).context("cargo has built no program sqs-local")
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
