//! An object that is written in parts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutMode, PutPayload, PutResult, Result, UploadPart};

use crate::stores::dynamodb::{DynamoDbStore, STORE, length};

/// As many as S3 has; their sizes are in one item.
const MAX_PARTS: usize = 10_000;

pub(super) struct Upload {
    store: DynamoDbStore,
    key: Path,
    etag: String,
    /// Of the parts that were begun.
    sizes: Vec<u64>,
    /// How many parts are written.
    written: Arc<AtomicUsize>,
    /// The head item's write was begun, so that the chunks may be an object's.
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
            return Box::pin(std::future::ready(Err(wrong("the object has more than 10,000 parts"))));
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
            return Err(wrong("not all parts of the object are written"));
        }
        let (etag, sizes) = (self.etag.clone(), self.sizes.clone());
        // Before the request, as this future may be dropped.
        self.may_be_published = true;
        self.store.publish(&self.key, etag, sizes, PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        // What is then no object's is left to `remove_orphans` and the time to live.
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

fn wrong(why: &'static str) -> Error {
    Error::Generic {
        store: STORE,
        source: why.into(),
    }
}
