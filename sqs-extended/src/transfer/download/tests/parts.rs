//! Downloads in parts: from links with a delay, within one budget.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result as StoreResult,
};

use super::*;
use crate::transfer::budget::BLOCK;

const MIB: usize = 1024 * 1024;

/// A store behind a link: each response begins after a delay, and then has this rate.
#[derive(Debug)]
struct Link {
    store: TestStore,
    delay: Duration,
    bytes_per_second: f64,
    /// Other rates, by the number of the request.
    rates: Mutex<BTreeMap<usize, f64>>,
}

impl Link {
    fn new(store: &TestStore, delay: u64, bytes_per_second: f64) -> Self {
        Self {
            store: store.clone(),
            delay: Duration::from_millis(delay),
            bytes_per_second,
            rates: Mutex::default(),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

#[async_trait]
impl ObjectStore for Link {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
        self.store.put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> StoreResult<GetResult> {
        let number = self.store.calls.gets.load(SeqCst);
        let rate = self.rates.lock().unwrap().get(&number).copied();
        let rate = rate.unwrap_or(self.bytes_per_second);
        let mut response = self.store.get_opts(key, options).await?;
        tokio::time::sleep(self.delay).await;
        let none = GetResultPayload::Stream(stream::empty().boxed());
        if let GetResultPayload::Stream(chunks) = std::mem::replace(&mut response.payload, none) {
            let pieces = chunks.flat_map(|chunk| {
                let chunk = chunk.unwrap();
                let pieces: Vec<_> = chunk.chunks(BLOCK).map(|piece| chunk.slice_ref(piece)).collect();
                stream::iter(pieces)
            });
            let paced = pieces.then(move |piece| async move {
                let time = Duration::from_secs_f64(piece.len() as f64 / rate);
                if !time.is_zero() {
                    tokio::time::sleep(time).await;
                }
                Ok(piece)
            });
            response.payload = GetResultPayload::Stream(paced.boxed());
        }
        Ok(response)
    }

    fn delete_stream(&self, keys: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.store.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.store.copy_opts(from, to, options).await
    }
}

fn resources(mib: usize) -> Resources {
    Resources::new((mib * MIB) as u64, Pressure::default())
}

fn expected(content: &[u8]) -> Expected {
    Expected {
        len: None,
        digest: digest(DigestAlgorithm::Blake3, content),
        max: None,
    }
}

async fn collect(mut chunks: Chunks) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

async fn to_file(store: impl ObjectStore, expected: Expected, settings: &DownloadSettings) -> Result<Vec<u8>, Error> {
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let download = download(&store, &key(), expected, settings).await?;
    assert!(download.has_parts());
    let file = tempfile::NamedTempFile::new().unwrap();
    let target = Arc::new(Target::new(file.reopen().unwrap()));
    download.into_file(target, settings, &resources(16)).await?;
    Ok(std::fs::read(file.path()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_far_store_is_read_by_many_requests_in_order() {
    let content = bytes(80 * MIB + 12_345);
    let store = store_with(&content).await;
    let link: Arc<dyn ObjectStore> = Arc::new(Link::new(&store, 30, 90e6));
    let resources = resources(64);
    let begin = Instant::now();
    let download = download(&link, &key(), expected(&content), &DownloadSettings::default())
        .await
        .unwrap();
    let chunks = download.into_chunks(&DownloadSettings::default(), &resources);
    assert!(collect(chunks).await.unwrap() == content);
    // One stream needs 0.96 s. Time is virtual here.
    assert!(begin.elapsed() < Duration::from_millis(300), "{:?}", begin.elapsed());
    let gets = store.calls.gets.load(SeqCst);
    assert!((41..=45).contains(&gets), "{gets} requests");
    assert_eq!(resources.budget.free_blocks(), resources.budget.blocks());
}

#[tokio::test(start_paused = true)]
async fn a_near_store_is_read_by_few_requests() {
    let content = bytes(80 * MIB);
    let store = store_with(&content).await;
    let link: Arc<dyn ObjectStore> = Arc::new(Link::new(&store, 0, f64::INFINITY));
    let (_, chunks) = open(&link, expected(&content), &DownloadSettings::default())
        .await
        .unwrap();
    assert!(collect(chunks).await.unwrap() == content);
    let gets = store.calls.gets.load(SeqCst);
    assert!(gets <= 12, "{gets} requests");
}

#[tokio::test(start_paused = true)]
async fn a_small_payload_is_one_request() {
    for len in [0, 1, 2 * MIB, 4 * MIB] {
        let content = bytes(len);
        let store = store_with(&content).await;
        let known = Expected {
            len: Some(len as u64),
            ..expected(&content)
        };
        let fetched = fetch_with(store.clone(), known, &DownloadSettings::default()).await;
        assert!(fetched.unwrap() == content);
        assert_eq!(store.calls.gets.load(SeqCst), 1, "{len} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn readers_that_stall_hold_up_no_other_transfer() {
    let content = bytes(40 * MIB);
    let store = store_with(&content).await;
    let link: Arc<dyn ObjectStore> = Arc::new(Link::new(&store, 30, 90e6));
    let (settings, resources) = (DownloadSettings::default(), resources(16));
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let download = download(&link, &key(), expected(&content), &settings).await.unwrap();
        let mut chunks = download.into_chunks(&settings, &resources);
        let first = chunks.try_next().await.unwrap().unwrap();
        stalled.push((first, chunks));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(
        resources.budget.free_blocks() < resources.budget.blocks() / 2,
        "nothing stalls"
    );
    let other = download(&link, &key(), expected(&content), &settings).await.unwrap();
    assert!(collect(other.into_chunks(&settings, &resources)).await.unwrap() == content);
    let file = tempfile::NamedTempFile::new().unwrap();
    let target = Arc::new(Target::new(file.reopen().unwrap()));
    let other = download(&link, &key(), expected(&content), &settings).await.unwrap();
    other.into_file(target, &settings, &resources).await.unwrap();
    assert!(std::fs::read(file.path()).unwrap() == content);
    for (first, rest) in stalled {
        assert!([first.to_vec(), collect(rest).await.unwrap()].concat() == content);
    }
    assert_eq!(resources.budget.free_blocks(), resources.budget.blocks());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_keeps_all_bytes_still_ends() {
    let content = bytes(40 * MIB);
    let store = store_with(&content).await;
    let link: Arc<dyn ObjectStore> = Arc::new(Link::new(&store, 30, 90e6));
    let (_, chunks) = open(&link, expected(&content), &DownloadSettings::default())
        .await
        .unwrap();
    let kept: Vec<Bytes> = chunks.try_collect().await.unwrap();
    assert!(kept.concat() == content);
}

/// Reads 60 MiB by requests of which this one crawls. Returns the time and the number of requests.
async fn with_a_slow_request(number: usize) -> (Duration, usize) {
    let content = bytes(60 * MIB);
    let store = store_with(&content).await;
    let link = Link::new(&store, 30, 90e6);
    link.rates.lock().unwrap().insert(number, 9e4);
    let link: Arc<dyn ObjectStore> = Arc::new(link);
    let begin = Instant::now();
    let (_, chunks) = open(&link, expected(&content), &DownloadSettings::default())
        .await
        .unwrap();
    assert!(collect(chunks).await.unwrap() == content);
    (begin.elapsed(), store.calls.gets.load(SeqCst))
}

#[tokio::test(start_paused = true)]
async fn a_slow_part_is_requested_again_soon() {
    let (usual, _) = with_a_slow_request(usize::MAX).await;
    // The reader waits for the second request while others arrive, and each arrival interrupts its wait.
    for number in [1, 2, 12] {
        let (time, requests) = with_a_slow_request(number).await;
        assert!(
            time < usual + Duration::from_millis(200),
            "{number}: {time:?} instead of {usual:?}"
        );
        assert_eq!(requests, 31, "{number}");
    }
}

#[tokio::test]
async fn a_file_is_written_in_parts_of_any_size() {
    for len in [5 * MIB, 5 * MIB + 7, 17 * MIB, 40 * MIB + 1] {
        let content = bytes(len);
        for (concurrency, part_size) in [(None, None), (Some(3), Some(1_500_000)), (Some(2), None)] {
            let settings = DownloadSettings {
                concurrency,
                part_size,
                ..DownloadSettings::default()
            };
            let store = store_with(&content).await;
            store
                .calls
                .breaks
                .lock()
                .unwrap()
                .extend([Break::Failing(1000), Break::Ending(2_000_000)]);
            for expected in [expected(&content), Expected::default()] {
                assert!(
                    to_file(store.clone(), expected, &settings).await.unwrap() == content,
                    "{len}"
                );
            }
        }
    }
}

#[tokio::test]
async fn other_bytes_are_corrupt() {
    let content = bytes(10 * MIB);
    let mut other = content.to_vec();
    other[9 * MIB] ^= 1;
    let store = store_with(&other).await;
    for part_size in [None, Some(1_500_000)] {
        let settings = DownloadSettings {
            concurrency: Some(3),
            part_size,
            ..DownloadSettings::default()
        };
        let fetched = fetch_with(store.clone(), expected(&content), &settings).await;
        assert_eq!(fetched.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let error = to_file(store, expected(&content), &DownloadSettings::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test(start_paused = true)]
async fn versions_are_not_mixed_by_parts() {
    let content = bytes(10 * MIB);
    let store = store_with(&content).await;
    let shared: Arc<dyn ObjectStore> = Arc::new(store.clone());
    let settings = DownloadSettings {
        concurrency: Some(2),
        part_size: Some(MIB as u64),
        ..DownloadSettings::default()
    };
    let (_, mut chunks) = open(&shared, Expected::default(), &settings).await.unwrap();
    chunks.try_next().await.unwrap().unwrap();
    store.put(&key(), vec![0; 10 * MIB].into()).await.unwrap();
    let error = collect(chunks).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
