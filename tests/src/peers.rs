//! AWS's own extended clients, each in a process of its own that is told what to do line by line, as a JVM takes its time
//! to start.
//!
//! A line is a verb and its words, between tabs; its answer is `ok` and words, the first of which says how many seconds
//! the library took, or `failed` and why. The programs are beside this file:
//!
//! | | answered with, beside the seconds |
//! |---|---|
//! | `send ATTRIBUTE QUEUE TIMES FILE`: one message, the file's text so many times | |
//! | `batch ATTRIBUTE QUEUE FILE…`: one message of each file, in one request | |
//! | `receive QUEUE FOLDER`: up to ten messages, their bodies to files `0`, `1`, … | their receipt handles |
//! | `delete QUEUE HANDLE`: the message, and its payload | |

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::servers::Server;

/// The message attribute that a peer marks pointers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `ExtendedPayloadSize`.
    Current,
    /// `SQSLargePayloadSize`.
    Legacy,
}

/// A running peer; it ends when it is dropped.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Where bodies pass to and fro.
    folder: TempDir,
}

/// A message that a peer received.
#[derive(Debug)]
pub struct Received {
    /// Its body, the payload of an offloaded message.
    pub body: PathBuf,
    /// Its receipt handle, with the pointer in it if the message was offloaded.
    pub handle: String,
}

impl Peer {
    /// The program of the Java library in this folder of jars; `options` are the JVM's, such as `-Xmx1g`.
    pub fn java(jars: &Path, options: &[&str]) -> Command {
        let mut java = Command::new("java");
        java.args(options)
            .arg("-cp")
            .arg(jars.join("*"))
            .arg(program("Peer.java"));
        java
    }

    /// The program of the Python library that this interpreter has.
    pub fn python(interpreter: &Path) -> Command {
        let mut python = Command::new(interpreter);
        python.arg(program("peer.py"));
        python
    }

    /// Starts the program with queues at this endpoint and payloads in this bucket of `store`, whose keys it signs both
    /// with.
    ///
    /// # Errors
    ///
    /// It cannot be run.
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
            .context("the peer cannot be run")?;
        let orders = process.stdin.take().context("its standard input")?;
        let answers = process.stdout.take().context("its standard output")?;
        Ok(Self {
            process,
            orders,
            answers: BufReader::new(answers).lines(),
            folder: TempDir::new()?,
        })
    }

    /// The id of its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Sends a message with this text, so many times over; says how long the library took.
    ///
    /// # Errors
    ///
    /// What the library says.
    pub async fn send(&mut self, attribute: Attribute, queue: &str, text: &str, times: usize) -> Result<Duration> {
        let file = self.file("sent", text)?;
        self.order(&["send", attribute.word(), queue, &times.to_string(), &file])
            .await?
            .time()
    }

    /// Sends a message with each of these texts in one request.
    ///
    /// # Errors
    ///
    /// What the library says, also of one of the messages alone.
    pub async fn send_batch(&mut self, attribute: Attribute, queue: &str, texts: &[String]) -> Result<Duration> {
        let files = texts.iter().enumerate();
        let files: Vec<String> = files
            .map(|(number, text)| self.file(&format!("sent{number}"), text))
            .collect::<Result<_>>()?;
        let mut words = vec!["batch", attribute.word(), queue];
        words.extend(files.iter().map(String::as_str));
        self.order(&words).await?.time()
    }

    /// Receives up to ten messages; says how long the library took, their payloads included.
    ///
    /// # Errors
    ///
    /// What the library says.
    pub async fn receive(&mut self, queue: &str) -> Result<(Duration, Vec<Received>)> {
        let folder = self.folder.path().to_owned();
        let answer = self.order(&["receive", queue, text(&folder)?]).await?;
        let time = answer.time()?;
        let handles = answer.words.into_iter().skip(1).enumerate();
        let received = handles.map(|(number, handle)| Received {
            body: folder.join(number.to_string()),
            handle,
        });
        Ok((time, received.collect()))
    }

    /// Deletes a message by the handle that the peer received it with, and its payload.
    ///
    /// # Errors
    ///
    /// What the library says.
    pub async fn delete(&mut self, queue: &str, handle: &str) -> Result<Duration> {
        self.order(&["delete", queue, handle]).await?.time()
    }

    fn file(&self, name: &str, body: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, body)?;
        Ok(text(&path)?.to_owned())
    }

    async fn order(&mut self, words: &[&str]) -> Result<Answer> {
        let line = words.join("\t") + "\n";
        self.orders.write_all(line.as_bytes()).await?;
        let answer = self.answers.next_line().await?.context("the peer has ended")?;
        let mut words = answer.split('\t').map(str::to_owned);
        match words.next().as_deref() {
            Some("ok") => Ok(Answer { words: words.collect() }),
            Some("failed") => bail!("the peer failed: {}", words.collect::<Vec<_>>().join(" ")),
            _ => bail!("the peer says {answer:?}"),
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

struct Answer {
    words: Vec<String>,
}

impl Answer {
    fn time(&self) -> Result<Duration> {
        let seconds = self.words.first().context("how long it took")?;
        let seconds: f64 = seconds.parse()?;
        ensure!(seconds.is_finite() && seconds >= 0.0, "it took {seconds} seconds");
        Ok(Duration::from_secs_f64(seconds))
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers").join(name)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is text")
}
