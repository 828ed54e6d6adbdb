//! Python packages, each set of them in a virtual environment of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::install::{install, on_path, run};

const EXTENDED_CLIENT: &str = "1.0.1";
const BOTO3: &str = "1.44.5";

/// The interpreter of an environment that has AWS's extended client.
pub(super) fn extended_client() -> Result<PathBuf> {
    let packages = [
        format!("amazon-sqs-extended-client=={EXTENDED_CLIENT}"),
        format!("boto3=={BOTO3}"),
    ];
    let python = venv(&format!("python-extended-client-{EXTENDED_CLIENT}"), &packages)?;
    run(Command::new(&python).args(["-c", "import boto3, sqs_extended_client"]))?;
    Ok(python)
}

/// The interpreter of the environment `name`, made with `packages` where there is none yet.
///
/// The environment is moved after it is made, which breaks the scripts in it: run modules (`python -m`) only.
pub(super) fn venv(name: &str, packages: &[String]) -> Result<PathBuf> {
    let installed = install(name, |folder| {
        let python = on_path("python3")
            .or_else(|| on_path("python"))
            .context("there is no python3 on PATH")?;
        run(Command::new(python).args(["-m", "venv"]).arg(folder))?;
        run(Command::new(interpreter(folder))
            .args(["-m", "pip", "install", "--quiet"])
            .args(packages))?;
        Ok(())
    })?;
    Ok(interpreter(&installed))
}

fn interpreter(venv: &Path) -> PathBuf {
    venv.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    })
}
