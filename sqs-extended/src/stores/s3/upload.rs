//! Multipart uploads with checksums.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{Error, MultipartId, MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use crate::stores::s3::client::ChecksummedS3;

/// A multipart upload. Its parts may be sent side by side.
#[derive(Debug)]
pub(super) struct Upload {
    store: ChecksummedS3,
    path: Path,
    id: MultipartId,
    sent: Arc<Mutex<BTreeMap<usize, PartId>>>,
    /// The number of parts so far.
    begun: usize,
}

impl Upload {
    pub(super) fn new(store: ChecksummedS3, path: Path, id: MultipartId) -> Self {
        Self {
            store,
            path,
            id,
            sent: Arc::default(),
            begun: 0,
        }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let index = self.begun;
        self.begun += 1;
        let (store, path, id) = (self.store.clone(), self.path.clone(), self.id.clone());
        let sent = self.sent.clone();
        Box::pin(async move {
            let part = store.put_part(&path, &id, index, payload).await?;
            sent.lock().unwrap_or_else(PoisonError::into_inner).insert(index, part);
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts: Vec<_> = {
            let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.values().cloned().collect()
        };
        if parts.len() != self.begun {
            return Err(Error::Generic {
                store: "S3",
                source: format!("only {} of the upload's {} parts were sent", parts.len(), self.begun).into(),
            });
        }
        self.store.complete_multipart(&self.path, &self.id, parts).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.abort_multipart(&self.path, &self.id).await
    }
}
