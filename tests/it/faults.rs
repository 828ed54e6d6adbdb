//! Tests the client against a faulty server or network: the outcome and the number of attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use libtest_mimic::Trial;
use sqs_client::client::RetryPolicy;
use sqs_client::credentials::{BoxFuture, ProvideCredentials};
use sqs_client::{Client, ClientBuilder, Credentials, Error, ErrorCode, ErrorKind, QueueAttributes};
use sqs_local::{AccessKey, Action, Fault, FaultKind, LocalSqs, Reply};
use tokio::time::Instant;

use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(transient_faults_are_retried),
        harness.test(lasting_faults_end_after_all_attempts),
        harness.test(refusals_are_not_retried),
        harness.test(retry_after_is_respected),
        harness.test(silence_ends_at_the_attempt_timeout),
        harness.test(a_trickle_ends_at_the_attempt_timeout),
        harness.test(a_slow_response_is_a_response),
        harness.test(a_long_poll_is_not_silence),
        harness.test(damage_is_detected_by_md5),
        harness.test(a_skewed_clock_is_corrected),
        harness.test(a_date_in_the_far_future_is_not_trusted),
        harness.test(an_expired_token_is_replaced),
        harness.test(an_unknown_key_is_fetched_again_once),
        harness.test(an_unreachable_server_certainly_received_nothing),
        harness.test(a_fifo_receive_whose_response_was_lost_returns_the_same_messages),
    ]
}

fn quick(attempts: u32) -> RetryPolicy {
    let moment = Duration::from_millis(1);
    RetryPolicy::standard()
        .max_attempts(attempts)
        .base_delay(moment)
        .throttled_base_delay(moment)
}

async fn server_with(
    settings: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> anyhow::Result<(LocalSqs, Client, String)> {
    let server = sqs_tests::strict().start().await?;
    let client = settings(server.client_builder().retry(quick(3))).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    Ok((server, client, queue))
}

async fn send_under(server: &LocalSqs, client: &Client, queue: &str, fault: Fault) -> (Result<(), Error>, u64) {
    let before = server.count(Action::SendMessage);
    let fault = server.faults().add(fault);
    let result = client.send_message(queue, "x").await;
    server.faults().remove(fault);
    (result.map(drop), server.count(Action::SendMessage) - before)
}

/// Returns every transient fault, and `true` if the failed attempt may still have sent the message.
fn faults() -> Vec<(FaultKind, bool)> {
    vec![
        (FaultKind::DropBefore, false),
        (FaultKind::DropAfter, true),
        (FaultKind::Reset, true),
        (FaultKind::TruncatedResponse, true),
        (FaultKind::Throttle, false),
        (FaultKind::ThrottlingException, false),
        (FaultKind::status(500), true),
        (FaultKind::status(503), true),
        (FaultKind::status(429), false),
        (FaultKind::Reply(Reply::new(502).body("<html>Bad Gateway</html>")), true),
    ]
}

async fn transient_faults_are_retried() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder).await?;
    for (kind, _) in faults() {
        let fault = Fault::on(Action::SendMessage, kind.clone()).times(2);
        let (result, attempts) = send_under(&server, &client, &queue, fault).await;
        result.with_context(|| format!("{kind:?}"))?;
        ensure!(attempts == 3, "{kind:?}: {attempts} attempts");
    }
    Ok(())
}

async fn lasting_faults_end_after_all_attempts() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder).await?;
    for (kind, sent) in faults() {
        let fault = Fault::on(Action::SendMessage, kind.clone());
        let (result, attempts) = send_under(&server, &client, &queue, fault).await;
        let error = result.err().with_context(|| format!("{kind:?} passed"))?;
        ensure!(
            attempts == 3 && error.is_retryable(),
            "{kind:?}: {attempts} attempts, {error:?}"
        );
        // A connection that breaks before the effect looks like one that breaks after it.
        let looks_sent = sent || matches!(kind, FaultKind::DropBefore);
        ensure!(error.may_have_been_sent() == looks_sent, "{kind:?}: {error:?}");
        let throttled =
            matches!(kind, FaultKind::Throttle | FaultKind::ThrottlingException) || error.status() == Some(429);
        ensure!(error.is_throttled() == throttled, "{kind:?}: {error:?}");
    }
    Ok(())
}

