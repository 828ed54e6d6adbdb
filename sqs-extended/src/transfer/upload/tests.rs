mod progress;

use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use object_store::path::Path;
use object_store::{Attribute, ObjectStoreExt};
use proptest::prelude::*;

use super::*;
use crate::payload::source::Payload;
use crate::testing::{TestStore, bytes};
use crate::transfer::pressure::Pressure;

/// Far below the minimum of the builder, so that many parts are little data.
const PART: u64 = 1000;

fn settings() -> UploadSettings {
    UploadSettings {
        part_size: Some(PART),
        concurrency: Some(3),
        digest: DigestAlgorithm::Blake3,
        attributes: Attributes::new(),
        tags: TagSet::default(),
    }
}

fn resources() -> Resources {
    Resources::new(16 << 20, Pressure::default())
}

fn key() -> Path {
    Path::from("payloads/k")
}

fn target() -> Target {
    Target {
        key: key(),
        is_fresh: true,
    }
}

/// Uploads without a report of the progress.
async fn upload(
    store: &dyn ObjectStore,
    target: &Target,
    source: PartSource,
    settings: &UploadSettings,
    resources: &Resources,
    aborts: &TaskTracker,
) -> Result<Measured, Error> {
    super::upload(
        store,
        target,
        source,
        &OnProgress::default(),
        settings,
        resources,
        aborts,
    )
    .await
}

/// Does the same within limits of its own.
async fn put(store: &dyn ObjectStore, source: PartSource, settings: &UploadSettings) -> Result<Measured, Error> {
    upload(store, &target(), source, settings, &resources(), &TaskTracker::new()).await
}

async fn store(payload: Payload) -> (TestStore, Result<Measured, Error>) {
    let store = TestStore::default();
    let stored = put(&store, payload.into(), &settings()).await;
    (store, stored)
}

/// The same bytes from every kind of source, in chunks of these lengths, with and without a declared length.
fn payloads(content: &Bytes, chunks: &[usize]) -> Vec<(&'static str, Payload)> {
    let len = content.len() as u64;
    let mut rest = content.clone();
    let mut cut: Vec<io::Result<Bytes>> = chunks.iter().map(|n| Ok(rest.split_to((*n).min(rest.len())))).collect();
    cut.push(Ok(rest));
    let again = || cut.iter().map(|c| Ok(c.as_ref().unwrap().clone())).collect::<Vec<_>>();
    let reader = || tokio_util::io::StreamReader::new(stream::iter(again()));
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, content).unwrap();
    io::Seek::rewind(&mut file).unwrap();
    let file = Payload {
        source: crate::payload::source::Source::File(file),
        len: Some(len),
    };
    vec![
        ("bytes", Payload::from(content.clone())),
        ("file", file),
        ("stream", Payload::from_stream(stream::iter(again()), None)),
        ("stream with length", Payload::from_stream(stream::iter(again()), len)),
        ("reader", Payload::from_reader(reader(), None)),
        ("reader with length", Payload::from_reader(reader(), len)),
    ]
}

fn digest(content: &[u8]) -> Digest {
    let mut hasher = Hasher::new(DigestAlgorithm::Blake3);
    io::Write::write_all(&mut hasher, content).unwrap();
    hasher.finish()
}

#[tokio::test]
async fn payloads_of_every_source_and_length_are_stored_whole() {
    for len in [0, 1, 999, 1000, 1001, 1999, 2000, 2001, 12_345] {
        let content = bytes(len);
        for (name, payload) in payloads(&content, &[1, 0, 700, 5000]) {
            let (store, stored) = store(payload).await;
            let stored = stored.unwrap();
            assert_eq!(stored.len, len as u64, "{name}");
            assert_eq!(stored.digest, digest(&content), "{name}");
            assert_eq!(store.object(&key()).await.unwrap(), content, "{name} of {len}");
            let multipart = len > 1000;
            assert_eq!(
                store.calls.puts.load(SeqCst),
                usize::from(!multipart),
                "{name} of {len}"
            );
            assert_eq!(
                store.calls.completed.load(SeqCst),
                usize::from(multipart),
                "{name} of {len}"
            );
            assert_eq!(
                store.calls.parts.load(SeqCst),
                if multipart { len.div_ceil(1000) } else { 0 }
            );
            assert_eq!(store.calls.aborted.load(SeqCst), 0);
        }
    }
}

#[tokio::test]
async fn parts_in_flight_are_bounded() {
    let (store, stored) = store(Payload::from(bytes(20_000))).await;
    stored.unwrap();
    let most = store.calls.most_in_flight.load(SeqCst);
    assert!((2..=3).contains(&most), "{most}");
}

