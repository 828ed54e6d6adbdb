//! Tests Google Cloud Storage with a bucket that responds as its XML API is documented
//! (<https://cloud.google.com/storage/docs/xml-api/reference-methods>), because no emulator accepts object_store's uploads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use percent_encoding::percent_decode_str;
use sqs_client::Protocol;
use sqs_extended::receive::PayloadOutcome;
use sqs_extended::{ExtendedClient, Payload, PayloadStore};

use super::super::store::BUCKET;
use super::scripted::{Request, Response, Scripted, Service};
use crate::harness::{Backend, Context, Harness, Outcome};

const MIB: usize = 1024 * 1024;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.server_test(Backend::Local, Protocol::Json, google_stores_payloads_of_every_size),
        harness.server_test(Backend::Local, Protocol::Json, google_says_which_payload_is_missing),
        harness.test(google_is_swept),
    ]
}

const MODIFIED: &str = "Wed, 25 Nov 2026 10:00:00 GMT";

/// The objects and the unfinished uploads of a bucket.
#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<usize, Vec<u8>>>,
}

/// An error of the XML API.
fn refused(status: &str, code: &str, details: &str) -> Response {
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>m</Message><Details>{details}</Details></Error>"
    );
    Response::new(status, body).header("Content-Type", "application/xml; charset=UTF-8")
}

/// A response with the headers of an object or a part.
fn with_headers(response: Response, content: &[u8]) -> Response {
    response
        .header("ETag", etag(content))
        .header("Last-Modified", MODIFIED)
        .header("x-goog-generation", "1795687205000000")
        .header("x-goog-metageneration", "1")
        .header("x-goog-storage-class", "STANDARD")
        .header("x-goog-stored-content-length", content.len().to_string())
}

fn etag(content: &[u8]) -> String {
    format!("\"{}-{}\"", content.len(), content.first().copied().unwrap_or_default())
}

impl Bucket {
    fn respond(&mut self, request: &Request) -> Response {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let path = percent_decode_str(path.trim_start_matches('/'))
            .decode_utf8_lossy()
            .into_owned();
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        if bucket != BUCKET {
            return refused("404 Not Found", "NoSuchBucket", "");
        }
        let option = |name: &str| {
            let mut options = query.split('&').filter_map(|option| option.split_once('='));
            options.find_map(|(found, value)| (found == name).then(|| value.to_owned()))
        };
        let upload = option("uploadId");
        match (&*request.method, upload) {
            ("PUT", None) => {
                self.objects.insert(key.to_owned(), request.body.clone());
                with_headers(Response::new("200 OK", ""), &request.body)
            }
            ("PUT", Some(id)) => {
                let number = option("partNumber")
                    .and_then(|number| number.parse().ok())
                    .unwrap_or_default();
                let Some(parts) = self.uploads.get_mut(&id) else {
                    return refused("404 Not Found", "NoSuchUpload", "");
                };
                parts.insert(number, request.body.clone());
                with_headers(Response::new("200 OK", ""), &request.body)
            }
            ("POST", None) => {
                let id = format!("upload-{}", self.uploads.len());
                self.uploads.insert(id.clone(), BTreeMap::new());
                let body = format!(
                    "<?xml version='1.0' encoding='UTF-8'?><InitiateMultipartUploadResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>\
                     <Bucket>{BUCKET}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                Response::new("200 OK", body)
            }
            ("POST", Some(id)) => self.complete(key, &id, &String::from_utf8_lossy(&request.body)),
            ("DELETE", Some(id)) => match self.uploads.remove(&id) {
                Some(_) => Response::new("204 No Content", ""),
                None => refused("404 Not Found", "NoSuchUpload", ""),
            },
            ("DELETE", None) => match self.objects.remove(key) {
                Some(_) => Response::new("204 No Content", ""),
                None => no_such_key(key),
            },
            ("GET", None) if key.is_empty() => self.list(&option("prefix").unwrap_or_default()),
            ("GET" | "HEAD", None) => match self.objects.get(key) {
                Some(content) => read(request, content),
                None => no_such_key(key),
            },
            _ => refused("400 Bad Request", "InvalidArgument", ""),
        }
    }

    /// Joins the parts that the request lists, if it names the right ETags.
    fn complete(&mut self, key: &str, id: &str, request: &str) -> Response {
        let Some(parts) = self.uploads.remove(id) else {
            return refused("404 Not Found", "NoSuchUpload", "");
        };
        let are_named = parts.iter().all(|(number, part)| {
            request.contains(&format!("<PartNumber>{number}</PartNumber>")) && request.contains(&etag(part))
        });
        if !are_named {
            return refused("400 Bad Request", "InvalidPart", "");
        }
        let content: Vec<u8> = parts.into_values().flatten().collect();
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><CompleteMultipartUploadResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>\
             <Location>l</Location><Bucket>{BUCKET}</Bucket><Key>{key}</Key><ETag>{}</ETag></CompleteMultipartUploadResult>",
            etag(&content)
        );
        self.objects.insert(key.to_owned(), content);
        Response::new("200 OK", body).header("x-goog-generation", "1795687205000000")
    }