async fn refusals_are_not_retried() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder).await?;
    for status in [400, 403, 404, 413] {
        let fault = Fault::on(Action::SendMessage, FaultKind::status(status));
        let (result, attempts) = send_under(&server, &client, &queue, fault).await;
        let error = result.err().context("passed")?;
        ensure!(
            attempts == 1 && !error.is_retryable() && !error.may_have_been_sent(),
            "{status}: {error:?}"
        );
        assert_eq!(error.status(), Some(status));
    }
    Ok(())
}

async fn retry_after_is_respected() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder).await?;
    let reply = Reply::new(503).header("retry-after", "1");
    let begin = Instant::now();
    let fault = Fault::on(Action::SendMessage, FaultKind::Reply(reply)).times(1);
    send_under(&server, &client, &queue, fault).await.0?;
    ensure!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    Ok(())
}

async fn silence_ends_at_the_attempt_timeout() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder.attempt_timeout(Duration::from_millis(200))).await?;
    let fault = Fault::on(Action::SendMessage, FaultKind::Delay(Duration::from_secs(3_600)));
    let (result, attempts) = send_under(&server, &client, &queue, fault).await;
    let error = result.err().context("passed")?;
    ensure!(
        error.kind() == ErrorKind::Timeout && error.may_have_been_sent() && attempts == 3,
        "{error:?}"
    );

    let patient = server_with(|builder| builder.operation_timeout(Duration::from_millis(300)));
    let (server, client, queue) = patient.await?;
    let fault = Fault::on(Action::SendMessage, FaultKind::Delay(Duration::from_secs(3_600)));
    let (result, attempts) = send_under(&server, &client, &queue, fault).await;
    let error = result.err().context("passed")?;
    ensure!(
        error.kind() == ErrorKind::Timeout && attempts == 1,
        "{attempts} attempts: {error:?}"
    );

    // Without any limit.
    let endless = server_with(|builder| builder.operation_timeout(Duration::MAX).attempt_timeout(Duration::MAX));
    let (_server, client, queue) = endless.await?;
    client.receive_message(&queue).wait_time(Duration::ZERO).await?;
    Ok(())
}

/// The server is never silent for long and never finishes its response.
async fn a_trickle_ends_at_the_attempt_timeout() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder.attempt_timeout(Duration::from_millis(400))).await?;
    let within_headers = FaultKind::Trickle(Duration::from_millis(100));
    let (result, attempts) = send_under(&server, &client, &queue, Fault::on(Action::SendMessage, within_headers)).await;
    let error = result.err().context("passed")?;
    ensure!(
        error.kind() == ErrorKind::Timeout && error.may_have_been_sent() && error.is_retryable() && attempts == 3,
        "{attempts} attempts: {error:?}"
    );

    // About 200 bytes of headers arrive in time. The body does not.
    let (server, client, queue) = server_with(|builder| builder.attempt_timeout(Duration::from_secs(2))).await?;
    client.send_message(&queue, "x".repeat(100_000)).await?;
    let within_body = FaultKind::Trickle(Duration::from_millis(1));
    server
        .faults()
        .add(Fault::on(Action::ReceiveMessage, within_body).times(1));
    let receive = client
        .receive_message(&queue)
        .visibility_timeout(Duration::ZERO)
        .wait_time(Duration::ZERO);
    let received = receive.await?.messages;
    assert_eq!((received.len(), server.count(Action::ReceiveMessage)), (1, 2));
    Ok(())
}

async fn a_slow_response_is_a_response() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder).await?;
    let fault = Fault::on(Action::SendMessage, FaultKind::Trickle(Duration::from_millis(1)));
    let (result, attempts) = send_under(&server, &client, &queue, fault).await;
    result?;
    assert_eq!(attempts, 1);
    Ok(())
}

