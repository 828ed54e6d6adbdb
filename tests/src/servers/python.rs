//! Python packages, in virtual environments of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::install::{install, on_path, run};

const EXTENDED_CLIENT: &str = "1.0.1";
const BOTO3: &str = "1.44.5";

/// Returns the interpreter of an environment with AWS's extended client.
pub(super) fn extended_client() -> Result<PathBuf> {
    let packages = [
        format!("amazon-sqs-extended-client=={EXTENDED_CLIENT}"),
        format!("boto3=={BOTO3}"),
    ];
    let python = venv(&format!("python-extended-client-{EXTENDED_CLIENT}"), &packages)?;
    run(Command::new(&python).args(["-c", "import boto3, sqs_extended_client"]))?;
    Ok(python)
}

/// Returns the interpreter of the environment `name`, and makes the environment with `packages` if it is missing.
///
/// The environment is moved after it was made, which breaks its scripts. Run only modules (`python -m`).
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
