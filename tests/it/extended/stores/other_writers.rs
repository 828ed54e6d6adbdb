//! Tests behavior of other writers and servers: unusual keys, and responses about keys that were not requested.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use percent_encoding::percent_decode_str;
use serde_json::json;
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Client, OutgoingMessage, Protocol};
use sqs_extended::receive::{PayloadOutcome, RetainReason};
use sqs_extended::sweep::SweepReport;
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedDelivery, PayloadStore};

use super::super::store::BUCKET;
use super::scripted::{Request, Response, Scripted, Service};
use crate::harness::{Backend, Context, Harness, Outcome, unique};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let (local, json) = (Backend::Local, Protocol::Json);
    vec![
        harness.server_test(local, json, unusual_keys_are_read),
        harness.server_test(local, json, an_unrequested_key_in_a_bulk_delete_is_reported),
        harness.test(an_unrequested_key_in_a_bulk_delete_does_not_end_a_sweep),
        harness.test(unfinished_uploads_are_swept),
        harness.test(an_unexplained_404_for_an_upload_is_a_failure),
        harness.server_test(local, json, weak_etags_do_not_mix_versions),
    ]
}

const MODIFIED: &str = "Wed, 25 Nov 2026 10:00:00 GMT";

/// Receives a message that another writer sent, with this value as its size.
async fn from_another_writer(
    client: &Client,
    server: &Scripted,
    service: Service,
    key: &str,
    size: MessageAttributeValue,
) -> anyhow::Result<Result<ExtendedDelivery, sqs_extended::receive::Rejected>> {
    let queue = client.create_queue(unique("foreign")).await?.queue_url;
    let object = json!({"s3BucketName": BUCKET, "s3Key": key});
    let pointer = json!(["software.amazon.payloadoffloading.PayloadS3Pointer", object]);
    let message = OutgoingMessage::new(pointer.to_string()).message_attribute("ExtendedPayloadSize", size);
    client.send_message(&queue, message).await?;
    let payloads = PayloadStore::from_url(&server.url(service))?.build()?;
    let extended = ExtendedClient::builder(client.clone())
        .payload_store(payloads)
        .build()?;
    let received = extended.receive(&queue).wait_time(Duration::from_secs(5)).await?;
    received.into_iter().next().context("a message")
}

fn payload(request: &Request) -> Response {
    match &*request.method {
        "GET" => Response::new("200 OK", "payload")
            .header("ETag", "\"e\"")
            .header("Last-Modified", MODIFIED),
        _ => Response::new("204 No Content", ""),
    }
}

async fn unusual_keys_are_read(Context { client, .. }: Context) -> Outcome {
    let keys = [
        "p/50% off.json",
        "p/a%2Fb",
        "p/100%25",
        "p/%zz",
        "p/%",
        "p//k",
        "p/a///b",
        "p/k/",
        "p/k//",
        "p/ü ~?#&=",
    ];
    for service in Service::ALL {
        for key in keys {
            let server = Scripted::start(payload).await?;
            let size = MessageAttributeValue::string("7");
            let delivery = from_another_writer(&client, &server, service, key, size).await?;
            if service == Service::Azure && key.ends_with('/') {
                let rejected = delivery.err().context("Azure's client cannot name this key")?;
                ensure!(rejected.error().kind() == ErrorKind::RefusedPointer);
                ensure!(server.requests().is_empty());
                continue;
            }
            let delivery = delivery.with_context(|| format!("{key} of {service:?}"))?;
            ensure!(delivery.size() == Some(7));
            ensure!(delivery.text().await? == "payload");
            let requests = server.requests();
            let target = percent_decode_str(&requests[0].target).decode_utf8()?;
            ensure!(
                target == format!("/{BUCKET}/{key}"),
                "{target} for {key} of {service:?}"
            );
        }
    }
    Ok(())
}

const LISTED: &str = "<ListBucketResult><Contents><Key>p/k</Key><Size>7</Size>\
    <LastModified>2026-11-25T10:00:00.000Z</LastModified><ETag>\"e\"</ETag></Contents></ListBucketResult>";

/// Responds like a bucket whose bulk deletes report a failure of a key that was not requested.
fn names_another_key(request: &Request) -> Response {
    match (&*request.method, &*request.target) {
        ("POST", _) => Response::new(
            "200 OK",
            "<DeleteResult><Error><Key>p/another</Key><Code>AccessDenied</Code><Message>m</Message></Error></DeleteResult>",
        ),
        ("GET", target) if target.contains("list-type=2") => Response::new("200 OK", LISTED),
        ("HEAD", _) => Response::new("200 OK", "payload")
            .header("ETag", "\"e\"")
            .header("Last-Modified", MODIFIED),
        ("PUT", _) => Response::new("200 OK", "").header("ETag", "\"e\""),
        _ => payload(request),
    }
}

