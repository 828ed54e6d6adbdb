//! A consumer in a process of its own, to be killed: this test binary, started again with [`ORDERS`] in its environment.
//!
//! It tells each step to its parent on a connection: what is written there is not lost by a kill.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use sqs_client::{Client, Credentials, Delivery};
use tokio::runtime::Runtime;

/// The variable that makes this binary such a process.
const ORDERS: &str = "SQS_TEST_CONSUMER_ORDERS";

/// How many messages of one queue it handles at a time, and lets wait.
pub const CONCURRENCY: usize = 24;
pub const PREFETCH: usize = 20;
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3);

/// What it is to do: where the server is, whom to tell, and the queues to consume.
pub struct Orders {
    pub endpoint: String,
    pub report_to: String,
    pub queues: Vec<String>,
}

impl Orders {
    pub fn start(&self) -> anyhow::Result<Child> {
        let orders = [&self.endpoint, &self.report_to].into_iter().chain(&self.queues);
        let orders: Vec<&str> = orders.map(String::as_str).collect();
        let program = std::env::current_exe()?;
        Ok(Command::new(program).env(ORDERS, orders.join(" ")).spawn()?)
    }

    fn from_environment() -> Option<Self> {
        let orders = std::env::var(ORDERS).ok()?;
        let mut words = orders.split(' ').map(str::to_owned);
        Some(Self {
            endpoint: words.next()?,
            report_to: words.next()?,
            queues: words.collect(),
        })
    }
}

/// In a child: consumes until it is killed, or its parent is gone.
pub fn run_if_ordered() -> Option<anyhow::Result<()>> {
    let orders = Orders::from_environment()?;
    Some(
        Runtime::new()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(consume(orders))),
    )
}

async fn consume(orders: Orders) -> anyhow::Result<()> {
    let client = Client::builder()
        .endpoint_url(&orders.endpoint)
        .credentials(Credentials::new("test", "test"))
        .retry(super::quick())
        .build()?;
    let connection = TcpStream::connect(&orders.report_to).context("the parent listens")?;
    let mut parent = connection.try_clone()?;
    std::thread::spawn(move || {
        // The parent says nothing: this ends when it does.
        let _ = parent.read(&mut [0]);
        std::process::exit(1);
    });
    let report = Report(Arc::new(Mutex::new(connection)));
    try_join_all(orders.queues.iter().enumerate().map(|(number, queue)| {
        let report = report.clone();
        client
            .consumer(queue)
            .concurrency(CONCURRENCY)
            .prefetch(PREFETCH)
            .visibility_timeout(VISIBILITY_TIMEOUT)
            .backoff(Duration::ZERO, Duration::ZERO)
            .run(std::future::pending::<()>(), move |delivery| {
                handle(number, delivery, report.clone())
            })
    }))
    .await?;
    Ok(())
}

/// One in twenty fails.
async fn handle(queue: usize, delivery: Delivery, report: Report) -> Result<(), ()> {
    report.tell('b', queue, &delivery);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut hasher = DefaultHasher::new();
    (&delivery.message().receipt_handle, delivery.receive_count()).hash(&mut hasher);
    let fails = hasher.finish().is_multiple_of(20);
    report.tell(if fails { 'f' } else { 'h' }, queue, &delivery);
    if fails { Err(()) } else { Ok(()) }
}

#[derive(Clone)]
struct Report(Arc<Mutex<TcpStream>>);

impl Report {
    fn tell(&self, step: char, queue: usize, delivery: &Delivery) {
        let message = delivery.message();
        let group = message.attributes.message_group_id().unwrap_or("-");
        let line = format!("{step} {queue} {group} {}\n", message.body);
        let mut connection = self.0.lock().expect("no handler panics here");
        connection.write_all(line.as_bytes()).expect("the parent listens");
    }
}
