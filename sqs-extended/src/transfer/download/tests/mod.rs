//! Downloads from stores that fail.

mod parts;
mod progress;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use object_store::chunked::ChunkedStore;
use object_store::local::LocalFileSystem;
use proptest::prelude::*;

use super::*;
use crate::payload::digest::DigestAlgorithm;
use crate::testing::{Break, TestStore, bytes};
use crate::transfer::download::fetch::PIECE;
use crate::transfer::pressure::Pressure;

fn key() -> Path {
    Path::from("payloads/k")
}

fn digest(algorithm: DigestAlgorithm, content: &[u8]) -> Option<Digest> {
    let mut hasher = Hasher::new(algorithm);
    hasher.write_all(content).unwrap();
    Some(hasher.finish())
}

async fn store_with(content: &[u8]) -> TestStore {
    let store = TestStore::default();
    store.put(&key(), content.to_vec().into()).await.unwrap();
    store
}

async fn fetch(store: impl ObjectStore, len: Option<u64>, digest: Option<Digest>) -> Result<Vec<u8>, Error> {
    let expected = Expected { len, digest, max: None };
    fetch_with(store, expected, &DownloadSettings::default()).await
}

async fn fetch_with(
    store: impl ObjectStore,
    expected: Expected,
    settings: &DownloadSettings,
) -> Result<Vec<u8>, Error> {
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let (len, chunks) = open(&store, expected, settings).await?;
    let chunks: Vec<Bytes> = chunks.try_collect().await?;
    let content = chunks.concat();
    assert_eq!(len, content.len() as u64);
    Ok(content)
}

async fn open(
    store: &Arc<dyn ObjectStore>,
    expected: Expected,
    settings: &DownloadSettings,
) -> Result<(u64, Chunks), Error> {
    let download = download(store, &key(), expected, settings).await?;
    let resources = Resources::new(16 << 20, Pressure::default());
    Ok((download.len(), download.into_chunks(settings, &resources)))
}

/// Parts far smaller than in practice, so that many parts are little data.
fn in_parts(concurrency: usize) -> DownloadSettings {
    DownloadSettings {
        concurrency: Some(concurrency),
        part_size: Some(1000),
        ..DownloadSettings::default()
    }
}

#[tokio::test]
async fn a_verified_payload_arrives_in_any_chunks() {
    let content = bytes(3_000_000);
    let store = Arc::new(store_with(&content).await);
    for chunk in [7000, 1_000_000, 4_000_000] {
        for algorithm in [DigestAlgorithm::Blake3, DigestAlgorithm::Sha256] {
            let store = ChunkedStore::new(store.clone(), chunk);
            let fetched = fetch(store, Some(3_000_000), digest(algorithm, &content)).await;
            assert_eq!(fetched.unwrap(), content);
        }
    }
}

#[tokio::test]
async fn a_local_file_is_downloaded() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let content = bytes(2 * PIECE + 1);
    store.put(&key(), content.clone().into()).await.unwrap();
    let digest = digest(DigestAlgorithm::Blake3, &content);
    let fetched = fetch(store.clone(), Some(content.len() as u64), digest.clone()).await;
    assert_eq!(fetched.unwrap(), content);
    let fetched = fetch_with(
        store.clone(),
        Expected {
            digest,
            ..Expected::default()
        },
        &in_parts(2),
    )
    .await;
    assert_eq!(fetched.unwrap(), content);

    let error = fetch(store.clone(), Some(1), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    store.delete(&key()).await.unwrap();
    assert!(fetch(store.clone(), None, None).await.unwrap_err().is_missing_payload());
}

