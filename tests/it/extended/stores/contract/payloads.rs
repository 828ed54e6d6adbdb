//! Tests payloads from end to end: sent, received, downloaded and acknowledged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::json;
use sqs_client::types::MessageAttributeValue;
use sqs_client::{Client, OutgoingMessage};
use sqs_extended::receive::PayloadOutcome;
use sqs_extended::store::{PayloadStore, PayloadStoreBuilder};
use sqs_extended::sweep::Sweep;
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedDelivery, Payload};
use tokio::sync::oneshot;

use super::super::super::store::BUCKET;
use super::place::{Kind, PART, Place, Quirk};
use super::queue_test;
use crate::harness::{Harness, Outcome, unique};

pub fn trials(harness: &Arc<Harness>, kind: Kind) -> Vec<Trial> {
    let mut trials = vec![
        queue_test(harness, kind, payloads_of_every_size_arrive_unchanged),
        queue_test(harness, kind, a_replaced_payload_is_not_mixed_with_the_old_one),
        queue_test(harness, kind, unusual_keys_are_read_and_deleted),
        queue_test(
            harness,
            kind,
            a_missing_object_is_a_missing_payload_and_a_missing_bucket_is_not,
        ),
        queue_test(harness, kind, a_dropped_upload_leaves_nothing),
    ];
    if !kind.has(Quirk::AcceptsAnySecret) {
        trials.push(queue_test(harness, kind, a_wrong_secret_is_refused_and_not_shown));
    }
    trials
}

fn extended(client: &Client, payloads: PayloadStoreBuilder) -> anyhow::Result<ExtendedClient> {
    let builder = ExtendedClient::builder(client.clone()).payload_store(payloads.build()?);
    Ok(builder.always_offload(true).build()?)
}

async fn receive_one(extended: &ExtendedClient, queue: &str) -> anyhow::Result<ExtendedDelivery> {
    let received = extended.receive(queue).wait_time(Duration::from_secs(5)).await?;
    Ok(received.into_iter().next().context("a message")??)
}

/// Sends a message that points to this key, as another writer does that knows no length and no digest.
async fn send_pointer(client: &Client, queue: &str, key: &Path, length: usize) -> Outcome {
    let object = json!({"s3BucketName": BUCKET, "s3Key": key.as_ref()});
    let pointer = json!(["software.amazon.payloadoffloading.PayloadS3Pointer", object]);
    let size = MessageAttributeValue::number(length);
    let message = OutgoingMessage::new(pointer.to_string()).message_attribute("ExtendedPayloadSize", size);
    client.send_message(queue, message).await?;
    Ok(())
}

async fn payloads_of_every_size_arrive_unchanged(place: Place, client: Client) -> Outcome {
    let queue = client.create_queue(unique("sizes")).await?.queue_url;
    let whole = extended(&client, place.payloads())?;
    let in_parts = place.payloads().download_concurrency(3).download_part_size(1024 * 1024);
    let in_parts = extended(&client, in_parts)?;
    let folder = tempfile::tempdir()?;
    // One request, the smallest that has two parts, and three parts.
    for size in [1, PART + 1, 2 * PART + 77] {
        let content: Bytes = (0..size).map(|at| (at / 251 % 256) as u8).collect();
        let reader = || std::io::Cursor::new(content.clone());
        let sources: [Payload; 3] = [
            Payload::from(content.clone()),
            Payload::from_reader(reader(), Some(size as u64)),
            Payload::from_reader(reader(), None),
        ];
        for (source, payload) in sources.into_iter().enumerate() {
            let sent = whole
                .send(&queue, payload)
                .await
                .with_context(|| format!("{size} bytes"))?;
            let key = Path::from(sent.pointer.context("it was not offloaded")?.key);
            ensure!(place.store.head(&key).await?.size == size as u64);
            let receiver = if source == 0 { &whole } else { &in_parts };
            let delivery = receive_one(receiver, &queue).await?;
            ensure!(
                delivery.bytes().await? == content,
                "{size} bytes of source {source} changed"
            );
            let file = folder.path().join(format!("{size}-{source}"));
            delivery.download_to(&file).await?;
            ensure!(
                tokio::fs::read(&file).await? == content,
                "{size} bytes changed in the file"
            );
            let outcome = delivery.ack().await?;
            ensure!(matches!(outcome, PayloadOutcome::PayloadDeleted), "{outcome:?}");
        }
    }
    ensure!(place.keys().await?.is_empty(), "an object remains");
    Ok(())
}

