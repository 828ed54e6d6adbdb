//! Tests sweeps of stores that refuse something, and of keys that object_store cannot list.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use libtest_mimic::Trial;
use sqs_extended::sweep::{Sweep, SweepReport};
use sqs_extended::{Error, ErrorKind, PayloadStore};

use super::scripted::{Request, Response, Scripted, Service};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_store_that_refuses_empty_objects_is_swept),
        harness.test(a_sweep_without_the_permission_to_write_says_what_it_needs),
        harness.test(a_store_without_times_is_refused),
        harness.test(keys_that_object_store_cannot_list_are_swept_on_s3),
        harness.test(a_key_that_cannot_be_listed_is_explained),
    ]
}

const MODIFIED: &str = "Wed, 25 Nov 2026 10:00:00 GMT";

fn stored() -> Response {
    Response::new("200 OK", "x")
        .header("ETag", "\"e\"")
        .header("Last-Modified", MODIFIED)
}

/// Responds like a bucket with this list of objects.
fn bucket(request: &Request, list: &str) -> Response {
    match &*request.method {
        "PUT" | "HEAD" => stored(),
        "GET" => Response::new("200 OK", list),
        // Deletes all objects that the request names.
        "POST" => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
            let deleted = keys.map(|(key, _)| format!("<Deleted><Key>{key}</Key></Deleted>"));
            Response::new(
                "200 OK",
                format!("<DeleteResult>{}</DeleteResult>", deleted.collect::<String>()),
            )
        }
        _ => Response::new("204 No Content", ""),
    }
}

async fn sweep(server: &Scripted, service: Service) -> Result<SweepReport, Error> {
    let payloads = PayloadStore::from_url(&server.url(service))?.build()?;
    payloads.sweep(Duration::ZERO)?.remove().await
}

async fn a_store_that_refuses_empty_objects_is_swept() -> Outcome {
    let server = Scripted::start(|request| match &*request.method {
        "PUT" if request.body.is_empty() => {
            Response::new("400 Bad Request", "<Error><Code>InvalidRequest</Code></Error>")
        }
        _ => bucket(request, "<ListBucketResult></ListBucketResult>"),
    })
    .await?;
    let report = sweep(&server, Service::S3).await?;
    ensure!(report == SweepReport::default(), "{report:?}");
    Ok(())
}

async fn a_sweep_without_the_permission_to_write_says_what_it_needs() -> Outcome {
    const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    for service in Service::ALL {
        let server = Scripted::start(|request| match &*request.method {
            "PUT" => Response::new("403 Forbidden", DENIED),
            _ => bucket(request, "<ListBucketResult></ListBucketResult>"),
        })
        .await?;
        let error = sweep(&server, service).await.unwrap_err();
        let shown = error.to_string();
        ensure!(error.kind() == ErrorKind::Store && !error.is_retryable(), "{error:?}");
        ensure!(shown.contains("write one byte under the prefix"), "{shown}");
        ensure!(shown.contains("give these credentials the permission"), "{shown}");
        let methods: Vec<_> = server.requests().into_iter().map(|request| request.method).collect();
        ensure!(methods == ["PUT"], "the sweep continued: {methods:?}");
    }
    Ok(())
}

async fn a_store_without_times_is_refused() -> Outcome {
    let server = Scripted::start(|request| match &*request.method {
        "HEAD" => Response::new("200 OK", "x").header("ETag", "\"e\""),
        _ => bucket(request, "<ListBucketResult></ListBucketResult>"),
    })
    .await?;
    let error = sweep(&server, Service::S3).await.unwrap_err();
    ensure!(error.kind() == ErrorKind::Store, "{error:?}");
    ensure!(error.to_string().contains("Last-Modified"), "{error}");
    let requests = server.requests();
    ensure!(
        requests.iter().any(|request| request.method == "POST"),
        "its object was not removed"
    );
    ensure!(
        !requests.iter().any(|request| request.method == "GET"),
        "it listed the objects"
    );
    Ok(())
}

fn list(keys: &[&str], next: &str) -> String {
    let objects = keys.iter().map(|key| {
        format!("<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-11-25T10:00:00Z</LastModified></Contents>")
    });
    let objects: String = objects.collect();
    let next = match next {
        "" => String::new(),
        token => format!("<NextContinuationToken>{token}</NextContinuationToken>"),
    };
    format!("<ListBucketResult>{objects}{next}</ListBucketResult>")
}

/// Only our own requests contain a start, because object_store's list fails at the second page.
async fn keys_that_object_store_cannot_list_are_swept_on_s3() -> Outcome {
    let server = Scripted::start(|request| {
        let has = |part: &str| request.target.contains(part);
        let page = if has("start-after=p%2F%212") {
            list(&["p//3", "p/4/"], "ours")
        } else if has("continuation-token=ours") {
            list(&["p/5"], "")
        } else if has("continuation-token=theirs") {
            list(&["p//3", "p/4/"], "never-requested")
        } else if has("continuation-token") {
            return Response::new("400 Bad Request", "<Error><Code>InvalidRequest</Code></Error>");
        } else {
            list(&["p/!1", "p/!2"], "theirs")
        };
        bucket(request, &page)
    })
    .await?;
    let report = sweep(&server, Service::S3).await?;
    let counts = (
        report.seen.objects,
        report.old.objects,
        report.removed.objects,
        report.failed,
    );
    ensure!(counts == (5, 5, 5, 0), "{report:?}");
    let requests = server.requests();
    let deletions = requests.iter().filter(|request| request.method == "POST");
    let bodies: Vec<_> = deletions
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    for key in ["p/!1", "p/!2", "p//3", "p/4/", "p/5"] {
        let element = format!("<Key>{key}</Key>");
        ensure!(bodies.iter().any(|body| body.contains(&element)), "{key}: {bodies:?}");
    }
    Ok(())
}

async fn a_key_that_cannot_be_listed_is_explained() -> Outcome {
    let server = Scripted::start(|request| bucket(request, &list(&["p//3"], ""))).await?;
    let url = server.url(Service::Gcs);
    let error = Sweep::from_url(&url, Duration::ZERO)?.remove().await.unwrap_err();
    let shown = format!("{error:?}");
    ensure!(shown.contains("empty segment") && shown.contains("p//3"), "{shown}");
    Ok(())
}
