//! The program `sqs-local`: what it prints, what it serves, and how it ends.

#![cfg(feature = "cli")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and so do its helpers"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use sqs_client::client::RetryPolicy;
use sqs_client::{Client, Credentials};

/// A running program. Dropping it kills the process.
struct Program {
    process: Child,
    stdout: BufReader<ChildStdout>,
    endpoint: String,
    /// The lines after the address, up to the queues.
    announced: Vec<String>,
}

impl Program {
    /// Starts the program on a free port, and reads what it prints until each `--queue` is announced.
    fn start(arguments: &[&str]) -> Self {
        let mut process = program(arguments)
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(process.stdout.take().expect("standard output"));
        let queues = arguments.iter().filter(|argument| **argument == "--queue").count();
        let announced: Vec<String> = (0..3 + queues).map(|_| line(&mut stdout)).collect();
        let endpoint = announced[0].strip_prefix("sqs-local listens on ").expect("an address");
        Self {
            process,
            stdout,
            endpoint: endpoint.to_owned(),
            announced,
        }
    }

    fn client(&self) -> Client {
        Client::builder()
            .endpoint_url(&self.endpoint)
            .region("us-east-1")
            .credentials(Credentials::new("anybody", "anything"))
            .retry(RetryPolicy::never())
            .build()
            .expect("a client")
    }

