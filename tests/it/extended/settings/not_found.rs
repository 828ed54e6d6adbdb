//! Tests 404 responses by something other than the store, and by the store about something other than the payload.

use std::sync::Arc;

use anyhow::ensure;
use libtest_mimic::Trial;
use sqs_client::OutgoingMessage;
use sqs_extended::receive::MissingPayload;
use sqs_extended::{ErrorKind, ExtendedClient, PayloadStore};

use super::super::store::BUCKET;
use super::super::stores::scripted::{Response, Scripted, Service};
use super::{Fixture, delivery, test};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        test(harness, other_404s_keep_the_message),
        test(harness, a_missing_object_deletes_the_message),
    ]
}

fn xml(code: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>m</Message></Error>")
}

/// Sends a message with a pointer and fetches its payload from a store that responds with this 404. Returns the error's
/// kind, and `true` if the message was kept.
async fn fetched(fixture: &Fixture, service: Service, body: &str, in_parts: bool) -> anyhow::Result<(ErrorKind, bool)> {
    let body = body.to_owned();
    let server = Scripted::start(move |_| Response::new("404 Not Found", body.as_bytes())).await?;
    let mut payloads = PayloadStore::from_url(&server.url(service))?;
    if in_parts {
        payloads = payloads.download_concurrency(2).download_part_size(8 * 1024 * 1024);
    }
    let extended = ExtendedClient::builder(fixture.client.clone())
        .payload_store(payloads.build()?)
        .missing_payload(MissingPayload::Delete)
        .build()?;
    let pointer = format!(
        r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"{BUCKET}","s3Key":"p/k"}}]"#
    );
    let size = sqs_client::types::MessageAttributeValue::number(100_000_000);
    let message = OutgoingMessage::new(pointer).message_attribute("ExtendedPayloadSize", size);
    fixture.client.send_message(&fixture.queue, message).await?;
    let delivery = delivery(&extended, &fixture.queue).await?;
    let error = delivery.stream().await.map(drop).unwrap_err();
    let kept = !fixture.messages(&fixture.queue).is_empty();
    if kept {
        let handle = delivery.receipt_handle();
        fixture.client.delete_message(&fixture.queue, handle).await?;
    }
    let requests = server.requests().len();
    ensure!(requests == 1, "the store was called {requests} times");
    Ok((error.kind(), kept))
}

async fn other_404s_keep_the_message(fixture: Fixture) -> Outcome {
    let html = "<html><body><h1>404 Not Found</h1><Code>NoSuchKey</Code> No such object: </body></html>";
    let unrelated = ["", "404 page not found\n", html, "{}", "<Error>", "null"];
    let cases = Service::ALL
        .map(|service| unrelated.map(|body| (service, body.to_owned())))
        .concat();
    let buckets = [
        (Service::S3, xml("NoSuchBucket")),
        (Service::Azure, xml("ContainerNotFound")),
        (Service::Azure, xml("ResourceNotFound")),
        (Service::Gcs, xml("NoSuchBucket")),
        (
            Service::Gcs,
            r#"{"error":{"code":404,"message":"The specified bucket does not exist.","errors":[{"reason":"notFound"}]}}"#
                .to_owned(),
        ),
                // Only the first code counts, because the rest may quote a key.
        (
            Service::S3,
            "<Error><Code>NoSuchBucket</Code><Key><Code>NoSuchKey</Code></Key></Error>".to_owned(),
        ),
    ];
    for (service, body) in cases.into_iter().chain(buckets) {
        for in_parts in [false, true] {
            let (error, kept) = fetched(&fixture, service, &body, in_parts).await?;
            ensure!(
                kept,
                "the message is deleted after {body:?} of {service:?}, in parts: {in_parts}"
            );
            ensure!(error == ErrorKind::Store, "{body:?} of {service:?}: {error:?}");
        }
    }
    Ok(())
}

async fn a_missing_object_deletes_the_message(fixture: Fixture) -> Outcome {
    let missing = [
        (Service::S3, xml("NoSuchKey")),
        (Service::S3, "<Error>\n  <Code>NoSuchKey</Code></Error>".to_owned()),
        (Service::Azure, format!("\u{feff}{}", xml("BlobNotFound"))),
        (Service::Gcs, xml("NoSuchKey")),
        (Service::Gcs, format!("No such object: {BUCKET}/p/k")),
        (
            Service::Gcs,
            format!(
                r#"{{"error":{{"code":404,"message":"No such object: {BUCKET}/p/k","errors":[{{"reason":"notFound"}}]}}}}"#
            ),
        ),
    ];
    for (service, body) in missing {
        for in_parts in [false, true] {
            let (error, kept) = fetched(&fixture, service, &body, in_parts).await?;
            ensure!(error == ErrorKind::MissingPayload, "{body:?} of {service:?}: {error:?}");
            ensure!(!kept, "the message is kept after {body:?} of {service:?}");
        }
    }
    Ok(())
}