/// The object is replaced by another of the same length while it is being read, without a digest that would show it.
async fn a_replaced_payload_is_not_mixed_with_the_old_one(place: Place, client: Client) -> Outcome {
    const LENGTH: usize = 12 * 1024 * 1024;
    let queue = client.create_queue(unique("replaced")).await?.queue_url;
    let one_request = place.payloads();
    let in_parts = place.payloads().download_concurrency(2).download_part_size(512 * 1024);
    for (name, payloads) in [("one request", one_request), ("in parts", in_parts)] {
        let key = place.key(name);
        place.store.put(&key, vec![b'1'; LENGTH].into()).await?;
        send_pointer(&client, &queue, &key, LENGTH).await?;
        let delivery = receive_one(&extended(&client, payloads)?, &queue).await?;
        let mut chunks = delivery.stream().await?;
        let first = chunks.try_next().await?.context("a chunk")?;
        ensure!(first.first() == Some(&b'1'));
        // S3 reports times with a resolution of one second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        place.store.put(&key, vec![b'2'; LENGTH].into()).await?;
        let rest: Result<Vec<Bytes>, _> = chunks.try_collect().await;
        match rest {
            // All of it had been requested before.
            Ok(rest) => ensure!(
                rest.concat().iter().all(|byte| *byte == b'1'),
                "{name}: two versions were mixed"
            ),
            Err(error) => ensure!(error.to_string().contains("was replaced"), "{name}: {error:?}"),
        }
        delivery.ack().await?;
    }
    Ok(())
}

async fn unusual_keys_are_read_and_deleted(place: Place, client: Client) -> Outcome {
    let queue = client.create_queue(unique("keys")).await?.queue_url;
    let extended = extended(&client, place.payloads())?;
    for name in ["50% off.json", "a%2Fb", "a b+c", "ü ~?#&='()", "deep/er/k"] {
        let key = place.key(name);
        place
            .store
            .put(&key, "payload".into())
            .await
            .with_context(|| name.to_owned())?;
        send_pointer(&client, &queue, &key, 7).await?;
        let delivery = receive_one(&extended, &queue).await.with_context(|| name.to_owned())?;
        ensure!(delivery.text().await? == "payload");
        let outcome = delivery.ack().await?;
        ensure!(matches!(outcome, PayloadOutcome::PayloadDeleted), "{name}: {outcome:?}");
    }
    ensure!(place.keys().await?.is_empty(), "an object remains");
    Ok(())
}

/// A program that treats a missing payload as already consumed would lose every message if the bucket is misconfigured.
async fn a_missing_object_is_a_missing_payload_and_a_missing_bucket_is_not(place: Place, client: Client) -> Outcome {
    let queue = client.create_queue(unique("missing")).await?.queue_url;
    for length in [7, 3 * PART] {
        send_pointer(&client, &queue, &place.key("never-stored"), length).await?;
        let payloads = place.payloads().download_concurrency(2);
        let delivery = receive_one(&extended(&client, payloads)?, &queue).await?;
        let error = delivery.bytes().await.unwrap_err();
        ensure!(error.is_missing_payload(), "{error:?}");
        delivery.ack().await?;
    }
    if place.kind.has(Quirk::MissingBucketIsMissingObject) || place.kind.has(Quirk::CreatesMissingBuckets) {
        return Ok(());
    }
    let elsewhere = PayloadStore::from_url(&place.url_of_missing_bucket())?;
    let elsewhere = extended(&client, elsewhere)?;
    let error = elsewhere.send(&queue, "payload").await.unwrap_err();
    ensure!(
        !error.may_have_been_sent() && error.kind() == ErrorKind::Store,
        "{error:?}"
    );
    let shown = format!("{error:?}");
    ensure!(shown.contains("does not exist"), "{shown}");

    let message = json!({"s3BucketName": "no-such-bucket", "s3Key": place.key("k").as_ref()});
    let pointer = json!(["software.amazon.payloadoffloading.PayloadS3Pointer", message]);
    let size = MessageAttributeValue::number(7);
    let message = OutgoingMessage::new(pointer.to_string()).message_attribute("ExtendedPayloadSize", size);
    client.send_message(&queue, message).await?;
    let error = receive_one(&elsewhere, &queue).await?.bytes().await.unwrap_err();
    ensure!(
        !error.is_missing_payload() && error.kind() == ErrorKind::Store,
        "{error:?}"
    );
    Ok(())
}

