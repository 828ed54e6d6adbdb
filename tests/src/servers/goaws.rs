//! GoAws, built by Go.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::go;
use super::install::{install, on_path, run};
use super::process::Process;
use super::server::{Kind, Server};

const VERSION: &str = "v0.5.4";

const GOAWS: Kind = Kind {
    name: "GoAws",
    variable: "SQS_TEST_GOAWS",
    ready: "/health",
    ready_status: 200,
    access_key: "test",
    secret_key: "test",
};

pub(super) fn start() -> Result<Server> {
    if let Some(given) = Server::given(&GOAWS)? {
        return Ok(given);
    }
    let program = match on_path("goaws") {
        Some(program) => program,
        None => installed().context("SQS_TEST_GOAWS is not set, there is no goaws on PATH")?,
    };
    let process = Process::start(&GOAWS, |port, data| {
        let settings = data.join("goaws.yaml");
        fs::write(&settings, configuration(port))?;
        let mut command = Command::new(&program);
        command.arg("-config").arg(settings).arg("Local");
        Ok(command)
    })?;
    Ok(Server::started(&GOAWS, VERSION.to_owned(), process))
}

fn configuration(port: u16) -> String {
    format!(
        r#"Local:
  Host: 127.0.0.1
  Port: {port}
  Region: us-east-1
  AccountId: "000000000000"
  QueueAttributeDefaults:
    VisibilityTimeout: 30
"#
    )
}

fn installed() -> Result<PathBuf> {
    let folder = install(&format!("goaws-{VERSION}"), |folder| {
        let module = format!("github.com/Admiral-Piett/goaws/app/cmd@{VERSION}");
        run(Command::new(go::program()?)
            .args(["install", &module])
            .env("GOBIN", folder))?;
        Ok(())
    })?;
    Ok(folder.join(format!("cmd{}", std::env::consts::EXE_SUFFIX)))
}
