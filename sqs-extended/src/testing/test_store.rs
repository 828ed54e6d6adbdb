//! An object store in memory that counts its requests and fails on demand.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, TagSet, UploadPart,
};

use crate::client::ExtendedClient;
use crate::payload_store::PayloadStore;

#[derive(Clone, Debug, Default)]
pub(crate) struct TestStore {
    pub(crate) objects: InMemory,
    pub(crate) calls: Arc<Calls>,
}

/// The store's request counters, and its failures to come.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) puts: AtomicUsize,
    pub(crate) begun: AtomicUsize,
    pub(crate) parts: AtomicUsize,
    pub(crate) completed: AtomicUsize,
    pub(crate) aborted: AtomicUsize,
    pub(crate) gets: AtomicUsize,
    /// The number of bytes in the responses to downloads.
    pub(crate) bytes: AtomicUsize,
    pub(crate) deletes: AtomicUsize,
    in_flight: AtomicUsize,
    pub(crate) most_in_flight: AtomicUsize,
    /// The first part of an upload that fails, as do all later ones. None if 0.
    pub(crate) fail_from_part: AtomicUsize,
    /// Makes parts take so long that they never arrive.
    pub(crate) stall: AtomicBool,
    pub(crate) fail_deletes: AtomicBool,
    /// The offset from which requests for a range never get a response. None if 0.
    pub(crate) hang_from: AtomicUsize,
    /// The offset from which requests for a range find no object. None if 0.
    pub(crate) missing_from: AtomicUsize,
    /// The failures of the next downloads, one after another.
    pub(crate) breaks: Mutex<VecDeque<Break>>,
    /// The number of bytes after which every download fails. None if 0.
    pub(crate) break_all_after: AtomicUsize,
    /// The number of bytes that every download is cut short by, without an error.
    pub(crate) cut: AtomicUsize,
    pub(crate) without_etags: AtomicBool,
    /// Gives every version of an object the same weak ETag.
    pub(crate) weak_etags: AtomicBool,
    /// The number of seconds by which each response dates the object later than the one before.
    pub(crate) later: AtomicUsize,
    /// Makes downloads arrive in chunks of a quarter of their buffers, as TLS and HTTP do.
    pub(crate) quarters: AtomicBool,
    buffered: AtomicUsize,
    /// The maximum number of bytes in such buffers at a time.
    pub(crate) most_buffered: AtomicUsize,
    /// The tags of the last object.
    pub(crate) tags: Mutex<TagSet>,
}

/// The failure of a download.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Break {
    /// Fails at once.
    Refused,
    /// Fails at once, because the store asks to slow down.
    Busy,
    /// Fails after this number of bytes.
    Failing(usize),
    /// Ends after this number of bytes, without an error.
    Ending(usize),
    /// Ends this number of bytes early, without an error.
    Short(usize),
}

impl Break {
    fn apply(self, content: Bytes) -> BoxStream<'static, Result<Bytes>> {
        let len = content.len();
        let (at, fails) = match self {
            Self::Refused | Self::Busy => (0, true),
            Self::Failing(at) => (at, at < len),
            Self::Ending(at) => (at, false),
            Self::Short(by) => (len.saturating_sub(by), false),
        };
        let chunks = [Ok(content.slice(..at.min(len))), Err(failure())];
        futures::stream::iter(chunks).take(1 + usize::from(fails)).boxed()
    }
}

/// A buffer that a connection read into.
struct Buffer {
    bytes: Vec<u8>,
    calls: Arc<Calls>,
}

impl Buffer {
    const LEN: usize = 1000;

    /// Returns a buffer of which a quarter is filled.
    fn chunk(content: &[u8], calls: &Arc<Calls>) -> Bytes {
        let mut bytes = content.to_vec();
        bytes.resize(Self::LEN, 0);
        let buffered = calls.buffered.fetch_add(Self::LEN, SeqCst) + Self::LEN;
        calls.most_buffered.fetch_max(buffered, SeqCst);
        let calls = Arc::clone(calls);
        Bytes::from_owner(Self { bytes, calls }).slice(..content.len())
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.calls.buffered.fetch_sub(Self::LEN, SeqCst);
    }
}

impl Calls {
    fn next_break(&self) -> Option<Break> {
        let always = |bytes: &AtomicUsize| Some(bytes.load(SeqCst)).filter(|n| *n > 0);
        let next = self.breaks.lock().unwrap().pop_front();
        next.or_else(|| always(&self.break_all_after).map(Break::Failing))
            .or_else(|| always(&self.cut).map(Break::Short))
    }
}

/// Returns `true` if the requested range begins at the offset or after it.
fn is_from(offset: &AtomicUsize, options: &GetOptions) -> bool {
    let offset = offset.load(SeqCst);
    let begins_there = |start: u64| usize::try_from(start).is_ok_and(|start| start >= offset);
    matches!(&options.range, Some(GetRange::Bounded(range)) if offset > 0 && begins_there(range.start))
}

impl TestStore {
    /// Returns the number of requests of all kinds.
    pub(crate) fn total_calls(&self) -> usize {
        let calls = &self.calls;
        [&calls.puts, &calls.begun, &calls.gets, &calls.deletes]
            .iter()
            .map(|count| count.load(SeqCst))
            .sum()
    }

    pub(crate) async fn object(&self, key: &Path) -> Option<Bytes> {
        self.objects.get(key).await.ok()?.bytes().await.ok()
    }

    pub(crate) async fn is_empty(&self) -> bool {
        self.objects.list(None).next().await.is_none()
    }
}

