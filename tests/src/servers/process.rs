//! A server process: starts it on a free loopback port, waits until it is ready, and finally stops it and removes its
//! data.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::time::Instant;

use super::http::{self, Request};
use super::install::tail;
use super::server::Kind;

/// The time for a server to become ready: a minute, for a JVM on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest interval of readiness polls. The first ones are shorter, so that the start-up time is measured well.
const POLL: Duration = Duration::from_millis(100);

/// The number of ports to try if another program binds the chosen one first.
const ATTEMPTS: u32 = 5;

/// A running server. Dropping it kills the process and removes its data.
pub(super) struct Process {
    child: Child,
    watchdog: Option<Child>,
    port: u16,
    data: TempDir,
    begin: Instant,
    start_time: Duration,
}

impl Process {
    /// Starts the command for a port and an empty data folder, and waits until the server is ready.
    pub(super) fn start(kind: &Kind, command: impl Fn(u16, &Path) -> Result<Command>) -> Result<Process> {
        for _ in 0..ATTEMPTS {
            let mut process = Process::spawn(kind, &command)?;
            if process.is_ready(kind)? {
                return Ok(process);
            }
        }
        bail!("{} found none of {ATTEMPTS} ports free", kind.name)
    }

    fn spawn(kind: &Kind, command: impl Fn(u16, &Path) -> Result<Command>) -> Result<Process> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let prefix = format!("sqs-tests-{}-", kind.name.to_lowercase());
        let data = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        let log = File::create(log_in(&data))?;
        let mut command = command(port, data.path())?;
        let begin = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let watchdog = watchdog(child.id(), data.path());
        Ok(Process {
            child,
            watchdog,
            port,
            data,
            begin,
            start_time: Duration::ZERO,
        })
    }

    /// Waits until the server is ready. Returns `false` if another program has taken its port.
    fn is_ready(&mut self, kind: &Kind) -> Result<bool> {
        while self.begin.elapsed() < PATIENCE {
            let exited = self.child.try_wait()?;
            let log = self.log();
            // Some servers do not exit in this case, and the port's owner would respond instead.
            if log.to_lowercase().contains("already in use") {
                return Ok(false);
            }
            if let Some(status) = exited {
                bail!("{} exited ({status}):\n{}", kind.name, tail(&log, 20));
            }
            let response = http::exchange(&self.endpoint(), &Request::get(kind.ready));
            if response.is_ok_and(|response| response.status == kind.ready_status) {
                self.start_time = self.begin.elapsed();
                return Ok(true);
            }
            std::thread::sleep((self.begin.elapsed() / 8).min(POLL));
        }
        bail!(
            "{} was not ready after {} s:\n{}",
            kind.name,
            PATIENCE.as_secs(),
            tail(&self.log(), 20)
        )
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the time from the start of the process until it was ready.
    pub(super) fn start_time(&self) -> Duration {
        self.start_time
    }

    /// Returns the server's data folder.
    pub(super) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Returns the server's output.
    pub(super) fn log(&self) -> String {
        fs::read(log_in(&self.data))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }
}

fn log_in(data: &TempDir) -> PathBuf {
    data.path().join("server.log")
}

/// Starts a watchdog that cleans up if this process ends without running `Drop` (Ctrl-C, `exit`, a kill). It waits for
/// the end of its standard input, which closes with this process.
///
/// Returns `None` if there is no `sh`.
fn watchdog(server: u32, data: &Path) -> Option<Child> {
    const SCRIPT: &str = r#"trap '' INT TERM HUP; read -r _; kill -9 "$1"; rm -rf "$2""#;
    Command::new("sh")
        .args(["-c", SCRIPT, "watchdog", &server.to_string()])
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first, because the server's process id may be reused once the server was waited for.
        for child in self.watchdog.iter_mut().chain([&mut self.child]) {
            // Fails only if the process has already ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        name: "Test",
        variable: "",
        ready: "/",
        ready_status: 200,
        access_key: "",
        secret_key: "",
    };

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_exited_server_is_reported_with_its_log() {
        let Err(error) = Process::start(&KIND, |_, _| Ok(shell("echo bad config; exit 7"))) else {
            panic!("started")
        };
        let error = error.to_string();
        assert!(error.contains("bad config") && error.contains('7'), "{error}");
    }

    #[test]
    fn a_taken_port_is_replaced_by_another() {
        let Err(error) = Process::start(&KIND, |_, _| Ok(shell("echo Address already in use; sleep 60"))) else {
            panic!("started")
        };
        assert!(error.to_string().contains("none of 5 ports"), "{error}");
    }

    #[test]
    fn dropping_stops_the_process_and_removes_its_data() {
        let process = Process::spawn(&KIND, |_, _| Ok(shell("exec sleep 60"))).unwrap();
        let (id, data) = (process.child.id(), process.data.path().to_owned());
        assert!(data.exists());
        drop(process);
        assert!(!data.exists());
        assert!(
            !shell(&format!("kill -0 {id}"))
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
    }

    #[test]
    fn the_watchdog_stops_the_process_when_this_one_ends() {
        let mut process = Process::spawn(&KIND, |_, _| Ok(shell("exec sleep 60"))).unwrap();
        // The pipe also closes when this process ends.
        drop(process.watchdog.as_mut().unwrap().stdin.take());
        let status = process.child.wait().unwrap();
        assert!(!status.success());
        process.watchdog.as_mut().unwrap().wait().unwrap();
        assert!(!process.data.path().exists());
    }
}