#[tokio::test]
async fn bytes_that_were_read_ahead_are_uploaded() {
    let content = bytes(5000);
    for limit in [0, 1, 10, 1500, 4999] {
        for (name, payload) in payloads(&content, &[3, 2000]) {
            let store = TestStore::default();
            let mut source = PartSource::from(payload);
            assert_eq!(source.whole_up_to(limit).await.unwrap(), None, "{name}");
            let stored = put(&store, source, &settings()).await.unwrap();
            assert_eq!(stored.digest, digest(&content), "{name} with {limit}");
            assert_eq!(store.object(&key()).await.unwrap(), content, "{name} with {limit}");
        }
    }
    for (name, payload) in payloads(&content, &[3, 2000]) {
        let whole = PartSource::from(payload).whole_up_to(5000).await.unwrap();
        assert_eq!(whole.as_ref(), Some(&content), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_declared_length_stores_nothing() {
    for (declared, given) in [
        (10, 9),
        (10, 11),
        (1000, 1001),
        (2000, 1999),
        (2000, 2001),
        (5000, 2000),
        (2500, 5000),
    ] {
        let content = bytes(given);
        for payload in [
            Payload::from_stream(stream::iter([Ok(content.clone())]), declared),
            Payload::from_reader(io::Cursor::new(content.clone()), declared),
        ] {
            let (store, stored) = store(payload).await;
            let error = stored.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PayloadSource);
            assert!(store.is_empty().await, "{declared} {given}");
            assert_eq!(store.calls.begun.load(SeqCst), store.calls.aborted.load(SeqCst));
        }
    }
}

#[tokio::test]
async fn a_failing_source_stores_nothing() {
    let chunks = [Ok(bytes(4000)), Err(io::Error::other("disk"))];
    let (store, stored) = store(Payload::from_stream(stream::iter(chunks), None)).await;
    assert_eq!(stored.unwrap_err().kind(), ErrorKind::PayloadSource);
    assert!(store.is_empty().await);
    assert_eq!(store.calls.begun.load(SeqCst), 1);
    assert_eq!(store.calls.aborted.load(SeqCst), 1);
}

#[tokio::test]
async fn a_failing_part_aborts_the_upload() {
    for part in [1, 4, 10] {
        let store = TestStore::default();
        store.calls.fail_from_part.store(part, SeqCst);
        let stored = put(&store, Payload::from(bytes(10_000)).into(), &settings()).await;
        assert_eq!(stored.unwrap_err().kind(), ErrorKind::Store);
        assert!(store.is_empty().await);
        assert_eq!(store.calls.completed.load(SeqCst), 0);
        assert_eq!(store.calls.aborted.load(SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_upload_is_aborted() {
    let store = TestStore::default();
    store.calls.stall.store(true, SeqCst);
    let (target, settings, resources, aborts) = (target(), settings(), resources(), TaskTracker::new());
    let sending = upload(
        &store,
        &target,
        Payload::from(bytes(10_000)).into(),
        &settings,
        &resources,
        &aborts,
    );
    tokio::time::timeout(Duration::from_secs(1), sending).await.unwrap_err();
    // A task aborts the upload.
    aborts.close();
    aborts.wait().await;
    assert_eq!(store.calls.aborted.load(SeqCst), 1);
    assert_eq!(store.calls.completed.load(SeqCst), 0);
    assert!(store.is_empty().await);
}

#[tokio::test]
async fn too_many_parts_abort_the_upload() {
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[7; 1000])));
    let (store, stored) = store(Payload::from_stream(endless, None)).await;
    let error = stored.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(store.calls.parts.load(SeqCst), 10_000);
    assert_eq!(store.calls.aborted.load(SeqCst), 1);
    assert!(store.is_empty().await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn payloads_in_any_chunks_are_stored_whole(
        len in 0_usize..8000,
        chunks in prop::collection::vec(0_usize..6000, 0..12),
        limit in prop::option::of(0_usize..3000),
    ) {
        let content = bytes(len);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for (name, payload) in payloads(&content, &chunks) {
                let mut source = PartSource::from(payload);
                let whole = match limit {
                    Some(limit) => source.whole_up_to(limit).await.unwrap(),
                    None => None,
                };
                if let Some(whole) = whole {
                    assert_eq!(whole, content, "{name}");
                    continue;
                }
                let store = TestStore::default();
                let stored = put(&store, source, &settings()).await.unwrap();
                assert_eq!(stored.digest, digest(&content), "{name}");
                assert_eq!(store.object(&key()).await.unwrap(), content, "{name}");
            }
        });
    }
}

#[tokio::test]
async fn every_kind_of_upload_sets_attributes_and_tags() {
    let mut settings = settings();
    settings.attributes.insert(Attribute::ContentType, "text/csv".into());
    settings.tags.push("team", "orders");
    for len in [10, 5000] {
        let store = TestStore::default();
        let source = Payload::from(bytes(len)).into();
        put(&store, source, &settings).await.unwrap();
        let stored = store.objects.get(&key()).await.unwrap();
        assert_eq!(stored.attributes, settings.attributes, "{len}");
        let tags = store.calls.tags.lock().unwrap().clone();
        assert_eq!(tags.encoded(), "team=orders", "{len}");
    }
}

#[tokio::test]
async fn a_store_without_attributes_names_the_wrong_setting() {
    let folder = tempfile::tempdir().unwrap();
    let store = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    for len in [10, 5000] {
        let mut settings = settings();
        let source = || Payload::from(bytes(len)).into();
        put(&store, source(), &settings).await.unwrap();
        settings.attributes.insert(Attribute::ContentType, "text/csv".into());
        let stored = put(&store, source(), &settings).await;
        let error = stored.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("`attributes`"), "{error}");
    }
}

#[tokio::test]
async fn many_uploads_share_the_memory_and_all_end() {
    let (store, resources) = (TestStore::default(), resources());
    let settings = UploadSettings {
        part_size: None,
        concurrency: None,
        ..settings()
    };
    let content = bytes(11 << 20);
    let uploads = (0..8_u8).map(|number| {
        let (store, settings, resources) = (store.clone(), settings.clone(), resources.clone());
        let reader = Payload::from_reader(io::Cursor::new(content.clone()), None);
        tokio::spawn(async move {
            let key = Path::from(format!("payloads/{number}"));
            let target = Target { key, is_fresh: true };
            upload(
                &store,
                &target,
                reader.into(),
                &settings,
                &resources,
                &TaskTracker::new(),
            )
            .await
        })
    });
    for upload in uploads.collect::<Vec<_>>() {
        assert_eq!(upload.await.unwrap().unwrap().digest, digest(&content));
    }
    // Three parts of 5 MiB fit into 16 MiB.
    let most = store.calls.most_in_flight.load(SeqCst);
    assert!((1..=3).contains(&most), "{most}");
    assert_eq!(store.calls.parts.load(SeqCst), 8 * 3);
    assert_eq!(resources.budget.free_blocks(), resources.budget.blocks());
}

#[tokio::test]
async fn a_short_payload_of_unknown_length_is_one_small_request() {
    let settings = UploadSettings {
        part_size: None,
        ..settings()
    };
    for len in [0, 1, 1 << 20] {
        let store = TestStore::default();
        let source = Payload::from_reader(io::Cursor::new(bytes(len)), None).into();
        let stored = put(&store, source, &settings).await;
        assert_eq!(stored.unwrap().len, len as u64);
        assert_eq!(store.total_calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn sources_that_stall_hold_up_no_other_upload() {
    let (store, resources) = (TestStore::default(), resources());
    let settings = UploadSettings {
        part_size: None,
        concurrency: None,
        ..settings()
    };
    let start = |number: u8, payload: Payload| {
        let (store, settings, resources) = (store.clone(), settings.clone(), resources.clone());
        tokio::spawn(async move {
            let key = Path::from(format!("payloads/{number}"));
            let target = Target { key, is_fresh: true };
            let aborts = TaskTracker::new();
            upload(&store, &target, payload.into(), &settings, &resources, &aborts).await
        })
    };
    let stalled = (0..3).map(|number| {
        let begin = stream::iter([io::Result::Ok(bytes(2 << 20))]).chain(stream::pending());
        let reader = tokio_util::io::StreamReader::new(begin);
        start(number, Payload::from_reader(reader, None))
    });
    let stalled: Vec<_> = stalled.collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(resources.budget.free_blocks() < (5 << 20) / BLOCK, "nothing stalls");

    let content = bytes(11 << 20);
    let other = start(3, Payload::from_reader(io::Cursor::new(content.clone()), None));
    let other = tokio::time::timeout(Duration::from_secs(60), other).await;
    assert_eq!(other.unwrap().unwrap().unwrap().digest, digest(&content));
    for upload in stalled {
        upload.abort();
        assert!(upload.await.unwrap_err().is_cancelled());
    }
    assert_eq!(resources.budget.free_blocks(), resources.budget.blocks());
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_slow_source_count_once_they_are_complete() {
    let (store, resources) = (TestStore::default(), resources());
    store.calls.stall.store(true, SeqCst);
    let settings = UploadSettings {
        part_size: None,
        concurrency: None,
        ..settings()
    };
    let slow = stream::repeat(bytes(1 << 20)).then(|chunk| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        io::Result::Ok(chunk)
    });
    let source = Payload::from_stream(slow, None).into();
    let (target, aborts) = (target(), TaskTracker::new());
    let sending = upload(&store, &target, source, &settings, &resources, &aborts);
    tokio::time::timeout(Duration::from_secs(600), sending)
        .await
        .unwrap_err();
    // Three parts of 5 MiB fit into 16 MiB.
    assert_eq!(store.calls.parts.load(SeqCst), 3);
}