/// Returns a client whose queues refuse every connection.
pub(crate) fn refused_client() -> sqs_client::Client {
    sqs_client::Client::builder()
        .region("us-east-1")
        .endpoint_url("http://127.0.0.1:1")
        .credentials(sqs_client::Credentials::new("key", "secret"))
        .retry(sqs_client::client::RetryPolicy::never())
        .build()
        .unwrap()
}

/// Returns a client of that store, whose queue refuses every connection.
pub(crate) fn extended(store: &TestStore) -> ExtendedClient {
    ExtendedClient::builder(refused_client())
        .payload_store(payloads(store))
        .threshold(100)
        .max_in_memory(1000)
        .build()
        .unwrap()
}

pub(crate) fn payloads(store: &TestStore) -> PayloadStore {
    PayloadStore::builder(store.clone(), "bucket")
        .prefix("payloads/")
        .key_ids(|| "id".to_owned())
        .build()
        .unwrap()
}

/// Returns content of this length, in which no two parts of a round size are alike.
pub(crate) fn bytes(len: usize) -> Bytes {
    let block: Vec<u8> = (0..=250).collect();
    let mut bytes = block.repeat(len / block.len() + 1);
    bytes.truncate(len);
    bytes.into()
}

fn failure() -> object_store::Error {
    object_store::Error::Generic {
        store: "TestStore",
        source: "told to fail".into(),
    }
}

fn busy() -> object_store::Error {
    let text = "Server returned non-2xx status code: 503 Slow Down: <Error><Code>SlowDown</Code></Error>";
    object_store::Error::Generic {
        store: "TestStore",
        source: text.into(),
    }
}

impl fmt::Display for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

#[async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.calls.puts.fetch_add(1, SeqCst);
        *self.calls.tags.lock().unwrap() = options.tags.clone();
        self.objects.put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(&self, key: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.calls.begun.fetch_add(1, SeqCst);
        *self.calls.tags.lock().unwrap() = options.tags.clone();
        Ok(Box::new(TestUpload {
            upload: self.objects.put_multipart_opts(key, options).await?,
            calls: Arc::clone(&self.calls),
        }))
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.calls.gets.fetch_add(1, SeqCst);
        if is_from(&self.calls.hang_from, &options) {
            std::future::pending::<()>().await;
        }
        if is_from(&self.calls.missing_from, &options) {
            let (path, source) = (key.to_string(), "told to be missing".into());
            return Err(object_store::Error::NotFound { path, source });
        }
        let head = options.head;
        let mut object = self.objects.get_opts(key, options).await?;
        if !head {
            let len = usize::try_from(object.range.end - object.range.start).unwrap();
            self.calls.bytes.fetch_add(len, SeqCst);
        }
        if self.calls.without_etags.load(SeqCst) {
            object.meta.e_tag = None;
        }
        if self.calls.weak_etags.load(SeqCst) {
            object.meta.e_tag = Some("W/\"weak\"".to_owned());
        }
        let later = self.calls.later.load(SeqCst) * self.calls.gets.load(SeqCst);
        object.meta.last_modified += Duration::from_secs(later as u64);
        if !head && let Some(how) = self.calls.next_break() {
            match how {
                Break::Refused => return Err(failure()),
                Break::Busy => return Err(busy()),
                _ => {}
            }
            let payload = &mut object.payload;
            let whole = std::mem::replace(payload, GetResultPayload::Stream(futures::stream::empty().boxed()));
            if let GetResultPayload::Stream(chunks) = whole {
                *payload = GetResultPayload::Stream(how.apply(chunks.try_collect::<Vec<_>>().await?.concat().into()));
            }
        }
        if self.calls.quarters.load(SeqCst)
            && let GetResultPayload::Stream(chunks) = object.payload
        {
            let content = chunks.try_collect::<Vec<_>>().await?.concat();
            let calls = Arc::clone(&self.calls);
            let quarters: Vec<_> = content.chunks(Buffer::LEN / 4).map(<[u8]>::to_vec).collect();
            let chunks = futures::stream::iter(quarters).map(move |quarter| Ok(Buffer::chunk(&quarter, &calls)));
            object.payload = GetResultPayload::Stream(chunks.boxed());
        }
        Ok(object)
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.calls.deletes.fetch_add(1, SeqCst);
        if self.calls.fail_deletes.load(SeqCst) {
            return keys.map(|_| Err(failure())).boxed();
        }
        self.objects.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct TestUpload {
    upload: Box<dyn MultipartUpload>,
    calls: Arc<Calls>,
}

#[async_trait]
impl MultipartUpload for TestUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let calls = Arc::clone(&self.calls);
        let number = calls.parts.fetch_add(1, SeqCst) + 1;
        let part = self.upload.put_part(data);
        Box::pin(async move {
            let in_flight = calls.in_flight.fetch_add(1, SeqCst) + 1;
            calls.most_in_flight.fetch_max(in_flight, SeqCst);
            tokio::task::yield_now().await;
            if calls.stall.load(SeqCst) {
                tokio::time::sleep(Duration::from_secs(86_400)).await;
            }
            let part = part.await;
            calls.in_flight.fetch_sub(1, SeqCst);
            let fail_from = calls.fail_from_part.load(SeqCst);
            if fail_from > 0 && number >= fail_from {
                return Err(failure());
            }
            part
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.calls.completed.fetch_add(1, SeqCst);
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.calls.aborted.fetch_add(1, SeqCst);
        self.upload.abort().await
    }
}
