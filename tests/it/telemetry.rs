//! Tests what logs, spans and metrics show, and what they must not show.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use sqs_client::client::TraceCarrier;
use sqs_client::consumer::HandlerOutcome;
use sqs_client::types::SendMessageBatchEntry;
use sqs_client::{Credentials, QueueAttributes};
use sqs_local::{Action, Fault, FaultKind};
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::consumer::until;
use crate::harness::{Harness, Outcome};

/// Returns two idle dispatchers that must exist before the first test starts.
///
/// With only one dispatcher, `tracing` asks the first thread that reaches a callsite whether it is enabled, and caches
/// the result. Then a test that does not observe could disable a callsite for one that does.
pub fn idle_dispatchers() -> [Dispatch; 2] {
    [(); 2].map(|()| Dispatch::new(NoSubscriber::new()))
}

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.blocking_test(telemetry_shows_requests_without_their_content),
        harness.blocking_test(a_trace_reaches_the_wrapped_handler),
        harness.test(a_trace_makes_no_poison_message_too_long),
    ]
}

/// The log of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counters, gauges and the number of values in each histogram, by name and queue.
pub type Metrics = BTreeMap<(String, String), u64>;

/// Runs `test` on a runtime of this thread, and returns its log and metrics.
pub fn observe(test: impl Future<Output = Outcome>) -> anyhow::Result<(String, Metrics)> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tracing::subscriber::with_default(subscriber, || {
        metrics::with_local_recorder(&recorder, || runtime.block_on(test))
    })?;
    let log = String::from_utf8(log.0.lock().expect("the log").clone())?;
    let metrics = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let key = key.key();
        let queue = key.labels().next().map(|label| label.value().to_owned());
        let value = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(value) => value.into_inner() as u64,
        };
        ((key.name().to_owned(), queue.unwrap_or_default()), value)
    });
    Ok((log, metrics.collect()))
}

fn telemetry_shows_requests_without_their_content() -> Outcome {
    let (log, metrics) = observe(async {
        let server = sqs_tests::strict().start().await?;
        let secret = Credentials::new("test", "test").with_session_token("a-session-token");
        let client = server.client()?;
        let queue = client.create_queue("orders").await?.queue_url;
        server
            .faults()
            .add(Fault::on(Action::SendMessage, FaultKind::DropAfter).times(1));
        client.send_message(&queue, "a-secret-body").await?;
        let entries = ["a", "b"].map(|id| SendMessageBatchEntry::new(id, "a-secret-body"));
        client.send_message_batch(&queue, entries).await?;
        let received = client.receive_message(&queue).max_messages(1).await?.messages;
        let message = received.first().context("a message")?;
        client.delete_message(&queue, &message.receipt_handle).await?;
        let strange = server.client_builder().credentials(secret).build()?;
        ensure!(strange.send_message(&queue, "a-secret-body").await.is_err());
        Ok(())
    })?;
    for shown in [
        "messaging.system=\"aws_sqs\"",
        "messaging.operation.name=\"SendMessageBatch\"",
        "messaging.operation.type=\"receive\"",
        "messaging.destination.name=\"orders\"",
        "messaging.batch.message_count=2",
        "error.type=",
        "retrying",
    ] {
        ensure!(log.contains(shown), "the log lacks {shown}: {log}");
    }
    for hidden in ["a-secret-body", "a-session-token", "AWS4-HMAC"] {
        ensure!(!log.contains(hidden), "the log contains {hidden}: {log}");
    }
    let metric = |name: &str, queue: &str| metrics.get(&(name.to_owned(), queue.to_owned())).copied();
    assert_eq!(
        metric("messaging.client.sent.messages", "orders"),
        Some(3),
        "{metrics:?}"
    );
    assert_eq!(metric("messaging.client.consumed.messages", "orders"), Some(1));
    assert_eq!(metric("sqs.acknowledged.messages", "orders"), Some(1));
    assert_eq!(metric("sqs.request.retries", "orders"), Some(1));
    assert_eq!(metric("sqs.request.failures", "orders"), Some(1));
    assert_eq!(metric("messaging.client.operation.duration", "orders"), Some(5));
    Ok(())
}

