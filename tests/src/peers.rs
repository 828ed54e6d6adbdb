//! AWS's own extended clients, each in a process of its own. A process serves many commands, because a JVM is slow to
//! start.
//!
//! A command is a line with a verb and its arguments, separated by tabs. The response is `ok`, the seconds that the
//! library took, and further values, or `failed` and the reason. The programs are in the folder `peers`.
//!
//! | command | further values of the response |
//! |---|---|
//! | `send ATTRIBUTE QUEUE TIMES FILE`: sends one message with the file's text, repeated `TIMES` times | |
//! | `batch ATTRIBUTE QUEUE FILE…`: sends one message per file, in one request | |
//! | `receive QUEUE FOLDER`: receives up to ten messages, and writes their bodies to files `0`, `1`, … | the receipt handles |
//! | `delete QUEUE HANDLE`: deletes a message and its payload | |

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::servers::Server;

/// The message attribute by which a peer marks pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `ExtendedPayloadSize`.
    Current,
    /// `SQSLargePayloadSize`.
    Legacy,
}

/// A running peer. Dropping it ends its process.
///
/// ```no_run
/// use sqs_local::LocalSqs;
/// use sqs_tests::peers::{Attribute, Peer};
/// use sqs_tests::servers::Servers;
///
/// # #[tokio::main]
/// # async fn main() -> anyhow::Result<()> {
/// let (servers, queues) = (Servers::new(), LocalSqs::start().await?);
/// let minio = servers.minio().map_err(Clone::clone)?;
/// minio.create_bucket("payloads")?;
/// let python = servers.python_extended_client().map_err(Clone::clone)?;
/// let mut peer = Peer::start(Peer::python(python), &queues.endpoint(), minio, "payloads")?;
/// peer.send(Attribute::Current, &queues.queue_url("orders"), "text", 1).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Peer {
    process: Child,
    commands: ChildStdin,
    responses: Lines<BufReader<ChildStdout>>,
    /// The folder for message bodies in both directions.
    folder: TempDir,
}

/// A message that a peer received.
#[derive(Debug)]
pub struct Received {
    /// The file with the body, which is the payload of an offloaded message.
    pub body: PathBuf,
    /// The receipt handle, which contains the pointer of an offloaded message.
    pub handle: String,
}

impl Peer {
    /// Returns the program for the Java library in a folder of jars. `options` are the JVM's, such as `-Xmx1g`.
    pub fn java(jars: &Path, options: &[&str]) -> Command {
        let mut java = Command::new("java");
        java.args(options)
            .arg("-cp")
            .arg(jars.join("*"))
            .arg(program("Peer.java"));
        java
    }

    /// Returns the program for the Python library of an interpreter.
    pub fn python(interpreter: &Path) -> Command {
        let mut python = Command::new(interpreter);
        python.arg(program("peer.py"));
        python
    }

    /// Starts a program with queues at an endpoint and payloads in a bucket of `store`. It signs all requests with the
    /// keys of `store`.
    ///
    /// # Errors
    ///
    /// Returns an error if the program cannot be started.
    pub fn start(mut program: Command, queues: &str, store: &Server, bucket: &str) -> Result<Self> {
        let mut process = program
            .args([queues, store.endpoint(), bucket])
            .env("AWS_ACCESS_KEY_ID", store.access_key())
            .env("AWS_SECRET_ACCESS_KEY", store.secret_key())
            .env("AWS_REGION", store.region())
            .env("AWS_DEFAULT_REGION", store.region())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the peer {:?}", program.as_std()))?;
        let commands = process.stdin.take().context("the peer has no standard input")?;
        let responses = process.stdout.take().context("the peer has no standard output")?;
        Ok(Self {
            process,
            commands,
            responses: BufReader::new(responses).lines(),
            folder: TempDir::new()?,
        })
    }

    /// Returns the process id, or `None` if the peer has ended.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Sends a message with `text`, repeated `times` times. Returns the time that the library took.
    ///
    /// # Errors
    ///
    /// Returns the library's error.
    pub async fn send(&mut self, attribute: Attribute, queue: &str, text: &str, times: usize) -> Result<Duration> {
        let file = self.file("sent", text)?;
        self.command(&["send", attribute.word(), queue, &times.to_string(), &file])
            .await?
            .time()
    }

    /// Sends a message for each text in one request. Returns the time that the library took.
    ///
    /// # Errors
    ///
    /// Returns the library's error, also if only one of the messages failed.
    pub async fn send_batch(&mut self, attribute: Attribute, queue: &str, texts: &[String]) -> Result<Duration> {
        let files = texts.iter().enumerate();
        let files: Vec<String> = files
            .map(|(number, text)| self.file(&format!("sent{number}"), text))
            .collect::<Result<_>>()?;
        let mut words = vec!["batch", attribute.word(), queue];
        words.extend(files.iter().map(String::as_str));
        self.command(&words).await?.time()
    }

    /// Receives up to ten messages with their payloads. Returns them with the time that the library took.
    ///
    /// # Errors
    ///
    /// Returns the library's error.
    pub async fn receive(&mut self, queue: &str) -> Result<(Duration, Vec<Received>)> {
        let folder = self.folder.path().to_owned();
        let response = self.command(&["receive", queue, text(&folder)?]).await?;
        let time = response.time()?;
        let handles = response.words.into_iter().skip(1).enumerate();
        let received = handles.map(|(number, handle)| Received {
            body: folder.join(number.to_string()),
            handle,
        });
        Ok((time, received.collect()))
    }

    /// Deletes a message and its payload by the receipt handle that the peer received. Returns the time that the library
    /// took.
    ///
    /// # Errors
    ///
    /// Returns the library's error.
    pub async fn delete(&mut self, queue: &str, handle: &str) -> Result<Duration> {
        self.command(&["delete", queue, handle]).await?.time()
    }

    fn file(&self, name: &str, body: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, body)?;
        Ok(text(&path)?.to_owned())
    }

    async fn command(&mut self, words: &[&str]) -> Result<Response> {
        let line = words.join("\t") + "\n";
        self.commands.write_all(line.as_bytes()).await?;
        let response = self.responses.next_line().await?.context("the peer has ended")?;
        let mut words = response.split('\t').map(str::to_owned);
        match words.next().as_deref() {
            Some("ok") => Ok(Response { words: words.collect() }),
            Some("failed") => bail!("the peer failed: {}", words.collect::<Vec<_>>().join(" ")),
            _ => bail!("the peer sent an unknown response: {response:?}"),
        }
    }
}

impl Attribute {
    fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Legacy => "legacy",
        }
    }
}

struct Response {
    words: Vec<String>,
}

impl Response {
    fn time(&self) -> Result<Duration> {
        let seconds = self.words.first().context("the peer's response has no time")?;
        let seconds: f64 = seconds.parse()?;
        ensure!(
            seconds.is_finite() && seconds >= 0.0,
            "the peer reported a time of {seconds} seconds"
        );
        Ok(Duration::from_secs_f64(seconds))
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers").join(name)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("the path {} is not UTF-8", path.display()))
}
