//! npm packages, each set in a folder of its own.

use std::process::Command;

use anyhow::{Context, Result};

use super::NodePackages;
use super::install::{install, on_path, run};

/// Returns the folder `name` with these packages (`package@version`), and makes it if it is missing.
pub(super) fn packages(name: &str, packages: &[String]) -> Result<NodePackages> {
    let missing = |program| format!("there is no {program} on PATH; install Node.js 20 or newer with npm");
    let node = on_path("node").with_context(|| missing("node"))?;
    let folder = install(name, |folder| {
        let npm = on_path("npm").with_context(|| missing("npm"))?;
        run(Command::new(npm)
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--omit=dev",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(folder)
            .args(packages))?;
        Ok(())
    })?;
    Ok(NodePackages { node, folder })
}
