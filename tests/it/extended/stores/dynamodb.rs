//! Tests payloads in DynamoDB.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::future::try_join_all;
use libtest_mimic::Trial;
use object_store::path::Path;
use object_store::{
    Attribute, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};
use sqs_client::Client;
use sqs_extended::receive::PayloadOutcome;
use sqs_extended::store::DynamoDbStore;
use sqs_extended::sweep::Sweep;
use sqs_extended::{ExtendedClient, Payload, PayloadStore};
use sqs_tests::servers::Server;

use super::super::store::keys;
use super::http::Http;
use crate::harness::{Backend, Harness, Outcome, name_of, unique};

/// The size of an item's data.
const CHUNK: usize = 384 * 1024;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let round_trip = harness.trial(name_of(&payloads_arrive_unchanged), |harness| {
        let table = Table::new(harness.servers.moto().map_err(Clone::clone)?);
        let client = harness.client_for(Backend::Moto)?.build().expect("a client");
        Ok(Box::pin(payloads_arrive_unchanged(client, table)))
    });
    vec![
        round_trip,
        test(harness, objects_are_stored_and_deleted),
        test(harness, ranges_are_read),
        test(harness, conditional_puts_are_checked),
        test(harness, parts_are_assembled),
        test(harness, objects_are_listed),
        test(harness, orphans_are_removed),
        test(harness, items_expire),
        test(harness, a_missing_table_is_not_a_missing_object),
    ]
}

/// Returns a test with a table of its own.
fn test<F, T>(harness: &Arc<Harness>, test: F) -> Trial
where
    F: FnOnce(Table) -> T + Send + 'static,
    T: Future<Output = Outcome> + Send + 'static,
{
    harness.trial(name_of(&test), |harness| {
        let table = Table::new(harness.servers.moto().map_err(Clone::clone)?);
        Ok(Box::pin(test(table)))
    })
}

/// A table in moto.
struct Table {
    client: aws_sdk_dynamodb::Client,
    name: String,
}

impl Table {
    fn new(server: &Server) -> Self {
        let http = sqs_client::client::http_client_builder().expect("TLS").build();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(server.endpoint())
            .region(Region::new(server.region().to_owned()))
            .credentials_provider(Credentials::new(
                server.access_key(),
                server.secret_key(),
                None,
                None,
                "test",
            ))
            .http_client(Http(http.expect("an HTTP client")));
        Self {
            client: aws_sdk_dynamodb::Client::from_conf(config.build()),
            name: unique("payloads"),
        }
    }

    fn store(&self) -> DynamoDbStore {
        DynamoDbStore::new(self.client.clone(), &self.name)
    }

    /// Creates the table and returns the store.
    async fn created(&self) -> anyhow::Result<DynamoDbStore> {
        let store = self.store();
        store.create_table().await?;
        Ok(store)
    }

    async fn items(&self) -> anyhow::Result<Vec<std::collections::HashMap<String, AttributeValue>>> {
        let items = self
            .client
            .scan()
            .table_name(&self.name)
            .into_paginator()
            .items()
            .send();
        Ok(items.collect::<Result<Vec<_>, _>>().await?)
    }

    /// Returns the number of items.
    async fn count(&self) -> anyhow::Result<usize> {
        Ok(self.items().await?.len())
    }
}

/// Returns bytes without repeated pieces.
fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at * 31 / 7 + at / 251) as u8).collect()
}

async fn get(store: &DynamoDbStore, key: &Path) -> anyhow::Result<Bytes> {
    Ok(store.get(key).await?.bytes().await?)
}

/// Sends and receives 20 MiB through queue and table. Afterwards the table is empty.
async fn payloads_arrive_unchanged(client: Client, table: Table) -> Outcome {
    let queue = client.create_queue(unique("dynamodb")).await?.queue_url;
    let store = table.created().await?;
    let payloads = PayloadStore::builder(store.clone(), &table.name).prefix("p/").build()?;
    let extended = ExtendedClient::builder(client).payload_store(payloads).build()?;
    let content = bytes(20 * 1024 * 1024);
    extended.send(&queue, Payload::from(content.clone())).await?;
    extended
        .send(
            &queue,
            Payload::from_stream(futures::stream::iter([Ok(content.clone())]), None),
        )
        .await?;
    for _ in 0..2 {
        let mut received = extended
            .receive(&queue)
            .wait_time(Duration::from_secs(10))
            .await?
            .into_iter();
        let delivery = received.next().context("a message")??;
        assert!(delivery.bytes().await? == content, "the payload changed");
        assert!(matches!(delivery.ack().await?, PayloadOutcome::PayloadDeleted));
    }
    assert_eq!(table.count().await?, 0);
    Ok(())
}

