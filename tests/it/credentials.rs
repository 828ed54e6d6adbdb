//! Tests credentials from `aws-config` and their rotation under load.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_config::{BehaviorVersion, Region};
use libtest_mimic::Trial;
use sqs_client::credentials::{AwsConfigCredentials, BoxFuture, ProvideCredentials};
use sqs_client::{ClientBuilder, Credentials, ErrorKind};
use sqs_local::AccessKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::{Harness, Outcome, client_of, name_of, unique};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.trial(name_of(&a_role_is_assumed), |harness| {
            let moto = harness.servers.moto().map_err(Clone::clone)?;
            Ok(Box::pin(a_role_is_assumed(moto.endpoint().to_owned(), client_of(moto))))
        }),
        harness.test(an_instance_role_is_used),
        harness.test(a_failing_provider_is_the_source_of_the_error),
        harness.test(key_rotation_loses_no_request),
    ]
}

async fn provided(provider: &AwsConfigCredentials) -> anyhow::Result<Credentials> {
    provider.provide_credentials().await.map_err(anyhow::Error::from_boxed)
}

async fn a_role_is_assumed(endpoint: String, builder: ClientBuilder) -> Outcome {
    let provider = AwsConfigCredentials::from_provider(role(&endpoint).await?);
    let assumed = provided(&provider).await?;
    ensure!(assumed.session_token().is_some() && assumed.expires_at().is_some());
    let client = builder.credentials(provider).build()?;
    client.create_queue(unique("role")).await?;
    Ok(())
}

async fn role(endpoint: &str) -> anyhow::Result<aws_config::sts::AssumeRoleProvider> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(AwsConfigCredentials::http_client()?)
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(aws_credential_types::Credentials::new(
            "test", "test", None, None, "tests",
        ))
        .load()
        .await;
    let role = aws_config::sts::AssumeRoleProvider::builder("arn:aws:iam::123456789012:role/reader");
    Ok(role.session_name("tests").configure(&config).build().await)
}

/// An instance metadata service returns a session token first, then the role's name, then its keys.
async fn an_instance_role_is_used() -> Outcome {
    const KEYS: &str = r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"AKID","SecretAccessKey":"s","Token":"t",
        "LastUpdated":"2026-01-01T00:00:00Z","Expiration":"2100-01-01T00:00:00Z"}"#;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let service = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = connection.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
            let (status, body) = match head.split(' ').nth(1).unwrap_or_default() {
                "/latest/api/token" => (200, "session"),
                _ if !head.contains("x-aws-ec2-metadata-token: session\r\n") => (401, ""),
                path if path.ends_with("/reader") => (200, KEYS),
                path if path.contains("security-credentials") => (200, "reader"),
                _ => (404, ""),
            };
            let response = format!(
                "HTTP/1.1 {status} OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = connection.write_all(response.as_bytes()).await;
        }
    });
    let config = aws_config::provider_config::ProviderConfig::without_region()
        .with_http_client(AwsConfigCredentials::http_client()?);
    let metadata = aws_config::imds::Client::builder()
        .configure(&config)
        .endpoint(endpoint);
    let metadata = metadata.map_err(anyhow::Error::from_boxed)?.build();
    let provider = aws_config::imds::credentials::ImdsCredentialsProvider::builder().imds_client(metadata);
    let credentials = provided(&AwsConfigCredentials::from_provider(
        provider.configure(&config).build(),
    ))
    .await?;
    assert_eq!(credentials.access_key_id(), "AKID");
    assert_eq!(credentials.session_token(), Some("t"));
    ensure!(credentials.expires_at().is_some());
    service.abort();
    Ok(())
}

async fn a_failing_provider_is_the_source_of_the_error() -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let nobody = AwsConfigCredentials::from_provider(role("http://127.0.0.1:1").await?);
    let client = server.client_builder().credentials(nobody).build()?;
    let error = client.list_queues().await.err().context("passed")?;
    ensure!(
        error.kind() == ErrorKind::Credentials && !error.may_have_been_sent(),
        "{error:?}"
    );
    ensure!(error.source().is_some(), "{error:?}");
    ensure!(server.requests().is_empty());
    Ok(())
}

const ROTATIONS: u32 = 8;

/// A provider of the newest key.
#[derive(Debug)]
struct Newest(Arc<AtomicU32>);

impl ProvideCredentials for Newest {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        let number = self.0.load(Ordering::SeqCst);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok(Credentials::new(format!("key-{number}"), "secret").with_session_token("token"))
        })
    }
}

async fn key_rotation_loses_no_request() -> Outcome {
    let mut builder = sqs_tests::strict();
    for number in 0..=ROTATIONS {
        builder = builder.access_key(AccessKey::new(format!("key-{number}"), "secret").session_token("token"));
    }
    let server = builder.start().await?;
    let newest = Arc::new(AtomicU32::new(0));
    let client = server.client_builder().credentials(Newest(newest.clone())).build()?;
    let queue = client.create_queue("rotation").await?.queue_url;
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let (client, queue, newest) = (client.clone(), queue.clone(), newest.clone());
            tokio::spawn(async move {
                let mut sent = 0_u64;
                while newest.load(Ordering::SeqCst) < ROTATIONS {
                    client.send_message(&queue, "x").await?;
                    sent += 1;
                }
                Ok::<_, sqs_client::Error>(sent)
            })
        })
        .collect();
    for number in 0..ROTATIONS {
        tokio::time::sleep(Duration::from_millis(250)).await;
        newest.store(number + 1, Ordering::SeqCst);
        server.keys().expire(&format!("key-{number}"));
    }
    let mut sent = 0;
    for sender in senders {
        sent += sender.await??;
    }
    let attributes = client
        .get_queue_attributes(&queue, [sqs_client::types::QueueAttributeName::All])
        .await?
        .attributes;
    assert_eq!(attributes.approximate_number_of_messages, Some(sent));
    Ok(())
}