async fn an_unrequested_key_in_a_bulk_delete_is_reported(Context { client, .. }: Context) -> Outcome {
    let server = Scripted::start(names_another_key).await?;
    let size = MessageAttributeValue::number(7);
    let delivery = from_another_writer(&client, &server, Service::S3, "p/k", size).await??;
    let PayloadOutcome::PayloadRetained(RetainReason::DeleteFailed(error)) = delivery.ack().await? else {
        anyhow::bail!("the payload was reported as deleted");
    };
    ensure!(error.kind() == ErrorKind::Store, "{error:?}");
    ensure!(!error.to_string().contains("runtime"), "{error}");
    ensure!(format!("{error:?}").contains("panicked"), "{error:?}");
    Ok(())
}

async fn an_unrequested_key_in_a_bulk_delete_does_not_end_a_sweep() -> Outcome {
    let server = Scripted::start(names_another_key).await?;
    let payloads = PayloadStore::from_url(&server.url(Service::S3))?.build()?;
    let report = tokio::spawn(async move { payloads.sweep(Duration::ZERO)?.remove().await }).await??;
    let SweepReport {
        seen, removed, failed, ..
    } = report;
    ensure!((seen.objects, removed.objects, failed) == (1, 0, 1), "{report:?}");
    Ok(())
}

/// Starts a bucket with one unfinished upload and this response to its abort.
async fn bucket_of_uploads(abort: Response) -> anyhow::Result<Scripted> {
    const UPLOADS: &str = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>p/k</Key>\
        <UploadId>u</UploadId><Initiated>2026-11-24T15:09:33.000Z</Initiated></Upload></ListMultipartUploadsResult>";
    Scripted::start(move |request| match &*request.method {
        "PUT" => Response::new("200 OK", "").header("ETag", "\"e\""),
        "HEAD" => Response::new("200 OK", "x")
            .header("ETag", "\"e\"")
            .header("Last-Modified", MODIFIED),
        "GET" if request.target.contains("uploads") => Response::new("200 OK", UPLOADS),
        "GET" => Response::new("200 OK", "<ListBucketResult></ListBucketResult>"),
        "DELETE" if request.target.contains("uploadId=u") => abort.clone(),
        _ => Response::new("200 OK", "<DeleteResult></DeleteResult>"),
    })
    .await
}

async fn swept_uploads(abort: Response) -> anyhow::Result<[u64; 3]> {
    let server = bucket_of_uploads(abort).await?;
    let payloads = PayloadStore::from_url(&server.url(Service::S3))?.build()?;
    let uploads = payloads
        .sweep(Duration::from_secs(60))?
        .unfinished_uploads(true)
        .remove()
        .await?
        .uploads;
    Ok([uploads.old, uploads.removed, uploads.failed])
}

async fn unfinished_uploads_are_swept() -> Outcome {
    let gone = Response::new("404 Not Found", "<Error><Code>NoSuchUpload</Code></Error>");
    for abort in [Response::new("204 No Content", ""), gone] {
        ensure!(swept_uploads(abort).await? == [1, 1, 0]);
    }
    Ok(())
}

async fn an_unexplained_404_for_an_upload_is_a_failure() -> Outcome {
    for body in ["404 page not found", "", "<Error><Code>NoSuchBucket</Code></Error>"] {
        ensure!(
            swept_uploads(Response::new("404 Not Found", body)).await? == [1, 0, 1],
            "{body}"
        );
    }
    Ok(())
}

/// The connection breaks, and the payload is replaced by one with the same length and weak ETag. object_store resumes
/// such a download by itself.
async fn weak_etags_do_not_mix_versions(Context { client, .. }: Context) -> Outcome {
    const LENGTH: usize = 5000;
    let version = |status: &str, bytes: Vec<u8>, hour: u8| {
        Response::new(status, bytes)
            .header("ETag", "W/\"same\"")
            .header("Last-Modified", format!("Wed, 25 Nov 2026 {hour}:00:00 GMT"))
    };
    let server = Scripted::start(move |request| match request.range() {
        Some((first, last)) => version("206 Partial Content", vec![b'2'; last + 1 - first], 11)
            .header("Content-Range", format!("bytes {first}-{last}/{LENGTH}")),
        None if request.method == "HEAD" => version("200 OK", vec![b'2'; LENGTH], 11),
        None => version("200 OK", vec![b'1'; LENGTH], 10).cut_after(100),
    })
    .await?;
    let size = MessageAttributeValue::number(LENGTH);
    let delivery = from_another_writer(&client, &server, Service::S3, "p/k", size).await??;
    let error = delivery.bytes().await.map(|bytes| bytes.len()).unwrap_err();
    ensure!(error.to_string().contains("was replaced"), "{error}");
    Ok(())
}