async fn objects_are_stored_and_deleted(table: Table) -> Outcome {
    let store = table.created().await?;
    store.create_table().await.context("creating a table that exists")?;
    let key = Path::from("p/k");
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
        let content = bytes(length);
        let put = store.put(&key, content.clone().into()).await?;
        assert!(get(&store, &key).await? == content, "{length} bytes changed");
        let head = store.head(&key).await?;
        assert_eq!((head.size, &head.e_tag), (length as u64, &put.e_tag));
        // The chunks of the previous object are deleted.
        assert_eq!(table.count().await?, 1 + length.div_ceil(CHUNK));
    }
    store.delete(&key).await?;
    assert_eq!(table.count().await?, 0);
    assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.head(&key).await, Err(Error::NotFound { .. })));
    // As in S3, deleting a missing object succeeds.
    store.delete(&key).await?;
    let mut options = PutOptions::default();
    options.attributes.insert(Attribute::ContentType, "text/plain".into());
    let refused = store.put_opts(&key, "x".into(), options).await;
    assert!(matches!(refused, Err(Error::NotImplemented { .. })), "{refused:?}");
    assert_eq!(table.count().await?, 0);
    Ok(())
}

async fn ranges_are_read(table: Table) -> Outcome {
    let store = table.created().await?;
    let key = Path::from("k");
    let content = bytes(2 * CHUNK + 100);
    store.put(&key, content.clone().into()).await?;
    let (chunk, end) = (CHUNK as u64, content.len() as u64);
    for (range, expected) in [
        (GetRange::Bounded(0..1), 0..1),
        (GetRange::Bounded(chunk - 1..chunk + 1), chunk - 1..chunk + 1),
        (GetRange::Bounded(1..end - 1), 1..end - 1),
        (GetRange::Bounded(end - 1..end + 100), end - 1..end),
        (GetRange::Offset(2 * chunk), 2 * chunk..end),
        (GetRange::Suffix(50), end - 50..end),
    ] {
        let options = GetOptions::new().with_range(Some(range));
        let got = store.get_opts(&key, options).await?;
        assert_eq!((got.range.clone(), got.meta.size), (expected.clone(), end));
        assert!(got.bytes().await? == content[expected.start as usize..expected.end as usize]);
    }
    let beyond = GetOptions::new().with_range(Some(GetRange::Offset(end)));
    assert!(store.get_opts(&key, beyond).await.is_err());
    Ok(())
}

async fn conditional_puts_are_checked(table: Table) -> Outcome {
    let store = table.created().await?;
    let key = Path::from("k");
    let mode = |mode| PutOptions {
        mode,
        ..PutOptions::default()
    };
    let first = store.put_opts(&key, "first".into(), mode(PutMode::Create)).await?;
    let again = store.put_opts(&key, "again".into(), mode(PutMode::Create)).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    assert_eq!(table.count().await?, 2, "the chunk of the refused object remains");

    // A download resumed by its ETag returns one object or an error.
    let etag = first.e_tag.clone();
    let resumed = GetOptions::new().with_range(Some(2..4)).with_if_match(etag.clone());
    assert_eq!(store.get_opts(&key, resumed.clone()).await?.bytes().await?, "rs");
    let begun = store.get(&key).await?;
    let update = |e_tag| mode(PutMode::Update(UpdateVersion { e_tag, version: None }));
    store.put_opts(&key, "second".into(), update(etag.clone())).await?;
    let resumed = store.get_opts(&key, resumed).await;
    assert!(matches!(resumed, Err(Error::Precondition { .. })), "{resumed:?}");
    assert!(matches!(begun.bytes().await, Err(Error::Generic { .. })));
    let stale = store.put_opts(&key, "third".into(), update(etag)).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "{stale:?}");
    assert_eq!(get(&store, &key).await?, "second");
    assert_eq!(table.count().await?, 2);
    Ok(())
}

async fn parts_are_assembled(table: Table) -> Outcome {
    let store = table.created().await?;
    let key = Path::from("k");
    let lengths = [CHUNK, 1, 2 * CHUNK + 3, 0, 5];
    let content = bytes(lengths.iter().sum());
    let begin = async || {
        let mut upload = store.put_multipart(&key).await?;
        let mut rest = content.clone();
        let parts: Vec<_> = lengths
            .iter()
            .map(|length| upload.put_part(PutPayload::from(rest.split_to(*length))))
            .collect();
        anyhow::Ok((upload, parts))
    };

    let (mut upload, mut parts) = begin().await?;
    let last = parts.split_off(1);
    try_join_all(last.into_iter().rev()).await?;
    assert!(upload.complete().await.is_err(), "completed without its first part");
    assert!(
        matches!(store.head(&key).await, Err(Error::NotFound { .. })),
        "the object exists before its upload is complete"
    );
    try_join_all(parts).await?;
    upload.complete().await?;
    assert!(get(&store, &key).await? == content, "the parts changed");
    let over_parts = GetOptions::new().with_range(Some(CHUNK as u64 - 1..3 * CHUNK as u64));
    assert!(store.get_opts(&key, over_parts).await?.bytes().await? == content[CHUNK - 1..3 * CHUNK]);
    assert_eq!(table.count().await?, 1 + 1 + 1 + 3 + 1);

    let (mut upload, parts) = begin().await?;
    try_join_all(parts).await?;
    upload.abort().await?;
    assert!(
        get(&store, &key).await? == content,
        "the aborted upload replaced the object"
    );
    store.delete(&key).await?;
    assert_eq!(table.count().await?, 0);
    Ok(())
}