async fn a_long_poll_is_not_silence() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder.attempt_timeout(Duration::from_millis(500))).await?;
    let wait = Duration::from_secs(2);
    ensure!(
        client
            .receive_message(&queue)
            .wait_time(wait)
            .await?
            .messages
            .is_empty()
    );
    assert_eq!(server.count(Action::ReceiveMessage), 1);
    // A server that delays its response beyond the wait time counts as silent.
    let fault = Fault::on(Action::ReceiveMessage, FaultKind::Delay(Duration::from_secs(3_600)));
    server.faults().add(fault);
    let begin = Instant::now();
    let error = client
        .receive_message(&queue)
        .wait_time(Duration::from_secs(1))
        .await
        .err()
        .context("passed")?;
    ensure!(
        error.kind() == ErrorKind::Timeout && begin.elapsed() >= Duration::from_secs(3),
        "{error:?}"
    );
    assert_eq!(server.count(Action::ReceiveMessage), 4);
    Ok(())
}

async fn damage_is_detected_by_md5() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder).await?;
    let fault = || Fault::on(Action::SendMessage, FaultKind::WrongMd5);
    let (result, attempts) = send_under(&server, &client, &queue, fault()).await;
    let error = result.err().context("passed")?;
    ensure!(
        error.kind() == ErrorKind::Checksum && error.may_have_been_sent() && attempts == 1,
        "{error:?}"
    );
    server
        .faults()
        .add(Fault::on(Action::ReceiveMessage, FaultKind::WrongMd5).times(1));
    let received = client.receive_message(&queue).await?;
    ensure!(received.messages.is_empty(), "{received:?}");
    let [rejected] = &received.rejected[..] else {
        bail!("{received:?}");
    };
    ensure!(rejected.error.kind() == ErrorKind::Checksum, "{rejected:?}");
    client.delete_message(&queue, &rejected.message.receipt_handle).await?;

    let (server, client, queue) = server_with(|builder| builder.verify_checksums(false)).await?;
    send_under(&server, &client, &queue, fault()).await.0?;
    Ok(())
}

async fn a_skewed_clock_is_corrected() -> Outcome {
    for skew in [20 * 60, -20 * 60] {
        let server = sqs_tests::strict().start().await?;
        server.clock().set_skew_seconds(skew);
        let client = server.client_builder().retry(quick(3)).build()?;
        client.create_queue("q").await?;
        assert_eq!(
            server.count(Action::CreateQueue),
            2,
            "one request to learn the time and one with the corrected time"
        );
        client.create_queue("q2").await?;
        assert_eq!(server.count(Action::CreateQueue), 3, "the correction is remembered");
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the server follows the machine's clock")]
async fn a_date_in_the_far_future_is_not_trusted() -> Outcome {
    let (server, client, queue) = server_with(|builder| builder).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    // The year 10000 begins while the test runs.
    let last_second = 253_402_300_799 - i64::try_from(now.as_secs())?;
    server.clock().set_skew_seconds(last_second);
    for _ in 0..3 {
        let error = client.send_message(&queue, "x").await.err().context("passed")?;
        ensure!(error.code() == Some(&ErrorCode::InvalidSignature), "{error:?}");
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    server.clock().set_skew_seconds(0);
    client.send_message(&queue, "x").await?;
    Ok(())
}

/// A provider that returns a new key on each call.
#[derive(Debug, Default)]
struct Rotating(Arc<AtomicU32>);

impl ProvideCredentials for Rotating {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn std::error::Error + Send + Sync>>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(Credentials::new(format!("key-{number}"), "secret").with_session_token("token")) })
    }
}

async fn an_expired_token_is_replaced() -> Outcome {
    let mut builder = sqs_tests::strict();
    for number in 0..3 {
        builder = builder.access_key(AccessKey::new(format!("key-{number}"), "secret").session_token("token"));
    }
    let server = builder.start().await?;
    let calls = Arc::new(AtomicU32::new(0));
    let client = server
        .client_builder()
        .retry(quick(3))
        .credentials(Rotating(calls.clone()))
        .build()?;
    let queue = client.create_queue("q").await?.queue_url;
    server.keys().expire("key-0");
    let sends = (0..20).map(|_| client.send_message(&queue, "x").into_future());
    for sent in futures::future::join_all(sends).await {
        sent?;
    }
    // One call replaces the key for all requests.
    assert_eq!(calls.load(Ordering::SeqCst), 2);

    for number in 1..3 {
        server.keys().expire(&format!("key-{number}"));
    }
    let error = client.send_message(&queue, "x").await.err().context("passed")?;
    ensure!(!error.may_have_been_sent() && error.status() == Some(403), "{error:?}");
    Ok(())
}

