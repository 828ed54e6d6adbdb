//! Installs programs below `target/servers`: once, completely or not at all, and by one process at a time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Returns the folder of an installation, and makes it with `build` if it is missing.
///
/// `build` fills a temporary folder, which is renamed to `target/servers/<name>` if it succeeds. So its files must not
/// depend on the folder's name.
pub(super) fn install(name: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    install_in(&root(), name, build)
}

fn install_in(root: &Path, name: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let installed = root.join(name);
    if installed.is_dir() {
        return Ok(installed);
    }
    fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
    let lock = File::create(root.join(format!("{name}.lock")))?;
    lock.lock()?;
    // Another process may have installed it while this one waited for the lock.
    if installed.is_dir() {
        return Ok(installed);
    }
    eprintln!(
        "server: installing {name} in {} (once; this takes a while)",
        root.display()
    );
    let partial = root.join(format!("{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir(&partial)?;
    build(&partial).with_context(|| format!("installing {name} in {} failed", root.display()))?;
    fs::rename(&partial, &installed)?;
    Ok(installed)
}

/// Returns the folder `servers` in the workspace's target folder.
fn root() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    workspace.join(target).join("servers")
}

/// Finds a program on `PATH`.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(&file))
        .find(|candidate| candidate.is_file())
}

/// Runs a command and returns its output. An error has the end of the output.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let line = format!("{} {}", command.get_program().display(), arguments.join(" "));
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{line}`"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let printed = if stderr.trim().is_empty() { &stdout } else { &stderr };
    ensure!(
        output.status.success(),
        "`{line}` failed ({}):\n{}",
        output.status,
        tail(printed, 20)
    );
    Ok(stdout.into_owned())
}

/// Returns the last `lines` lines.
pub(super) fn tail(text: &str, lines: usize) -> &str {
    let text = text.trim_end();
    let start = text
        .rmatch_indices('\n')
        .nth(lines.saturating_sub(1))
        .map_or(0, |(newline, _)| newline + 1);
    text.get(start..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn an_installation_is_made_once_and_only_completely() {
        let root = tempfile::tempdir().unwrap();
        let failed = install_in(root.path(), "x-1", |folder| {
            fs::write(folder.join("half"), "")?;
            bail!("no network")
        });
        assert!(format!("{:#}", failed.unwrap_err()).contains("no network"));
        assert!(!root.path().join("x-1").exists());

        let installed = install_in(root.path(), "x-1", |folder| Ok(fs::write(folder.join("whole"), "")?)).unwrap();
        assert!(installed.join("whole").exists() && !installed.join("half").exists());
        install_in(root.path(), "x-1", |_| bail!("installed already")).unwrap();
    }

    #[test]
    fn a_tail_has_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\nb\nc\n", 9), "a\nb\nc");
        assert_eq!(tail("", 2), "");
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_command_is_reported_with_its_output() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("sh -c") && error.contains("why") && error.contains('3'),
            "{error}"
        );
        assert_eq!(run(Command::new("sh").args(["-c", "echo out"])).unwrap(), "out\n");
        assert!(run(&mut Command::new("no-such-program")).is_err());
    }
}