#[tokio::test]
async fn a_payload_without_expectations_is_downloaded() {
    let store = store_with(b"hello").await;
    assert_eq!(fetch(store.clone(), None, None).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_wrong_digest_is_corrupt() {
    let store = store_with(b"hello").await;
    let other = digest(DigestAlgorithm::Blake3, b"hellO");
    let error = fetch(store.clone(), Some(5), other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_wrong_length_is_corrupt_before_a_byte_is_read() {
    let store = store_with(b"hello").await;
    for len in [0, 4, 6, 2 << 30] {
        let error = fetch(store.clone(), Some(len), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_early_is_corrupt() {
    let store = store_with(b"hello").await;
    store.calls.cut.store(1, SeqCst);
    for len in [Some(5), None] {
        let error = fetch(store.clone(), len, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn a_missing_object_is_a_missing_payload() {
    for settings in [DownloadSettings::default(), in_parts(2)] {
        let fetched = fetch_with(TestStore::default(), Expected::default(), &settings).await;
        assert!(fetched.unwrap_err().is_missing_payload());
    }
}

#[tokio::test]
async fn a_too_long_payload_is_not_read() {
    let store = store_with(&bytes(5000)).await;
    let expected = |len, max| Expected {
        len,
        digest: None,
        max: Some(max),
    };
    for settings in [DownloadSettings::default(), in_parts(2)] {
        let claimed = fetch_with(store.clone(), expected(Some(5000), 4999), &settings).await;
        assert_eq!(claimed.unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(store.total_calls(), 1, "the put");
    }
    let shared: Arc<dyn ObjectStore> = Arc::new(store.clone());
    for settings in [DownloadSettings::default(), in_parts(2)] {
        let real = open(&shared, expected(None, 4999), &settings).await;
        assert_eq!(real.err().unwrap().kind(), ErrorKind::TooLarge);
        let right = fetch_with(store.clone(), expected(None, 5000), &settings).await;
        assert_eq!(right.unwrap(), bytes(5000));
    }
}

#[tokio::test]
async fn parts_arrive_in_order() {
    for len in [0, 1, 1000, 1001, 2000, 12_345] {
        let content = bytes(len);
        for known in [None, Some(len as u64)] {
            let store = store_with(&content).await;
            let expected = Expected {
                len: known,
                digest: digest(DigestAlgorithm::Blake3, &content),
                max: None,
            };
            assert_eq!(
                fetch_with(store.clone(), expected, &in_parts(3)).await.unwrap(),
                content
            );
            // The range of an empty object is refused.
            let refused = usize::from(len == 0 && known.is_none());
            let parts = len.div_ceil(1000).max(1);
            assert_eq!(store.calls.gets.load(SeqCst), parts + refused, "{len}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn parts_keep_no_oversized_buffers_alive() {
    let store = store_with(&bytes(20_000)).await;
    store.calls.quarters.store(true, SeqCst);
    let shared: Arc<dyn ObjectStore> = Arc::new(store.clone());
    let (_, mut chunks) = open(&shared, Expected::default(), &in_parts(3)).await.unwrap();
    let mut content = Vec::new();
    while let Some(chunk) = chunks.try_next().await.unwrap() {
        content.extend_from_slice(&chunk);
        // All concurrent parts arrive.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(content, bytes(20_000));
    let most = store.calls.most_buffered.load(SeqCst);
    assert!(most <= 4 * 1000, "{most} bytes of buffers for 4 parts of 1,000");
}

#[tokio::test(start_paused = true)]
async fn a_download_completes_although_every_response_breaks_off() {
    for settings in [DownloadSettings::default(), in_parts(3)] {
        let store = store_with(&bytes(5000)).await;
        store.calls.break_all_after.store(101, SeqCst);
        let fetched = fetch_with(store.clone(), Expected::default(), &settings).await;
        assert_eq!(fetched.unwrap(), bytes(5000));
        assert!(store.calls.gets.load(SeqCst) >= 50);
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_without_progress_fails() {
    let store = store_with(&bytes(5000)).await;
    store
        .calls
        .breaks
        .lock()
        .unwrap()
        .extend([Break::Failing(10), Break::Failing(20)]);
    store.calls.breaks.lock().unwrap().extend(vec![Break::Refused; 100]);
    let error = fetch(store.clone(), None, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.is_retryable());
    assert_eq!(store.calls.gets.load(SeqCst), 2 + 6);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_or_deleted_object_is_not_resumed() {
    for settings in [DownloadSettings::default(), in_parts(1)] {
        let store = store_with(&bytes(5000)).await;
        let shared: Arc<dyn ObjectStore> = Arc::new(store.clone());
        store.calls.break_all_after.store(100, SeqCst);
        let (_, mut chunks) = open(&shared, Expected::default(), &settings).await.unwrap();
        chunks.try_next().await.unwrap().unwrap();
        store.put(&key(), vec![0; 5000].into()).await.unwrap();
        let error = chunks.try_next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let store = store_with(&bytes(5000)).await;
    let shared: Arc<dyn ObjectStore> = Arc::new(store.clone());
    store.calls.break_all_after.store(100, SeqCst);
    let (_, mut chunks) = open(&shared, Expected::default(), &in_parts(1)).await.unwrap();
    chunks.try_next().await.unwrap().unwrap();
    store.delete(&key()).await.unwrap();
    assert!(chunks.try_next().await.unwrap_err().is_missing_payload());
}

#[tokio::test(start_paused = true)]
async fn a_download_without_an_etag_resumes_only_with_a_digest() {
    let content = bytes(5000);
    let store = store_with(&content).await;
    store.calls.without_etags.store(true, SeqCst);
    store.calls.break_all_after.store(1000, SeqCst);
    assert!(fetch(store.clone(), None, None).await.unwrap_err().is_retryable());
    let digest = digest(DigestAlgorithm::Blake3, &content);
    let expected = || Expected {
        digest: digest.clone(),
        ..Expected::default()
    };
    for settings in [DownloadSettings::default(), in_parts(2)] {
        let fetched = fetch_with(store.clone(), expected(), &settings).await;
        assert_eq!(fetched.unwrap(), content);
    }
}

/// All versions have the same weak ETag and the same length.
#[tokio::test(start_paused = true)]
async fn a_weak_etag_never_mixes_two_versions() {
    for settings in [DownloadSettings::default(), in_parts(1), in_parts(3)] {
        let store = store_with(&bytes(5000)).await;
        store.calls.weak_etags.store(true, SeqCst);
        let shared: Arc<dyn ObjectStore> = Arc::new(store.clone());
        store.calls.breaks.lock().unwrap().push_back(Break::Failing(100));
        let (_, mut chunks) = open(&shared, Expected::default(), &settings).await.unwrap();
        let first = chunks.try_next().await.unwrap().unwrap();
        store.put(&key(), vec![251; 5000].into()).await.unwrap();
        let rest: Result<Vec<Bytes>, Error> = chunks.try_collect().await;
        assert!(rest.is_err(), "{} bytes of one version, then another", first.len());
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_with_another_time_is_not_resumed() {
    let content = bytes(5000);
    let store = store_with(&content).await;
    store.calls.weak_etags.store(true, SeqCst);
    store.calls.later.store(3600, SeqCst);
    store.calls.breaks.lock().unwrap().push_back(Break::Failing(100));
    let expected = Expected {
        digest: digest(DigestAlgorithm::Blake3, &content),
        ..Expected::default()
    };
    let error = fetch_with(store, expected, &DownloadSettings::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("was replaced"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_download_completes_wherever_it_breaks_off(
        len in 0_usize..6000,
        concurrency in 1_usize..4,
        with_digest: bool,
        progress in prop::collection::vec((1_usize..2000, any::<bool>()), 0..20),
        in_vain in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut breaks: Vec<_> = progress
            .into_iter()
            .map(|(at, fails)| if fails { Break::Failing(at) } else { Break::Ending(at) })
            .collect();
        for position in in_vain {
            breaks.insert(position.index(breaks.len() + 1), Break::Failing(0));
        }
        let content = bytes(len);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = store_with(&content).await;
            store.calls.breaks.lock().unwrap().extend(breaks);
            let expected = Expected {
                len: Some(len as u64),
                digest: digest(DigestAlgorithm::Blake3, &content).filter(|_| with_digest),
                max: None,
            };
            assert_eq!(fetch_with(store, expected, &in_parts(concurrency)).await.unwrap(), content);
        });
    }
}

#[tokio::test]
async fn a_busy_store_is_not_taken_for_one_without_ranges() {
    let store = store_with(&bytes(5000)).await;
    for settings in [DownloadSettings::default(), in_parts(2)] {
        store.calls.gets.store(0, SeqCst);
        store.calls.breaks.lock().unwrap().push_back(Break::Busy);
        let error = fetch_with(store.clone(), Expected::default(), &settings).await;
        assert!(error.unwrap_err().is_retryable());
        assert_eq!(store.calls.gets.load(SeqCst), 1);

        store.calls.breaks.lock().unwrap().push_back(Break::Refused);
        let fetched = fetch_with(store.clone(), Expected::default(), &settings).await;
        assert_eq!(fetched.unwrap(), bytes(5000), "by one request without a range");
    }
}