async fn a_wrong_secret_is_refused_and_not_shown(place: Place, client: Client) -> Outcome {
    let queue = client.create_queue(unique("secret")).await?.queue_url;
    let (url, secret) = place.url_with_wrong_secret();
    let wrong = extended(&client, PayloadStore::from_url(&url)?.part_size(PART as u64))?;
    let mut errors = Vec::new();
    for size in [1, PART + 1] {
        let error = wrong.send(&queue, vec![0; size]).await.unwrap_err();
        ensure!(!error.may_have_been_sent(), "{error:?}");
        errors.push(error);
    }
    place.store.put(&place.key("k"), "payload".into()).await?;
    send_pointer(&client, &queue, &place.key("k"), 7).await?;
    let delivery = receive_one(&wrong, &queue).await?;
    let error = delivery.bytes().await.unwrap_err();
    ensure!(!error.is_missing_payload(), "{error:?}");
    errors.push(error);
    delivery.ack().await?;
    errors.extend(Sweep::from_url(&url, Duration::ZERO)?.remove().await.err());
    ensure!(errors.len() == 4, "the sweep passed");
    for error in errors {
        let shown = format!("{error:?}");
        ensure!(error.kind() == ErrorKind::Store && shown.contains("403"), "{shown}");
        ensure!(
            !shown.contains(secret) && !format!("{wrong:?}").contains(secret),
            "{shown}"
        );
    }
    ensure!(
        place.keys().await?.len() == 1,
        "the object was removed, or another stored"
    );
    Ok(())
}

async fn a_dropped_upload_leaves_nothing(place: Place, client: Client) -> Outcome {
    let queue = client.create_queue(unique("dropped")).await?.queue_url;
    let payloads = place.payloads().build()?;
    let extended = ExtendedClient::builder(client.clone())
        .payload_store(payloads.clone())
        .build()?;
    let (reached, halfway) = oneshot::channel();
    let mut reached = Some(reached);
    // The source yields four of eight parts and then hangs.
    let source = stream::iter(0..8).then(move |part| {
        let reached = if part == 4 { reached.take() } else { None };
        async move {
            if let Some(reached) = reached {
                let _ = reached.send(());
                std::future::pending::<()>().await;
            }
            Ok(Bytes::from(vec![7; PART]))
        }
    });
    let payload = Payload::from_stream(source, Some(8 * PART as u64));
    tokio::select! {
        sent = extended.send(&queue, payload) => anyhow::bail!("sent although the source is stuck: {sent:?}"),
        _ = halfway => {}
    }
    extended.flush().await;
    ensure!(
        client
            .receive_message(&queue)
            .wait_time(Duration::ZERO)
            .await?
            .messages
            .is_empty()
    );
    ensure!(place.keys().await?.is_empty(), "an object remains");
    if place.kind.is_s3() && !place.kind.has(Quirk::ListsNoUploads) {
        let found = payloads
            .sweep(Duration::ZERO)?
            .unfinished_uploads(true)
            .dry_run()
            .await?;
        ensure!(found.uploads.seen == 0, "an upload remains: {found:?}");
    }
    Ok(())
}
