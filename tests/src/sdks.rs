//! Programs that check an SQS server with AWS's SDKs of other languages, and with sqs-consumer. They are in the folder `sdks`.
//!
//! A program reads the server's address and keys from the variables that every SDK knows, as a user's program would. It
//! prints the line `ok NAME` after each check, and fails at the first one that does not hold.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::servers::{NodePackages, Server, install};

/// The checks of every SDK, in their order.
pub const CHECKS: [&str; 15] = [
    "send-and-receive",
    "batches",
    "fifo-groups",
    "fifo-deduplication",
    "visibility",
    "long-poll",
    "dead-letters",
    "redrive",
    "purge",
    "tags",
    "attributes",
    "list-pages",
    "missing-queue",
    "refused-batches",
    "bad-receipt-handle",
];

/// The checks of [`Program::sqs_consumer`], in their order.
pub const CONSUMER_CHECKS: [&str; 4] = [
    "each-message-is-handled-once",
    "a-batch-handler-acknowledges-what-it-returns",
    "a-failing-handler-leads-to-a-dead-letter",
    "a-heartbeat-hides-a-slow-message",
];

/// The maximum time of a program, which takes a few seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A program that checks a server.
///
/// ```no_run
/// use sqs_tests::sdks::{CHECKS, Program};
/// use sqs_tests::servers::Servers;
///
/// # #[tokio::main]
/// # async fn main() -> anyhow::Result<()> {
/// let servers = Servers::new();
/// let python = servers.python_extended_client().map_err(Clone::clone)?;
/// let server = servers.sqs_local().map_err(Clone::clone)?;
/// assert_eq!(Program::python(python).run_against(server).await?, CHECKS);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Program {
    command: Command,
    /// The folder of a compiled program.
    folder: Option<TempDir>,
}

impl Program {
    /// Returns the program for boto3 of an interpreter.
    pub fn python(interpreter: &Path) -> Self {
        let mut command = Command::new(interpreter);
        command.arg(folder().join("checks.py")).stdin(Stdio::null());
        Self { command, folder: None }
    }

    /// Returns the program for AWS's SDK for JavaScript.
    ///
    /// # Errors
    ///
    /// Returns an error if its file cannot be read.
    pub fn javascript(packages: &NodePackages) -> Result<Self> {
        Self::node(packages, "checks.mjs")
    }

    /// Returns the program for the library sqs-consumer.
    ///
    /// # Errors
    ///
    /// Returns an error if its file cannot be read.
    pub fn sqs_consumer(packages: &NodePackages) -> Result<Self> {
        Self::node(packages, "consumer.mjs")
    }

    /// Node looks for packages beside a file, or in the working folder for a program on its standard input.
    fn node(packages: &NodePackages, file: &str) -> Result<Self> {
        let mut command = Command::new(&packages.node);
        command
            .arg("--input-type=module")
            .current_dir(&packages.folder)
            // It prints that the SDK's next releases need a newer Node.
            .env("NODE_NO_WARNINGS", "1")
            .stdin(File::open(folder().join(file))?);
        Ok(Self { command, folder: None })
    }

    /// Builds the program for AWS's SDK for Go.
    ///
    /// # Errors
    ///
    /// Returns the compiler's error.
    pub fn go(go: &Path) -> Result<Self> {
        let target = tempfile::tempdir()?;
        let program = target.path().join(format!("checks{}", std::env::consts::EXE_SUFFIX));
        // Git may refuse to read the version of a repository that another user owns.
        install::run(
            std::process::Command::new(go)
                .current_dir(folder().join("go"))
                .args(["build", "-buildvcs=false", "-o"])
                .arg(&program),
        )?;
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Ok(Self {
            command,
            folder: Some(target),
        })
    }

    /// Runs the program against a server. The future returns the names of the checks that held.
    ///
    /// # Errors
    ///
    /// The future returns an error with the program's output if it fails or takes longer than 2 minutes.
    pub fn run_against(mut self, server: &Server) -> impl Future<Output = Result<Vec<String>>> + Send + 'static {
        let nothing = folder().join("no-such-file");
        self.command
            .env("AWS_ENDPOINT_URL_SQS", server.endpoint())
            .env("AWS_ACCESS_KEY_ID", server.access_key())
            .env("AWS_SECRET_ACCESS_KEY", server.secret_key())
            .env("AWS_REGION", server.region())
            .env("AWS_DEFAULT_REGION", server.region())
            // The user's own settings must not matter.
            .env("AWS_CONFIG_FILE", &nothing)
            .env("AWS_SHARED_CREDENTIALS_FILE", &nothing)
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .kill_on_drop(true);
        async move {
            let checks = run(&mut self.command).await;
            drop(self.folder);
            checks
        }
    }
}

async fn run(command: &mut Command) -> Result<Vec<String>> {
    let output = tokio::time::timeout(TIMEOUT, command.output())
        .await
        .with_context(|| format!("the program took longer than {TIMEOUT:?}"))??;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    ensure!(status.success(), "the program failed ({status}):\n{printed}{errors}");
    let checks = printed.lines().map(|line| {
        let name = line.strip_prefix("ok ");
        name.map(str::to_owned)
            .with_context(|| format!("the program printed {line:?}"))
    });
    checks.collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sdks")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn shell(script: &str) -> Result<Vec<String>> {
        run(Command::new("sh").args(["-c", script])).await
    }

    #[tokio::test]
    async fn only_the_checks_of_a_program_that_succeeds_count() {
        assert_eq!(shell("echo ok tags; echo ok purge").await.unwrap(), ["tags", "purge"]);
        let failed = shell("echo ok tags; echo why >&2; exit 1")
            .await
            .unwrap_err()
            .to_string();
        assert!(failed.contains("ok tags") && failed.contains("why"), "{failed}");
        assert!(shell("echo okay").await.is_err());
    }
}
