//! Tests the credentials of stores that are configured by URL, and where signed requests are sent.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::Credentials;
use sqs_extended::sweep::Sweep;
use sqs_extended::{Error, ExtendedClient, PayloadStore};
use sqs_local::AccessKey;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::fake_http::FakeHttp;
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_store_by_url_signs_with_the_queues_credentials),
        harness.test(keys_in_the_url_take_precedence),
        harness.test(a_skewed_clock_is_named_in_the_error),
        harness.test(a_silent_metadata_service_times_out),
        harness.test(redirects_are_not_followed),
    ]
}

const STORED: &str = "200 OK\r\netag: \"x\"";

/// Sends a payload to a store at this URL. The access key of the SQS client is `queue-key`.
async fn send(store: &str) -> anyhow::Result<Result<(), Error>> {
    let key = AccessKey::new("queue-key", "secret").session_token("hush");
    let server = sqs_tests::strict().access_key(key).start().await?;
    let credentials = Credentials::new("queue-key", "secret").with_session_token("hush");
    let client = server.client_builder().credentials(credentials).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    let extended = ExtendedClient::builder(client)
        .payload_store(PayloadStore::from_url(store)?.build()?)
        .always_offload(true)
        .build()?;
    Ok(extended.send(queue, "a payload").await.map(drop))
}

async fn a_store_by_url_signs_with_the_queues_credentials() -> Outcome {
    let store = FakeHttp::start(STORED, "").await?;
    send(&format!("s3://bucket/p?endpoint={}", store.endpoint)).await??;
    let heads = store.heads();
    let signed = |head: &String| head.contains("credential=queue-key/") && head.contains("x-amz-security-token: hush");
    ensure!(heads.len() == 1 && heads.iter().all(signed), "{heads:?}");
    Ok(())
}

async fn keys_in_the_url_take_precedence() -> Outcome {
    let store = FakeHttp::start(STORED, "").await?;
    let keys = "access_key_id=store-key&secret_access_key=x";
    send(&format!("s3://bucket/p?endpoint={}&{keys}", store.endpoint)).await??;
    let heads = store.heads();
    let signed = |head: &String| head.contains("credential=store-key/") && !head.contains("hush");
    ensure!(heads.len() == 1 && heads.iter().all(signed), "{heads:?}");
    Ok(())
}

async fn a_skewed_clock_is_named_in_the_error() -> Outcome {
    let refusal = "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the \
                   current time is too large.</Message></Error>";
    let store = FakeHttp::start("403 Forbidden", refusal).await?;
    let sent = send(&format!("s3://bucket/p?endpoint={}", store.endpoint)).await?;
    let error = sent.err().context("passed")?;
    ensure!(error.to_string().contains("clock"), "{error}");
    Ok(())
}

async fn a_silent_metadata_service_times_out() -> Outcome {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let store = FakeHttp::start(STORED, "").await?;
    let (endpoint, metadata) = (&store.endpoint, silent.local_addr()?);
    let url = format!("s3://bucket/p?endpoint={endpoint}&metadata_endpoint=http://{metadata}");
    let begin = Instant::now();
    let swept = Sweep::from_url(&url, Duration::ZERO)?.remove().await;
    ensure!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    let error = swept.err().context("passed")?;
    let source = error.source().context("a source")?.to_string();
    ensure!(source.contains("metadata service"), "{source}");
    ensure!(store.heads().is_empty());
    Ok(())
}

async fn redirects_are_not_followed() -> Outcome {
    let other = FakeHttp::start(STORED, "").await?;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let store = FakeHttp::start(&format!("{status}\r\nlocation: {}/bucket/p", other.endpoint), "").await?;
        let sent = send(&format!("s3://bucket/p?endpoint={}", store.endpoint)).await?;
        ensure!(sent.is_err(), "{status}");
        ensure!(
            !store.heads().is_empty() && other.heads().is_empty(),
            "{status}: {:?}",
            other.heads()
        );
    }
    Ok(())
}