    fn list(&self, prefix: &str) -> Response {
        let prefix = percent_decode_str(prefix).decode_utf8_lossy();
        let objects = self.objects.iter().filter(|(key, _)| key.starts_with(&*prefix)).map(|(key, content)| {
            format!(
                "<Contents><Key>{key}</Key><Generation>1795687205000000</Generation><MetaGeneration>1</MetaGeneration>\
                 <LastModified>2026-11-25T10:00:00.000Z</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                etag(content),
                content.len()
            )
        });
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>\
             <Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>{}</ListBucketResult>",
            objects.collect::<String>()
        );
        Response::new("200 OK", body)
    }
}

fn no_such_key(key: &str) -> Response {
    refused("404 Not Found", "NoSuchKey", &format!("No such object: {BUCKET}/{key}"))
}

fn read(request: &Request, content: &[u8]) -> Response {
    if request
        .header("if-match")
        .is_some_and(|expected| expected != etag(content))
    {
        return refused("412 Precondition Failed", "PreconditionFailed", "");
    }
    match request.range() {
        Some((first, last)) => {
            let last = last.min(content.len() - 1);
            with_headers(Response::new("206 Partial Content", &content[first..=last]), content)
                .header("Content-Range", format!("bytes {first}-{last}/{}", content.len()))
        }
        None => with_headers(Response::new("200 OK", content), content),
    }
}

async fn start(bucket: &Arc<Mutex<Bucket>>) -> anyhow::Result<Scripted> {
    let bucket = Arc::clone(bucket);
    Scripted::start(move |request| bucket.lock().expect("nobody panics here").respond(request)).await
}

async fn google_stores_payloads_of_every_size(context: Context) -> Outcome {
    let bucket = Arc::default();
    let server = start(&bucket).await?;
    let queue = context.queue().await?;
    let payloads = PayloadStore::from_url(&server.url(Service::Gcs))?
        .part_size(5 * MIB as u64)
        .download_concurrency(2)
        .download_part_size(4 * MIB as u64);
    let extended = ExtendedClient::builder(context.client)
        .payload_store(payloads.build()?)
        .always_offload(true)
        .build()?;
    for size in [1, 5 * MIB, 5 * MIB + 1, 11 * MIB] {
        let content: Vec<u8> = (0..size).map(|at| (at / 251 % 256) as u8).collect();
        extended
            .send(&queue, Payload::from(content.clone()))
            .await
            .with_context(|| format!("{size} bytes"))?;
        let received = extended.receive(&queue).wait_time(Duration::from_secs(5)).await?;
        let delivery = received.into_iter().next().context("a message")??;
        ensure!(delivery.bytes().await? == content, "{size} bytes changed");
        let outcome = delivery.ack().await?;
        ensure!(matches!(outcome, PayloadOutcome::PayloadDeleted), "{outcome:?}");
    }
    let stored: &Mutex<Bucket> = &bucket;
    {
        let stored = stored.lock().expect("nobody panics here");
        ensure!(
            stored.objects.is_empty() && stored.uploads.is_empty(),
            "something remains"
        );
    }
    let requests = server.requests();
    let signed = |request: &Request| request.header("authorization") == Some("Bearer t");
    ensure!(requests.iter().all(signed), "a request without the token");
    let ranges = requests.iter().filter(|request| request.range().is_some()).count();
    ensure!(ranges >= 2 + 2 + 3, "{ranges} ranges");
    Ok(())
}

async fn google_says_which_payload_is_missing(context: Context) -> Outcome {
    let bucket: Arc<Mutex<Bucket>> = Arc::default();
    let server = start(&bucket).await?;
    let queue = context.queue().await?;
    let extended = ExtendedClient::builder(context.client)
        .payload_store(PayloadStore::from_url(&server.url(Service::Gcs))?.build()?)
        .always_offload(true)
        .build()?;
    extended.send(&queue, "payload").await?;
    bucket.lock().expect("nobody panics here").objects.clear();
    let received = extended.receive(&queue).wait_time(Duration::from_secs(5)).await?;
    let delivery = received.into_iter().next().context("a message")??;
    let error = delivery.bytes().await.unwrap_err();
    ensure!(error.is_missing_payload(), "{error:?}");
    // Unlike S3, Google reports the deletion of an object that does not exist.
    let outcome = delivery.ack().await?;
    ensure!(matches!(outcome, PayloadOutcome::PayloadDeleted), "{outcome:?}");
    Ok(())
}

async fn google_is_swept() -> Outcome {
    let bucket: Arc<Mutex<Bucket>> = Arc::default();
    let names = ["p/a", "p/b/c", "q/neighbor"];
    for name in names {
        bucket
            .lock()
            .expect("nobody panics here")
            .objects
            .insert(name.to_owned(), b"12345".to_vec());
    }
    let server = start(&bucket).await?;
    let payloads = PayloadStore::from_url(&server.url(Service::Gcs))?.build()?;
    let young = payloads.sweep(Duration::from_secs(60))?.remove().await?;
    ensure!((young.seen.objects, young.old.objects) == (2, 0), "{young:?}");
    let report = payloads.sweep(Duration::ZERO)?.remove().await?;
    ensure!(
        (report.removed.objects, report.removed.bytes, report.failed) == (2, 10, 0),
        "{report:?}"
    );
    let left: Vec<_> = bucket
        .lock()
        .expect("nobody panics here")
        .objects
        .keys()
        .cloned()
        .collect();
    ensure!(left == ["q/neighbor"], "{left:?}");
    Ok(())
}