/// A provider that returns these keys in order, and then the last one again.
#[derive(Debug)]
struct Listed(&'static [&'static str], Arc<AtomicU32>);

impl ProvideCredentials for Listed {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn std::error::Error + Send + Sync>>> {
        let calls = usize::try_from(self.1.fetch_add(1, Ordering::SeqCst)).unwrap_or(usize::MAX);
        let key = self.0[calls.min(self.0.len() - 1)];
        Box::pin(async move { Ok(Credentials::new(key, "test")) })
    }
}

async fn an_unknown_key_is_fetched_again_once() -> Outcome {
    for (keys, works) in [(&["unknown", "test"][..], true), (&["unknown"][..], false)] {
        let server = sqs_tests::strict().start().await?;
        let calls = Arc::new(AtomicU32::new(0));
        let client = server
            .client_builder()
            .credentials(Listed(keys, calls.clone()))
            .build()?;
        for number in 0..5 {
            match client.create_queue(format!("q{number}")).await {
                Ok(_) => ensure!(works),
                Err(error) => ensure!(
                    !works && error.code() == Some(&ErrorCode::InvalidClientTokenId),
                    "{error:?}"
                ),
            }
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        let attempts = if works { 6 } else { 5 };
        assert_eq!(server.count(Action::CreateQueue), attempts);
    }
    Ok(())
}

async fn an_unreachable_server_certainly_received_nothing() -> Outcome {
    let refused = "http://127.0.0.1:1";
    let unknown = "http://no-such-host.invalid";
    for endpoint in [refused, unknown] {
        let (one, two, three) = (
            clock_reads(endpoint, 1).await?,
            clock_reads(endpoint, 2).await?,
            clock_reads(endpoint, 3).await?,
        );
        ensure!(
            one < two && three - two == two - one,
            "{endpoint}: {one}, {two}, {three}"
        );
    }
    Ok(())
}

/// Returns how often a send to an unreachable server read the clock. Each attempt reads it equally often, because each is
/// signed anew.
async fn clock_reads(endpoint: &str, attempts: u32) -> anyhow::Result<u32> {
    let reads = Arc::new(AtomicU32::new(0));
    let counted = reads.clone();
    let client = Client::builder()
        .endpoint_url(endpoint)
        .credentials(Credentials::new("test", "test"))
        .time_source(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            SystemTime::UNIX_EPOCH
        })
        .retry(quick(attempts))
        .build()?;
    let sent = client.send_message(format!("{endpoint}/q"), "x").await;
    let error = sent.err().context("passed")?;
    ensure!(error.kind() == ErrorKind::Transport, "{error:?}");
    ensure!(error.is_retryable() && !error.may_have_been_sent(), "{error:?}");
    Ok(reads.load(Ordering::SeqCst))
}

async fn a_fifo_receive_whose_response_was_lost_returns_the_same_messages() -> Outcome {
    let (server, client, _) = server_with(|builder| builder).await?;
    let mut attributes = QueueAttributes::default();
    attributes.content_based_deduplication = Some(true);
    let queue = client.create_queue("q.fifo").attributes(attributes).await?.queue_url;
    client.send_message(&queue, "once").message_group_id("g").await?;
    server
        .faults()
        .add(Fault::on(Action::ReceiveMessage, FaultKind::DropAfter).times(1));
    let received = client.receive_message(&queue).wait_time(Duration::ZERO).await?.messages;
    assert_eq!(received.len(), 1, "the retry uses the same attempt id");
    assert_eq!(server.count(Action::ReceiveMessage), 2);
    Ok(())
}
