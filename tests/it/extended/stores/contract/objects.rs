//! Tests the properties of objects that the library relies on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use libtest_mimic::Trial;
use object_store::aws::{AmazonS3, Checksum};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, Error, GetOptions, ObjectStore as _, ObjectStoreExt as _,
    RetryConfig, TagSet,
};
use sqs_client::Client;
use sqs_extended::store::{PayloadStore, StoreConnector};
use sqs_extended::{ExtendedClient, Payload};

use super::place::{Kind, PART, Place, Quirk};
use super::{queue_test, test};
use crate::harness::{Harness, Outcome, unique};

pub fn trials(harness: &Arc<Harness>, kind: Kind) -> Vec<Trial> {
    let mut trials = vec![
        test(harness, kind, ranges_are_of_the_version_that_was_requested),
        test(harness, kind, many_objects_are_deleted_at_once),
        queue_test(harness, kind, attributes_and_tags_are_stored),
    ];
    if kind.is_s3() {
        trials.push(queue_test(harness, kind, payloads_with_a_crc64_are_stored));
        trials.push(test(harness, kind, an_upload_that_was_damaged_on_its_way_is_refused));
    }
    trials
}

async fn ranges_are_of_the_version_that_was_requested(place: Place) -> Outcome {
    let key = place.key("k");
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    place.store.put(&key, content.clone().into()).await?;
    let version = place.store.head(&key).await?.e_tag.context("an ETag")?;
    let range = |range: std::ops::Range<u64>| {
        let options = GetOptions::new()
            .with_range(Some(range))
            .with_if_match(Some(version.clone()));
        place.store.get_opts(&key, options)
    };
    for (from, to) in [(0, 1), (1_000, 70_000), (99_999, 100_000)] {
        let part = range(from..to).await?;
        ensure!(part.meta.size == 100_000 && part.meta.e_tag.as_ref() == Some(&version));
        ensure!(
            part.bytes().await? == content[from as usize..to as usize],
            "{from}..{to}"
        );
    }
    place.store.put(&key, vec![0; 100_000].into()).await?;
    match range(0..10).await {
        Err(Error::Precondition { .. }) => {}
        // The response still tells its version, which downloads compare.
        Ok(part) if place.kind.has(Quirk::IgnoresIfMatch) => ensure!(part.meta.e_tag != Some(version)),
        other => anyhow::bail!("{other:?}"),
    }
    place.store.delete(&key).await?;
    Ok(())
}

async fn many_objects_are_deleted_at_once(place: Place) -> Outcome {
    let keys: Vec<_> = ["a", "b/c", "d e&f<g>", "50%"].map(|name| place.key(name)).into();
    for key in &keys {
        place.store.put(key, "x".into()).await?;
    }
    let all: Vec<_> = keys
        .iter()
        .cloned()
        .chain([place.key("never-stored")])
        .map(Ok)
        .collect();
    let results: Vec<_> = place.store.delete_stream(stream::iter(all).boxed()).collect().await;
    let (mut deleted, mut missing) = (Vec::new(), 0);
    for result in results {
        match result {
            Ok(key) => deleted.push(key),
            // Azure reports an object that does not exist, and S3 does not.
            Err(Error::NotFound { .. }) => missing += 1,
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(
        keys.iter().all(|key| deleted.contains(key)) && missing <= 1,
        "{deleted:?}"
    );
    ensure!(place.keys().await?.is_empty(), "an object remains");
    Ok(())
}

async fn attributes_and_tags_are_stored(place: Place, client: Client) -> Outcome {
    let queue = client.create_queue(unique("attributes")).await?.queue_url;
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/plain"),
        (Attribute::CacheControl, "no-store"),
        (Attribute::Metadata("owner".into()), "tests"),
    ]);
    let mut tags = TagSet::default();
    tags.push("stage", "test");
    let payloads = place
        .payloads()
        .object_attributes(attributes.clone())
        .object_tags(tags)
        .build()?;
    let extended = ExtendedClient::builder(client)
        .payload_store(payloads)
        .always_offload(true)
        .build()?;
    for size in [7, PART + 1] {
        let sent = extended
            .send(&queue, vec![b'x'; size])
            .await
            .with_context(|| format!("{size} bytes"))?;
        let key = Path::from(sent.pointer.context("a pointer")?.key);
        let stored = place.store.get_opts(&key, GetOptions::new()).await?.attributes;
        let forgets =
            |name: &Attribute| matches!(name, Attribute::Metadata(_)) && place.kind.has(Quirk::ForgetsMetadata);
        for (name, value) in attributes.iter().filter(|(name, _)| !forgets(name)) {
            ensure!(stored.get(name) == Some(value), "{name:?} of {size} bytes: {stored:?}");
        }
        if let (Some(bucket), false) = (&place.s3, place.kind.has(Quirk::ForgetsTags)) {
            let tags = tags_of(&bucket.store()?, &key).await?;
            ensure!(
                tags.contains("<Key>stage</Key><Value>test</Value>"),
                "{size} bytes: {tags}"
            );
        }
        place.store.delete(&key).await?;
    }
    Ok(())
}