fn a_trace_reaches_the_wrapped_handler() -> Outcome {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (log, metrics) = observe(async {
        let server = sqs_tests::strict().start().await?;
        let carrier = TraceCarrier::MessageAttribute("traceparent".to_owned());
        let client = server
            .client_builder()
            .propagate_trace(carrier.clone(), || Some(TRACE.to_owned()))
            .build()?;
        let queue = client.create_queue("traced").await?.queue_url;
        let batcher = client.batcher(&queue).build();
        batcher.send("through a batcher").await?;
        batcher.shutdown().await;
        client.send_message(&queue, "alone").await?;
        client
            .send_message_batch(&queue, [SendMessageBatchEntry::new("a", "in a batch")])
            .await?;
        ensure!(
            client
                .send_messages(&queue, ["of many", "fails"])
                .await
                .iter()
                .all(Result::is_ok)
        );

        let (seen, mut handled) = tokio::sync::mpsc::unbounded_channel();
        let mut ends = Vec::new();
        let consumer = client
            .consumer(&queue)
            .backoff(Duration::ZERO, Duration::ZERO)
            .wait_time(Duration::from_secs(1));
        let consumer = consumer.wrap_handler(move |delivery, handling| {
            let (seen, carrier) = (seen.clone(), carrier.clone());
            async move {
                let ended = handling.await;
                let trace = carrier.extract(delivery.message()).map(str::to_owned);
                let _ = seen.send((trace, ended));
                ended
            }
        });
        let six = async {
            while ends.len() < 6 {
                ends.extend(handled.recv().await);
            }
        };
        let ended = consumer.run(six, |delivery| async move {
            let first = delivery.receive_count() == 1;
            if delivery.message().body == "fails" && first {
                Err(())
            } else {
                Ok(())
            }
        });
        ended.await?;
        let (traces, ends): (Vec<Option<String>>, Vec<HandlerOutcome>) = ends.into_iter().unzip();
        ensure!(traces.iter().all(|trace| trace.as_deref() == Some(TRACE)), "{traces:?}");
        assert_eq!(
            ends.iter().filter(|end| **end == HandlerOutcome::Failed).count(),
            1,
            "{ends:?}"
        );
        Ok(())
    })?;
    ensure!(log.contains("messaging.operation.type=\"process\"") && log.contains("messaging.message.id="));
    ensure!(!log.contains("through a batcher"), "{log}");
    let metric = |name: &str| metrics.get(&(name.to_owned(), "traced".to_owned())).copied();
    assert_eq!(metric("messaging.process.duration"), Some(6), "{metrics:?}");
    assert_eq!(metric("sqs.message.age"), Some(6));
    ensure!(metric("sqs.batch.entries").is_some());
    assert_eq!(metric("sqs.acknowledged.messages"), Some(5));
    assert_eq!(
        metric("sqs.consumer.in_flight"),
        Some(0),
        "a message is still in flight at the end"
    );
    Ok(())
}

/// The message is as long as both queues allow.
async fn a_trace_makes_no_poison_message_too_long() -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let plain = server.client()?;
    let mut attributes = QueueAttributes::default();
    attributes.maximum_message_size = Some(1_024);
    let mut queues = Vec::new();
    for name in ["traced", "poison"] {
        let created = plain.create_queue(name).attributes(attributes.clone()).await?;
        queues.push(created.queue_url);
    }
    plain.send_message(&queues[0], "x".repeat(1_024)).await?;
    let carrier = TraceCarrier::MessageAttribute("traceparent".to_owned());
    let tracing = server
        .client_builder()
        .propagate_trace(carrier, || Some("00-4bf92f35".to_owned()))
        .build()?;
    let view = server.queue("poison").context("the queue exists")?;
    let moved = until(|| view.len() == 1);
    let (done, ended) = tokio::sync::oneshot::channel();
    let consumer = tracing.consumer(&queues[0]).wait_time(Duration::from_secs(1));
    let consumer = consumer
        .backoff(Duration::ZERO, Duration::ZERO)
        .move_poison_to(1, &queues[1]);
    consumer
        .run(async { drop(done.send(moved.await)) }, |_| async { Err::<(), ()>(()) })
        .await?;
    ended.await?
}
