//! Tests uploads in parts whose completion takes effect but whose response is lost. The repeated request finds no upload.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::{Client, Protocol};
use sqs_extended::send::SendOutput;
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedMessage, PayloadStore};

use super::scripted::{Request, Response, Scripted, Service};
use crate::harness::{Backend, Context, Harness, Outcome, unique};

const MIB: usize = 1024 * 1024;

/// Two parts of the smallest size.
const PAYLOAD: usize = 6 * MIB;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let (local, json) = (Backend::Local, Protocol::Json);
    vec![
        harness.server_test(local, json, a_completion_without_a_response_counts_as_sent),
        harness.server_test(local, json, a_vanished_upload_without_an_object_is_an_error),
        harness.server_test(local, json, a_completed_object_of_another_length_is_an_error),
        harness.server_test(local, json, an_older_object_does_not_count_as_the_payload),
        harness.server_test(local, json, a_replaced_object_counts_as_sent),
    ]
}

/// The object under the key: its length and its version.
#[derive(Clone, Copy)]
struct Object {
    length: usize,
    version: usize,
}

/// A bucket that loses the response to the first completion of an upload.
struct Bucket {
    object: Mutex<Option<Object>>,
    /// The object that a completion creates, if any.
    completes_to: Option<Object>,
    lost: AtomicBool,
    heads: AtomicUsize,
}

impl Bucket {
    fn new(before: Option<Object>, completes_to: Option<Object>) -> Arc<Self> {
        Arc::new(Self {
            object: Mutex::new(before),
            completes_to,
            lost: AtomicBool::default(),
            heads: AtomicUsize::default(),
        })
    }

    fn respond(&self, request: &Request) -> Response {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        match (&*request.method, query) {
            ("HEAD", _) => {
                self.heads.fetch_add(1, Ordering::SeqCst);
                match *self.object.lock().expect("nobody panics here") {
                    Some(object) => Response::new("200 OK", vec![0; object.length])
                        .header("ETag", format!("\"version-{}\"", object.version))
                        .header(
                            "Last-Modified",
                            format!("Wed, 25 Nov 2026 10:00:0{} GMT", object.version),
                        ),
                    None => Response::new("404 Not Found", ""),
                }
            }
            ("GET", _) => Response::new("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>"),
            ("POST", "uploads" | "uploads=") => Response::new(
                "200 OK",
                "<InitiateMultipartUploadResult><UploadId>upload</UploadId></InitiateMultipartUploadResult>",
            ),
            ("PUT", query) if query.contains("comp=blocklist") => self.complete("400 Bad Request", "InvalidBlockList"),
            ("PUT", _) => Response::new("201 Created", "")
                .header("ETag", "\"part\"")
                .header("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT"),
            ("POST", _) => self.complete("404 Not Found", "NoSuchUpload"),
            ("DELETE", _) => Response::new("204 No Content", ""),
            _ => Response::new("400 Bad Request", "<Error><Code>InvalidRequest</Code></Error>"),
        }
    }

    fn complete(&self, status: &str, code: &str) -> Response {
        if self.lost.swap(true, Ordering::SeqCst) {
            return Response::new(
                status,
                format!("<Error><Code>{code}</Code><Message>m</Message></Error>"),
            );
        }
        if self.completes_to.is_some() {
            *self.object.lock().expect("nobody panics here") = self.completes_to;
        }
        Response::lost()
    }
}

fn object(length: usize, version: usize) -> Option<Object> {
    Some(Object { length, version })
}

async fn send(
    client: &Client,
    service: Service,
    bucket: &Arc<Bucket>,
    key: Option<&str>,
) -> anyhow::Result<Result<SendOutput, sqs_extended::Error>> {
    let queue = client.create_queue(unique("multipart")).await?.queue_url;
    let responding = Arc::clone(bucket);
    let server = Scripted::start(move |request| responding.respond(request)).await?;
    let payloads = PayloadStore::from_url(&server.url(service))?.part_size(5 * MIB as u64);
    let extended = ExtendedClient::builder(client.clone())
        .payload_store(payloads.build()?)
        .build()?;
    let mut message = ExtendedMessage::new(vec![b'x'; PAYLOAD]);
    if let Some(key) = key {
        message = message.payload_key(key);
    }
    let mut sent = extended.send_messages(&queue, [message]).await;
    sent.pop().context("a result")
}

async fn a_completion_without_a_response_counts_as_sent(Context { client, .. }: Context) -> Outcome {
    for service in Service::ALL {
        let bucket = Bucket::new(None, object(PAYLOAD, 1));
        send(&client, service, &bucket, None)
            .await?
            .with_context(|| format!("{service:?}"))?;
        ensure!(
            bucket.heads.load(Ordering::SeqCst) == 1,
            "a fresh key was checked before the upload"
        );
    }
    Ok(())
}

async fn a_vanished_upload_without_an_object_is_an_error(Context { client, .. }: Context) -> Outcome {
    for service in Service::ALL {
        let error = send(&client, service, &Bucket::new(None, None), None)
            .await?
            .unwrap_err();
        ensure!(error.kind() == ErrorKind::Store, "{error:?}");
        ensure!(error.to_string().contains("no longer has the upload"), "{error}");
    }
    Ok(())
}

async fn a_completed_object_of_another_length_is_an_error(Context { client, .. }: Context) -> Outcome {
    let bucket = Bucket::new(None, object(PAYLOAD - 1, 1));
    let error = send(&client, Service::S3, &bucket, None).await?.unwrap_err();
    ensure!(error.to_string().contains("no longer has the upload"), "{error}");
    Ok(())
}

/// The caller has already sent a payload of this length under this key.
async fn an_older_object_does_not_count_as_the_payload(Context { client, .. }: Context) -> Outcome {
    let bucket = Bucket::new(object(PAYLOAD, 1), None);
    let error = send(&client, Service::S3, &bucket, Some("k")).await?.unwrap_err();
    ensure!(error.to_string().contains("no longer has the upload"), "{error}");
    Ok(())
}

async fn a_replaced_object_counts_as_sent(Context { client, .. }: Context) -> Outcome {
    for before in [None, object(PAYLOAD, 1), object(10, 1)] {
        let bucket = Bucket::new(before, object(PAYLOAD, 2));
        send(&client, Service::S3, &bucket, Some("k")).await??;
    }
    Ok(())
}
