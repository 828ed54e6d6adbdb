//! Multipart uploads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutMode, PutPayload, PutResult, Result, UploadPart};

use crate::stores::dynamodb::errors::STORE;
use crate::stores::dynamodb::store::DynamoDbStore;

/// The maximum number of parts, as in S3. One item contains the sizes of all parts.
const MAX_PARTS: usize = 10_000;

pub(super) struct Upload {
    store: DynamoDbStore,
    key: Path,
    etag: String,
    /// The sizes of the parts that were started.
    sizes: Vec<u64>,
    /// The number of parts that are written.
    written: Arc<AtomicUsize>,
    /// The write of the head was started, so the chunks may belong to an object.
    may_be_published: bool,
}

impl Upload {
    pub(super) fn new(store: DynamoDbStore, key: Path) -> Self {
        Self {
            store,
            key,
            etag: DynamoDbStore::new_etag(),
            sizes: Vec::new(),
            written: Arc::default(),
            may_be_published: false,
        }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.sizes.len();
        if part >= MAX_PARTS {
            return Box::pin(std::future::ready(Err(failed(
                "the object exceeds 10,000 parts; write larger parts",
            ))));
        }
        self.sizes.push(length(&data));
        let (store, key, etag) = (self.store.clone(), self.key.clone(), self.etag.clone());
        let written = self.written.clone();
        Box::pin(async move {
            store.put_chunks(&key, &etag, part, data).await?;
            written.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.written.load(Ordering::Relaxed) != self.sizes.len() {
            return Err(failed("not all parts of the object are written"));
        }
        let (etag, sizes) = (self.etag.clone(), self.sizes.clone());
        // This is set before the request because the future may be dropped.
        self.may_be_published = true;
        self.store.publish(&self.key, etag, sizes, PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        // Chunks that belong to no object remain for `remove_orphans` and the time to live.
        if !self.may_be_published {
            self.store.remove_chunks(&self.etag, &self.sizes).await;
        }
        Ok(())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("store", &self.store)
            .field("key", &self.key)
            .field("etag", &self.etag)
            .field("parts", &self.sizes.len())
            .finish_non_exhaustive()
    }
}

pub(super) fn length(payload: &PutPayload) -> u64 {
    u64::try_from(payload.content_length()).unwrap_or(u64::MAX)
}

fn failed(message: &'static str) -> Error {
    Error::Generic {
        store: STORE,
        source: message.into(),
    }
}
