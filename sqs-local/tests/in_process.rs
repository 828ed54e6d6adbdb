//! Tests client and server in one task, without sockets and under a paused clock.

#![cfg(feature = "client")]
// clippy exempts only the tests themselves, not their helpers.
#![allow(clippy::expect_used)]

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use sqs_client::client::{HttpFuture, HttpService, RetryPolicy};
use sqs_client::{Client, ErrorKind};
use sqs_local::{Action, Fault, FaultKind, InProcess, LocalSqs};
use tokio::time::Instant;

type TestResult = Result<(), Box<dyn StdError>>;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn bodies(client: &Client, queue: &str) -> Result<Vec<String>, sqs_client::Error> {
    let received = client.receive_message(queue).max_messages(10).await?;
    Ok(received.messages.into_iter().map(|message| message.body).collect())
}

#[tokio::test(start_paused = true)]
async fn a_visibility_timeout_of_twelve_hours_ends_on_time() -> TestResult {
    let server = LocalSqs::in_process();
    let client = server.client()?;
    let queue = server.create_queue_with("orders", [("VisibilityTimeout", "43200")])?;
    client.send_message(&queue, "a").await?;
    assert_eq!(bodies(&client, &queue).await?, ["a"]);
    tokio::time::advance(12 * HOUR - Duration::from_millis(1)).await;
    assert!(bodies(&client, &queue).await?.is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(bodies(&client, &queue).await?, ["a"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_retention_of_fourteen_days_ends_on_time() -> TestResult {
    let server = LocalSqs::in_process();
    let client = server.client()?;
    let attributes = [("MessageRetentionPeriod", "1209600"), ("VisibilityTimeout", "0")];
    let queue = server.create_queue_with("orders", attributes)?;
    client.send_message(&queue, "a").await?;
    tokio::time::advance(14 * DAY - Duration::from_secs(1)).await;
    assert_eq!(bodies(&client, &queue).await?, ["a"]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(bodies(&client, &queue).await?.is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_waits_twenty_seconds_and_ends_early_for_a_message() -> TestResult {
    let server = LocalSqs::in_process();
    let client = server.client()?;
    let queue = server.create_queue("orders")?;
    let wait = Duration::from_secs(20);

    let begin = Instant::now();
    assert!(
        client
            .receive_message(&queue)
            .wait_time(wait)
            .await?
            .messages
            .is_empty()
    );
    assert_eq!(begin.elapsed(), wait);

    let begin = Instant::now();
    let send = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        client.send_message(&queue, "a").await
    };
    let (received, sent) = tokio::join!(client.receive_message(&queue).wait_time(wait).into_future(), send);
    assert_eq!((received?.messages.len(), begin.elapsed()), (1, Duration::from_secs(7)));
    sent?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn signatures_are_verified_after_days_of_paused_time() -> TestResult {
    let server = LocalSqs::builder().verify_signatures(true).in_process();
    let client = server.client_builder().retry(RetryPolicy::never()).build()?;
    tokio::time::advance(14 * DAY).await;
    client.list_queues().await?;
    assert_eq!(server.count(Action::ListQueues), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_connection_are_errors_without_a_socket() -> TestResult {
    let server = LocalSqs::in_process();
    let client = server.client_builder().retry(RetryPolicy::never()).build()?;
    let queue = server.create_queue("orders")?;
    let faults = [
        (FaultKind::DropBefore, false),
        (FaultKind::DropAfter, true),
        (FaultKind::Reset, true),
        (FaultKind::TruncatedResponse, true),
    ];
    for (kind, arrives) in faults {
        let before = server.queue("orders").expect("the queue").len();
        server
            .faults()
            .add(Fault::on(Action::SendMessage, kind.clone()).times(1));
        let error = client.send_message(&queue, "a").await.expect_err("a fault");
        assert_eq!(
            (error.kind(), error.may_have_been_sent()),
            (ErrorKind::Transport, true),
            "{kind:?}"
        );
        let after = server.queue("orders").expect("the queue").len();
        assert_eq!(after > before, arrives, "{kind:?}");
    }

    let begin = Instant::now();
    server
        .faults()
        .add(Fault::any(FaultKind::Trickle(Duration::from_millis(100))).times(1));
    client.send_message(&queue, "a").await?;
    assert!(begin.elapsed() > Duration::from_secs(10), "{:?}", begin.elapsed());
    Ok(())
}

/// Writes each exchange down, with its time.
#[derive(Debug)]
struct Traced {
    inner: InProcess,
    begin: Instant,
    trace: Arc<Mutex<String>>,
}

impl HttpService for Traced {
    fn call(&self, request: Request<Bytes>) -> HttpFuture<'_> {
        Box::pin(async move {
            let sent = format!("{:?} {:?}", request.headers(), request.body());
            let result = self.inner.call(request).await;
            let time = self.begin.elapsed();
            let mut trace = self.trace.lock().expect("no panic");
            writeln!(trace, "{time:?} {sent}\n  {result:?}").expect("memory");
            drop(trace);
            result
        })
    }
}

/// Runs a workload with faults, and returns its trace.
async fn trace_of(seed: u64) -> Result<String, Box<dyn StdError>> {
    let server = LocalSqs::builder()
        .seed(seed)
        .start_time(UNIX_EPOCH + 20_000 * DAY)
        .in_process();
    let faults = [
        FaultKind::Throttle,
        FaultKind::DropAfter,
        FaultKind::Duplicate,
        FaultKind::Reorder,
        FaultKind::TruncatedResponse,
        FaultKind::FailEntries(2),
        FaultKind::Delay(Duration::from_secs(3)),
    ];
    for kind in faults {
        server.faults().add(Fault::any(kind).probability(0.1));
    }
    let trace = Arc::<Mutex<String>>::default();
    let service = Traced {
        inner: server.http_service(),
        begin: Instant::now(),
        trace: trace.clone(),
    };
    let client = server.client_builder().seed(seed).http_service(service).build()?;
    let standard = server.create_queue_with("orders", [("VisibilityTimeout", "5")])?;
    let fifo = server.create_queue_with("events.fifo", [("ContentBasedDeduplication", "true")])?;
    for round in 0..30 {
        let entries = (0..5).map(move |i| format!("{round}-{i}"));
        let _ = client.send_messages(&standard, entries).await;
        let _ = client
            .send_message(&fifo, format!("{round}"))
            .message_group_id("g")
            .await;
        for queue in [&standard, &fifo] {
            let wait = Duration::from_secs(1);
            let Ok(received) = client.receive_message(queue).max_messages(10).wait_time(wait).await else {
                continue;
            };
            for message in received.messages {
                let _ = client.delete_message(queue, &message.receipt_handle).await;
            }
        }
    }
    let trace = trace.lock().expect("no panic").clone();
    Ok(trace)
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_a_run_with_its_faults() -> TestResult {
    let first = trace_of(7).await?;
    assert!(first.contains("connection closed"), "no fault was injected");
    assert!(first.lines().count() > 200, "{}", first.lines().count());
    assert!(first == trace_of(7).await?, "two runs of one seed differ");
    assert!(first != trace_of(8).await?, "two seeds have one trace");
    Ok(())
}
