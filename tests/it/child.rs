//! A child process that can be killed: this test binary, started again with [`ORDERS`] in its environment.
//!
//! The child reports each step to its parent on a connection, because a kill does not lose lines written there.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::{consumer, extended, segments};

/// The environment variable that makes this binary a child process.
const ORDERS: &str = "SQS_TEST_CONSUMER_ORDERS";

/// The orders of a child: its test, the server, the queues, and the address for its reports.
pub struct Orders {
    pub test: &'static str,
    pub endpoint: String,
    pub report_to: String,
    pub queues: Vec<String>,
}

impl Orders {
    /// Returns orders for any number of children that consume one queue, and a receiver of the lines they report.
    pub async fn with_reports(
        test: &'static str,
        endpoint: String,
        queue: String,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<String>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let orders = Self {
            test,
            endpoint,
            report_to: listener.local_addr()?.to_string(),
            queues: vec![queue],
        };
        Ok((orders, listen(listener)))
    }

    pub fn start(&self) -> anyhow::Result<ChildProcess> {
        self.start_as(Command::new(std::env::current_exe()?))
    }

    /// Starts a child that may open at most `files` files and creates its temporary files in `folder`.
    pub fn start_limited(&self, files: u32, folder: &Path) -> anyhow::Result<ChildProcess> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\""));
        shell.arg(std::env::current_exe()?).env("TMPDIR", folder);
        self.start_as(shell)
    }

    fn start_as(&self, mut program: Command) -> anyhow::Result<ChildProcess> {
        let orders = [self.test, &self.endpoint, &self.report_to].into_iter();
        let orders: Vec<&str> = orders.chain(self.queues.iter().map(String::as_str)).collect();
        Ok(ChildProcess(program.env(ORDERS, orders.join(" ")).spawn()?))
    }
}

/// Returns the lines that all children report.
fn listen(listener: TcpListener) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let (Ok((connection, _)), false) = (listener.accept().await, sender.is_closed()) {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(connection).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    drop(sender.send(line));
                }
            });
        }
    });
    receiver
}

/// A child process. It is killed on drop.
pub struct ChildProcess(Child);

impl ChildProcess {
    /// Returns the child's peak memory in KiB, or `None` if the system does not report it.
    pub fn peak_memory(&self) -> Option<u64> {
        peak_memory(&self.0.id().to_string())
    }

    /// Kills the child with SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Returns a process's peak memory in KiB, as Linux reports it. `self` means this process.
pub fn peak_memory(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Runs the child's part of the test, until the process is killed or its parent has gone. Returns `None` in the parent.
pub fn run_if_ordered() -> Option<anyhow::Result<()>> {
    let orders = std::env::var(ORDERS).ok()?;
    let runtime = Runtime::new().map_err(Into::into);
    Some(runtime.and_then(|runtime| runtime.block_on(obey(&orders))))
}

async fn obey(orders: &str) -> anyhow::Result<()> {
    let words: Vec<&str> = orders.split(' ').collect();
    let [test, endpoint, report_to, queues @ ..] = &*words else {
        bail!("no orders");
    };
    let client = sqs_local::client_builder(*endpoint)
        .retry(consumer::fast_retries())
        .build()?;
    let connection = TcpStream::connect(report_to).context("the parent listens")?;
    let mut parent = connection.try_clone()?;
    std::thread::spawn(move || {
        // The parent sends nothing, so the read ends when the parent does.
        let _ = parent.read(&mut [0]);
        std::process::exit(1);
    });
    let report = Report(Arc::new(Mutex::new(connection)));
    match *test {
        consumer::child::TEST => consumer::child::consume(client, queues, report).await,
        segments::competing::TEST => segments::competing::consume(client, queues, report).await,
        segments::bounded::TEST => segments::bounded::consume(client, queues, report).await,
        segments::untrusted::SPILLING => segments::untrusted::consume(client, queues, report, true).await,
        segments::untrusted::FRUGAL => segments::untrusted::consume(client, queues, report, false).await,
        extended::stores::memory::TEST => {
            let [url] = queues else { bail!("no store") };
            extended::stores::memory::fetch(url, report).await
        }
        extended::stores::killed::TEST => {
            let [queue, store, path] = queues else {
                bail!("no store")
            };
            extended::stores::killed::download(client, queue, store, path).await
        }
        unknown => bail!("no test {unknown}"),
    }
}

/// The connection to the parent.
#[derive(Clone)]
pub struct Report(Arc<Mutex<TcpStream>>);

impl Report {
    /// Reports a line to the parent.
    pub fn send(&self, line: &str) {
        let mut connection = self.0.lock().expect("no handler panics here");
        let written = connection.write_all(format!("{line}\n").as_bytes());
        written.expect("the parent listens");
    }
}
