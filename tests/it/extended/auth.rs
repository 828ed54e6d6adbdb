//! Tests that independent servers accept our signatures, and that errors contain no secrets.

use std::sync::Arc;

use libtest_mimic::Trial;
use sqs_client::{Client, Credentials, ErrorCode};
use sqs_tests::servers::Server;

use super::store::{bucket_of, bucket_with, extended};
use crate::conformance::PROTOCOLS;
use crate::harness::{Backend, Harness, Outcome, client_of, name_of, unique};

/// A secret that must not appear in any output.
const WRONG_SECRET: &str = "wrong-secret-that-is-not-shown";

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let name = name_of(&the_server_checks_our_signature);
    let mut trials = Vec::new();
    for (protocol_name, protocol) in PROTOCOLS {
        trials.push(harness.trial(format!("{name}::moto_{protocol_name}"), move |harness| {
            let moto = harness.servers.moto_with_auth().map_err(Clone::clone)?;
            let right = client_of(moto).protocol(protocol).build().expect("a client");
            let wrong = Credentials::new(moto.access_key(), WRONG_SECRET);
            let wrong = client_of(moto)
                .protocol(protocol)
                .credentials(wrong)
                .build()
                .expect("a client");
            Ok(Box::pin(the_server_checks_our_signature(right, wrong)))
        }));
    }
    trials.push(harness.trial(format!("{name}::sqs-local"), |harness| {
        let right = harness.client_for(Backend::Local)?;
        let wrong = right.clone().credentials(Credentials::new("test", WRONG_SECRET));
        let (right, wrong) = (right.build().expect("a client"), wrong.build().expect("a client"));
        Ok(Box::pin(the_server_checks_our_signature(right, wrong)))
    }));
    trials.push(harness.trial(name_of(&minio_refuses_a_wrong_secret), |harness| {
        let minio = harness.servers.minio().map_err(Clone::clone)?;
        let client = harness.client_for(Backend::Local)?.build().expect("a client");
        let store = store_with_wrong_secret(minio);
        Ok(Box::pin(minio_refuses_a_wrong_secret(client, store)))
    }));
    trials
}

async fn the_server_checks_our_signature(right: Client, wrong: Client) -> Outcome {
    let queue = right.create_queue(unique("auth")).await?.queue_url;
    right
        .send_message(&queue, "signed: grüße & = +")
        .message_attribute("a", "b")
        .await?;
    let received = right.receive_message(&queue).await?.messages;
    assert_eq!(received.len(), 1);

    let error = wrong.send_message(&queue, "x").await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::SignatureDoesNotMatch), "{error:?}");
    assert_eq!(error.status(), Some(403));
    assert!(!error.is_retryable() && !error.may_have_been_sent());
    for shown in [format!("{error}"), format!("{error:?}"), format!("{wrong:?}")] {
        assert!(!shown.contains(WRONG_SECRET), "{shown}");
    }
    Ok(())
}

fn store_with_wrong_secret(minio: &Server) -> object_store::aws::AmazonS3 {
    bucket_of(minio).expect("a bucket");
    bucket_with(minio, WRONG_SECRET).expect("valid settings")
}

async fn minio_refuses_a_wrong_secret(client: Client, store: object_store::aws::AmazonS3) -> Outcome {
    let queue = client.create_queue(unique("auth")).await?.queue_url;
    let extended = extended(client.clone(), store, "auth/");
    for size in [300_000, 20 * 1024 * 1024] {
        let error = extended.send(&queue, "x".repeat(size)).await.unwrap_err();
        assert!(!error.may_have_been_sent());
        let shown = format!("{:?}", anyhow::Error::from(error));
        assert!(shown.contains("SignatureDoesNotMatch"), "{shown}");
        assert!(!shown.contains(WRONG_SECRET), "{shown}");
    }
    assert!(!format!("{extended:?}").contains(WRONG_SECRET));
    assert!(client.receive_message(&queue).await?.messages.is_empty());
    Ok(())
}