    /// Sends a signal and returns the exit code and the log.
    #[cfg(unix)]
    fn end_by(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .expect("kill runs")
                .success()
        );
        let status = self.process.wait().expect("the program ends");
        let (mut rest, mut log) = (String::new(), String::new());
        self.stdout.read_to_string(&mut rest).expect("standard output");
        assert_eq!(rest, "");
        self.process
            .stderr
            .take()
            .expect("a log")
            .read_to_string(&mut log)
            .expect("a log");
        (status.code(), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only if the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sqs-local"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn line(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

/// Runs a program that ends by itself, on a free port unless the arguments name one.
fn output(arguments: &[&str]) -> (Output, String) {
    let mut command = program(arguments);
    if !arguments.contains(&"--port") {
        command.args(["--port", "0"]);
    }
    let output = command.output().expect("the program runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, error)
}

#[test]
fn the_announcement_has_the_settings_for_clients_and_the_queues() {
    let program = Program::start(&[
        "--queue",
        "orders:dead-letter=dead",
        "--queue",
        "events.fifo",
        "--region",
        "eu-west-1",
    ]);
    let endpoint = &program.endpoint;
    assert_eq!(
        program.announced[1..],
        [
            format!("export AWS_ENDPOINT_URL_SQS={endpoint}"),
            "export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1"
                .to_owned(),
            format!("queue {endpoint}/000000000000/orders"),
            format!("queue {endpoint}/000000000000/events.fifo"),
        ]
    );
    assert!(
        endpoint.starts_with("http://127.0.0.1:") && !endpoint.ends_with(":0"),
        "{endpoint}"
    );
}

#[tokio::test]
async fn a_program_on_all_interfaces_announces_an_address_to_connect_to() {
    let program = Program::start(&["--host", "0.0.0.0", "--queue", "orders"]);
    let endpoint = &program.endpoint;
    assert!(endpoint.starts_with("http://127.0.0.1:"), "{endpoint}");
    assert_eq!(program.announced[3], format!("queue {endpoint}/000000000000/orders"));
    program.client().get_queue_url("orders").await.expect("the queue");
}

#[tokio::test]
async fn the_program_serves_its_queues_with_any_access_key() {
    let program = Program::start(&["--queue", "orders:dead-letter=dead,max-receives=1,visibility-timeout=0"]);
    let client = program.client();
    let queue = client.get_queue_url("orders").await.expect("the queue").queue_url;
    client.send_message(&queue, "hello").await.expect("sent");
    let received = client.receive_message(&queue).await.expect("received");
    assert_eq!(received.messages[0].body, "hello");
    // The second receive moves it.
    assert!(
        client
            .receive_message(&queue)
            .await
            .expect("received")
            .messages
            .is_empty()
    );
    let dead = client.get_queue_url("dead").await.expect("the queue").queue_url;
    let received = client.receive_message(&dead).await.expect("received");
    assert_eq!(received.messages[0].body, "hello");
}

#[tokio::test]
async fn strict_refuses_an_unknown_access_key() {
    let program = Program::start(&["--strict"]);
    let error = program.client().list_queues().await.expect_err("refused");
    assert!(error.to_string().contains("InvalidClientTokenId"), "{error}");
}

#[tokio::test]
async fn faults_are_injected() {
    let program = Program::start(&["--queue", "orders", "--fault", "SendMessage:throttle:times=2"]);
    let client = program.client();
    let queue = client.get_queue_url("orders").await.expect("the queue").queue_url;
    for _ in 0..2 {
        let error = client.send_message(&queue, "hello").await.expect_err("throttled");
        assert!(error.is_throttled(), "{error}");
    }
    client.send_message(&queue, "hello").await.expect("sent");
}

#[tokio::test]
async fn ids_repeat_with_the_seed() {
    let mut ids = Vec::new();
    for seed in ["7", "7", "8"] {
        let program = Program::start(&["--seed", seed, "--queue", "orders"]);
        let queue = format!("{}/000000000000/orders", program.endpoint);
        ids.push(
            program
                .client()
                .send_message(&queue, "hello")
                .await
                .expect("sent")
                .message_id,
        );
    }
    assert!(ids[0] == ids[1] && ids[0] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn queue_urls_start_with_the_given_base() {
    let program = Program::start(&[
        "--queue-url-base",
        "http://sqs.example:9324/",
        "--account",
        "123456789012",
    ]);
    let created = program.client().create_queue("orders").await.expect("created");
    assert_eq!(created.queue_url, "http://sqs.example:9324/123456789012/orders");
}

#[cfg(unix)]
#[tokio::test]
async fn the_log_names_action_queue_and_status_but_no_body_and_no_key() {
    let program = Program::start(&["--log", "debug", "--queue", "orders"]);
    let (client, missing) = (program.client(), format!("{}/000000000000/missing", program.endpoint));
    let queue = client.get_queue_url("orders").await.expect("the queue").queue_url;
    client.send_message(&queue, "a secret body").await.expect("sent");
    client
        .send_message(&missing, "a secret body")
        .await
        .expect_err("no queue");
    let (_, log) = program.end_by("-TERM");
    let has = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(has(&["SendMessage", "orders", "status=200", "time="]), "{log}");
    assert!(has(&["SendMessage", "missing", "status=400"]), "{log}");
    assert!(!log.contains("secret body") && !log.contains("anybody"), "{log}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_the_program_with_status_0_even_during_a_long_poll() {
    for signal in ["-TERM", "-INT"] {
        let program = Program::start(&["--queue", "orders", "--log", "off"]);
        let (client, queue) = (program.client(), format!("{}/000000000000/orders", program.endpoint));
        client.send_message(&queue, "hello").await.expect("sent");
        client.receive_message(&queue).await.expect("received");
        let poll = client.receive_message(&queue).wait_time(Duration::from_secs(20));
        let poll = tokio::spawn(async move { poll.await });
        // Nothing tells when the poll has reached the server. A poll that has not also fails.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let ended = tokio::task::spawn_blocking(move || program.end_by(signal))
            .await
            .expect("ended");
        assert_eq!(ended, (Some(0), String::new()), "{signal}");
        poll.await.expect("the task").expect_err("the connection closed");
    }
}

#[test]
fn a_port_in_use_is_reported() {
    let owner = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = owner.local_addr().expect("an address").port().to_string();
    let (output, error) = output(&["--port", &port]);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(
        error,
        format!("sqs-local: port {port} is already in use; choose another with --port, or a free one with --port 0\n")
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_arguments_are_refused_with_the_reason() {
    for (arguments, status, why) in [
        (["--port", "many"], 2, "--port"),
        (["--queue", "orders:colour=blue"], 2, "visibility-timeout"),
        (["--fault", "any:explode"], 2, "drop-after"),
        (["--fault", "Send:throttle"], 2, "unknown action"),
        (["--log", "sqs_local=loud"], 2, "--log"),
        (["--colour", "blue"], 2, "--colour"),
        (["--host", "no host"], 1, "no host"),
        (["--queue", "two words"], 1, "two words"),
    ] {
        let (output, error) = output(&arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.contains(why), "{arguments:?}: {error}");
    }
}

#[test]
fn help_has_an_example() {
    let (output, _) = output(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && help.contains("sqs-local --queue orders:dead-letter=orders-dlq"),
        "{help}"
    );
    assert!(
        help.contains("export AWS_ENDPOINT_URL_SQS=http://127.0.0.1:9324"),
        "{help}"
    );
}
