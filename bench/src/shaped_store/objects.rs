//! The objects and the unfinished uploads. Of each the store knows only the length.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::body::Uploaded;
use super::pattern::Pattern;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub(super) length: u64,
    /// With its quotes.
    pub(super) etag: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) uploaded: Uploaded,
    pub(super) etag: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) parts: BTreeMap<u32, Part>,
}

/// A request that S3 refuses: the code of its error.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal(pub(super) &'static str);

#[derive(Default)]
pub(super) struct Objects(Mutex<State>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    /// The number of ETags and ids so far.
    ids: u64,
}

impl State {
    fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("{:032x}", self.ids)
    }
}

impl Objects {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Result<Object, Refusal> {
        self.state().objects.get(key).cloned().ok_or(Refusal("NoSuchKey"))
    }

    pub(super) fn remove(&self, key: &str) {
        self.state().objects.remove(key);
    }

    pub(super) fn with_prefix(&self, prefix: &str) -> Vec<(String, Object)> {
        let state = self.state();
        let found = state.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        found.map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    /// Stores an object, and returns its ETag.
    pub(super) fn put(
        &self,
        key: &str,
        uploaded: &Uploaded,
        must_be_new: bool,
        pattern: &Pattern,
    ) -> Result<String, Refusal> {
        let mut state = self.state();
        if must_be_new && state.objects.contains_key(key) {
            return Err(Refusal("PreconditionFailed"));
        }
        if !uploaded.is_at(0, pattern) {
            return Err(Refusal("BadDigest"));
        }
        let etag = format!("\"{}\"", state.new_id());
        let object = Object {
            length: uploaded.length,
            etag: etag.clone(),
        };
        state.objects.insert(key.to_owned(), object);
        Ok(etag)
    }

    /// Starts an upload, and returns its id.
    pub(super) fn create_upload(&self, key: &str) -> String {
        let mut state = self.state();
        let id = state.new_id();
        let upload = Upload {
            key: key.to_owned(),
            parts: BTreeMap::new(),
        };
        state.uploads.insert(id.clone(), upload);
        id
    }

    /// Stores a part, and returns its ETag.
    pub(super) fn put_part(&self, id: &str, number: u32, uploaded: Uploaded) -> Result<String, Refusal> {
        let mut state = self.state();
        let etag = format!("\"{}\"", state.new_id());
        let upload = state.uploads.get_mut(id).ok_or(Refusal("NoSuchUpload"))?;
        let part = Part {
            uploaded,
            etag: etag.clone(),
        };
        upload.parts.insert(number, part);
        Ok(etag)
    }

    pub(super) fn upload(&self, id: &str) -> Result<Upload, Refusal> {
        self.state().uploads.get(id).cloned().ok_or(Refusal("NoSuchUpload"))
    }

    pub(super) fn uploads(&self) -> Vec<(String, Upload)> {
        let state = self.state();
        let uploads = state.uploads.iter();
        uploads.map(|(id, upload)| (id.clone(), upload.clone())).collect()
    }

    pub(super) fn abort(&self, id: &str) -> Result<(), Refusal> {
        let aborted = self.state().uploads.remove(id);
        aborted.map(drop).ok_or(Refusal("NoSuchUpload"))
    }

    /// Makes an object of the parts with these numbers and ETags, and returns its ETag.
    pub(super) fn complete(&self, id: &str, parts: &[(u32, String)], pattern: &Pattern) -> Result<String, Refusal> {
        const MIN_PART: u64 = 5 * 1024 * 1024;

        let upload = self.upload(id)?;
        if parts.is_empty() || !parts.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(Refusal("InvalidPartOrder"));
        }
        let mut length = 0;
        for (index, (number, etag)) in parts.iter().enumerate() {
            let part = upload.parts.get(number).ok_or(Refusal("InvalidPart"))?;
            if part.etag.trim_matches('"') != etag.trim_matches('"') {
                return Err(Refusal("InvalidPart"));
            }
            if part.uploaded.length < MIN_PART && index + 1 < parts.len() {
                return Err(Refusal("EntityTooSmall"));
            }
            if !part.uploaded.is_at(length, pattern) {
                return Err(Refusal("BadDigest"));
            }
            length += part.uploaded.length;
        }
        let mut state = self.state();
        let etag = format!("\"{}-{}\"", state.new_id(), parts.len());
        let object = Object {
            length,
            etag: etag.clone(),
        };
        state.uploads.remove(id);
        state.objects.insert(upload.key, object);
        Ok(etag)
    }
}