async fn objects_are_listed(table: Table) -> Outcome {
    let store = table.created().await?;
    let all = ["a", "p/x", "p/y/z", "pp"];
    for key in all {
        store.put(&Path::from(key), key.into()).await?;
    }
    for (prefix, expected) in [
        ("", &all[..]),
        ("p", &["p/x", "p/y/z"]),
        ("p/y", &["p/y/z"]),
        ("q", &[]),
    ] {
        let mut found = keys(&store, prefix).await?;
        found.sort();
        assert_eq!(found, expected, "{prefix}");
    }
    let objects: Vec<_> = store.list(Some(&Path::from("p/y"))).try_collect().await?;
    assert_eq!(objects, [store.head(&Path::from("p/y/z")).await?]);

    let top = store.list_with_delimiter(None).await?;
    assert_eq!(top.common_prefixes, [Path::from("p")]);
    let mut names: Vec<_> = top
        .objects
        .into_iter()
        .map(|object| object.location.to_string())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "pp"]);
    let folder = store.list_with_delimiter(Some(&Path::from("p"))).await?;
    assert_eq!(
        (folder.objects.len(), folder.common_prefixes),
        (1, vec![Path::from("p/y")])
    );

    let report = Sweep::new(store.clone(), "p/", Duration::ZERO)?.remove().await?;
    assert_eq!((report.seen.objects, report.removed.objects, report.failed), (2, 2, 0));
    assert_eq!(keys(&store, "p").await?, Vec::<String>::new());
    assert_eq!(table.count().await?, 2 * 2);
    Ok(())
}

/// Chunks of uploads that were never completed are removed. Chunks of objects remain.
async fn orphans_are_removed(table: Table) -> Outcome {
    let store = table.created().await?;
    let content = bytes(2 * CHUNK);
    store.put(&Path::from("kept"), content.clone().into()).await?;
    for key in ["kept", "never"] {
        let mut upload = store.put_multipart(&Path::from(key)).await?;
        try_join_all([upload.put_part(content.clone().into()), upload.put_part("more".into())]).await?;
    }
    assert_eq!(
        store.remove_orphans(Duration::from_secs(60 * 60)).await?,
        0,
        "chunks of a recent upload were removed"
    );
    assert_eq!(table.count().await?, 1 + 2 + 2 * 3);
    assert_eq!(store.remove_orphans(Duration::ZERO).await?, 2 * 3);
    assert_eq!(table.count().await?, 1 + 2);
    assert!(get(&store, &Path::from("kept")).await? == content);
    Ok(())
}

/// Every item has an expiry time. An object's chunks expire after it.
async fn items_expire(table: Table) -> Outcome {
    let day = Duration::from_secs(24 * 60 * 60);
    let store = table.store().time_to_live(day);
    store.create_table().await?;
    let description = table
        .client
        .describe_time_to_live()
        .table_name(&table.name)
        .send()
        .await?;
    let description = description.time_to_live_description;
    let attribute = description.and_then(|description| description.attribute_name);
    assert_eq!(attribute.as_deref(), Some("expires"));
    store.put(&Path::from("k"), "x".into()).await?;
    let stored = store.head(&Path::from("k")).await?.last_modified.timestamp();
    let mut lives = Vec::new();
    for item in table.items().await? {
        let expires: i64 = item["expires"].as_n().ok().context("a number")?.parse()?;
        lives.push((item.contains_key("data"), expires - stored));
    }
    lives.sort();
    let [(false, object), (true, chunk)] = lives[..] else {
        panic!("{lives:?}")
    };
    assert_eq!(object, 24 * 60 * 60);
    assert!((chunk - 5 * object).abs() <= 1, "{chunk}");
    Ok(())
}

/// A store without its table knows nothing about the object.
async fn a_missing_table_is_not_a_missing_object(table: Table) -> Outcome {
    let store = table.store();
    let key = Path::from("k");
    for failed in [
        store.get(&key).await.map(drop),
        store.put(&key, "x".into()).await.map(drop),
        store.delete(&key).await,
        store.list(None).try_collect::<Vec<_>>().await.map(drop),
    ] {
        match failed {
            Err(Error::Generic { source, .. }) => {
                assert!(source.to_string().contains("ResourceNotFound"), "{source}");
            }
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}
