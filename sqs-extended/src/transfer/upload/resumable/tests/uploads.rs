//! A store whose uploads outlive the process, and which fails on demand.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error, MultipartId, ObjectStoreExt as _, PutPayload, PutResult, Result};

use super::key;

#[derive(Clone, Debug, Default)]
pub(super) struct Uploads {
    pub(super) objects: Arc<InMemory>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) uploads: HashMap<MultipartId, BTreeMap<usize, Bytes>>,
    pub(super) begun: usize,
    pub(super) aborted: usize,
    /// The numbers of the parts that were stored.
    pub(super) sent: Vec<usize>,
    pub(super) fail_from: Option<usize>,
    pub(super) stall_from: Option<usize>,
    /// The failures of the next completions, the last one first.
    pub(super) completions: Vec<Completion>,
    /// Removes all other uploads with a completion.
    pub(super) ignores_leftovers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// The upload was aborted before.
    Forgets,
    /// The first response is lost, and the second request finds no upload.
    Repeated,
    /// No response arrives.
    Lost,
}

impl Uploads {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn take_sent(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().sent)
    }

    pub(super) async fn object(&self) -> Option<Bytes> {
        self.objects.get(&key()).await.ok()?.bytes().await.ok()
    }

    pub(super) async fn put_object(&self, content: Bytes) {
        self.objects.put(&key(), content.into()).await.unwrap();
    }
}

fn refused(code: &str) -> Error {
    Error::NotFound {
        path: "payloads/k".to_owned(),
        source: format!("Server returned non-2xx status code: 404 Not Found: <Error><Code>{code}</Code></Error>")
            .into(),
    }
}

fn broken() -> Error {
    Error::Generic {
        store: "Uploads",
        source: "told to fail".into(),
    }
}

fn etag(part: &Bytes) -> String {
    blake3::hash(part).to_string()
}

#[async_trait]
impl MultipartStore for Uploads {
    async fn create_multipart(&self, _: &Path) -> Result<MultipartId> {
        let mut state = self.state();
        state.begun += 1;
        let id = format!("upload {}", state.begun);
        state.uploads.insert(id.clone(), BTreeMap::new());
        Ok(id)
    }

    async fn put_part(&self, _: &Path, id: &MultipartId, index: usize, payload: PutPayload) -> Result<PartId> {
        let content = Bytes::from(payload);
        if self.state().stall_from.is_some_and(|from| index >= from) {
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        if state.fail_from.is_some_and(|from| index >= from) {
            return Err(broken());
        }
        let upload = state.uploads.get_mut(id).ok_or_else(|| refused("NoSuchUpload"))?;
        let content_id = etag(&content);
        upload.insert(index, content);
        state.sent.push(index);
        Ok(PartId { content_id })
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        let (failure, content) = {
            let mut state = self.state();
            let failure = state.completions.pop();
            if failure == Some(Completion::Forgets) {
                state.uploads.remove(id);
            }
            let upload = state.uploads.get(id).ok_or_else(|| refused("NoSuchUpload"))?;
            let mut content = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                let stored = upload.get(&index).filter(|stored| etag(stored) == part.content_id);
                content.extend_from_slice(stored.ok_or_else(|| refused("InvalidPart"))?);
            }
            state.uploads.remove(id);
            if state.ignores_leftovers {
                state.uploads.clear();
            }
            (failure, content)
        };
        let stored = self.objects.put(path, content.into()).await?;
        match failure {
            None | Some(Completion::Forgets) => Ok(stored),
            Some(Completion::Repeated) => Err(refused("NoSuchUpload")),
            Some(Completion::Lost) => Err(broken()),
        }
    }

    async fn abort_multipart(&self, _: &Path, id: &MultipartId) -> Result<()> {
        let mut state = self.state();
        state.aborted += 1;
        state
            .uploads
            .remove(id)
            .map(drop)
            .ok_or_else(|| refused("NoSuchUpload"))
    }
}
