//! Python packages, in virtual environments of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::install::{install, on_path, run};

const EXTENDED_CLIENT: &str = "1.0.1";
const BOTO3: &str = "1.44.5";
/// One of the last versions that use the Query protocol. botocore chooses the protocol, and boto3 accepts newer ones.
const BOTO3_OF_QUERY: &str = "1.28.57";
const BOTOCORE_OF_QUERY: &str = "1.31.57";

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

/// Returns the interpreter of an environment with a boto3 that uses the Query protocol.
pub(super) fn boto3_of_query() -> Result<PathBuf> {
    const PROTOCOL: &str =
        "import boto3; print(boto3.client('sqs', 'us-east-1').meta.service_model.metadata['protocol'])";
    let packages = [
        format!("boto3=={BOTO3_OF_QUERY}"),
        format!("botocore=={BOTOCORE_OF_QUERY}"),
    ];
    let python = venv(&format!("boto3-{BOTO3_OF_QUERY}"), &packages)?;
    let protocol = run(Command::new(&python).args(["-c", PROTOCOL]))?;
    ensure!(
        protocol.trim() == "query",
        "boto3 {BOTO3_OF_QUERY} uses the protocol {protocol}"
    );
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