/// Returns S3's description of an object's tags, which object_store cannot read.
async fn tags_of(store: &AmazonS3, key: &Path) -> anyhow::Result<String> {
    let options = SignedUrlOptions::new().with_query([("tagging", "")]);
    let url = store.signed_url_opts(reqwest::Method::GET, key, Duration::from_secs(60), &options);
    let http = sqs_client::client::http_client_builder()?.build()?;
    Ok(http.get(url.await?).send().await?.text().await?)
}

async fn payloads_with_a_crc64_are_stored(place: Place, client: Client) -> Outcome {
    let queue = client.create_queue(unique("crc64")).await?.queue_url;
    for more in ["", "&unsigned_payload=true"] {
        let url = format!("{}&checksum_algorithm=crc64nvme{more}", place.url());
        let payloads = PayloadStore::from_url(&url)?.part_size(PART as u64).build()?;
        let extended = ExtendedClient::builder(client.clone())
            .payload_store(payloads)
            .always_offload(true)
            .build()?;
        for size in [7, 2 * PART + 1] {
            let content: Vec<u8> = (0..size).map(|at| (at / 251 % 256) as u8).collect();
            extended
                .send(&queue, Payload::from(content.clone()))
                .await
                .with_context(|| format!("{size} bytes{more}"))?;
            let delivery = extended.receive(&queue).await?.remove(0)?;
            ensure!(delivery.bytes().await? == content, "{size} bytes{more} changed");
            delivery.ack().await?;
        }
    }
    ensure!(place.keys().await?.is_empty(), "an object remains");
    Ok(())
}

async fn an_upload_that_was_damaged_on_its_way_is_refused(place: Place) -> Outcome {
    let bucket = place.s3.as_ref().context("S3")?;
    let store = bucket
        .builder()
        .with_http_connector(Damaging)
        .with_unsigned_payload(true)
        .with_checksum_algorithm(Checksum::CRC64NVME)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 0,
            ..RetryConfig::default()
        })
        .build()?;
    let key = place.key("damaged");
    let stored = store.put(&key, "payload".into()).await;
    let mut upload = store.put_multipart(&key).await?;
    let part = upload.put_part(vec![0; PART].into()).await;
    let completed = match part {
        Ok(()) => upload.complete().await.map(drop),
        Err(error) => upload.abort().await.and(Err(error)),
    };
    if !place.kind.has(Quirk::IgnoresChecksums) {
        ensure!(stored.is_err(), "the store kept a damaged payload");
    }
    if !place.kind.has(Quirk::IgnoresChecksumsOfParts) {
        ensure!(completed.is_err(), "the store kept a damaged part");
    }
    let keeps = place.kind.has(Quirk::IgnoresChecksums) || place.kind.has(Quirk::IgnoresChecksumsOfParts);
    ensure!(
        place.keys().await?.is_empty() != keeps,
        "the stored objects differ from the results"
    );
    Ok(())
}

/// A connector that changes a byte of every payload after its checksum was computed.
#[derive(Debug)]
struct Damaging;

impl HttpConnector for Damaging {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(DamagingClient(StoreConnector::new().connect(options)?)))
    }
}

#[derive(Debug)]
struct DamagingClient(HttpClient);

#[async_trait]
impl HttpService for DamagingClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let is_payload = parts
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("x-amz-checksum-"));
        let body = if is_payload && body.content_length() > 0 {
            HttpRequestBody::from(vec![b'!'; body.content_length()])
        } else {
            body
        };
        self.0.execute(HttpRequest::from_parts(parts, body)).await
    }
}
