//! Child processes: a benchmark starts itself again as a server or as one contender, so that each has a process of its
//! own.

use std::io::Read as _;
use std::process::Stdio;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Returns a command that starts this program again.
///
/// # Errors
///
/// Returns an error if the program's own path is unknown.
pub fn command() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this program's path")?);
    command.kill_on_drop(true);
    Ok(command)
}

/// Starts a server as a child, and returns its handle and the address that it [announces](announce). Dropping the handle
/// stops the server.
///
/// # Errors
///
/// Returns an error if the child cannot be started or ends without announcing an address.
pub async fn serve(mut command: Command) -> anyhow::Result<(Child, String)> {
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let stdout = server.stdout.take().context("the server's output is not piped")?;
    let address = BufReader::new(stdout).lines().next_line().await?;
    Ok((
        server,
        address.context("the server ended without announcing its address")?,
    ))
}

/// Prints a server's address for [`serve`], and ends this process when the parent's does.
pub fn announce(address: &str) {
    println!("{address}");
    std::thread::spawn(|| {
        // The parent writes nothing. This returns when the pipe closes, even if the parent was killed.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

/// Runs a measurement as a child to its end, and returns the result that it [reports](report).
///
/// # Errors
///
/// Returns an error if the child cannot be started, fails, or reports something else.
pub async fn run<R: DeserializeOwned>(mut command: Command) -> anyhow::Result<R> {
    // `output` captures the standard error as well, whatever the command says.
    let output = command.output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{} failed ({}): {}",
        command.as_std().get_program().display(),
        output.status,
        errors.trim_end()
    );
    eprint!("{errors}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Prints a measurement's result for [`run`].
///
/// # Errors
///
/// Returns an error if the result cannot be written as JSON.
pub fn report(result: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}
