//! Requests with checksums, and without them on a store that refuses them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::future::BoxFuture;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::client::HttpConnector;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{ClientOptions, MultipartId, PutMultipartOptions, PutPayload, PutResult, Result};
use serde::Deserialize;

use crate::stores::s3::guard::{ChecksumRefused, SharedClient};
use crate::stores::s3::integrity::store_name;

/// The maximum number of uploads whose kind is remembered. Above it, one part of a forgotten upload may be sent twice.
const MAX_UPLOADS: usize = 10_000;

/// An S3 store whose payloads carry CRC64NVME checksums as long as the store accepts them. Clones share what is known of
/// the store.
#[derive(Clone)]
pub(in crate::stores) struct ChecksummedS3(Arc<Inner>);

struct Inner {
    /// Sends checksums.
    checked: AmazonS3,
    /// The same store on the same connections, without checksums.
    plain: AmazonS3,
    /// The store in messages.
    name: String,
    refuses_checksums: AtomicBool,
    refuses_part_checksums: AtomicBool,
    /// The uploads that this process has begun or continued.
    uploads: Mutex<HashMap<MultipartId, Kind>>,
}

/// The kind of an upload. It never changes from plain to checked, because S3 wants the checksums of all parts or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Checked,
    Plain,
}

/// The result of a request, and how it was made at last.
enum Sent<T> {
    Checked(T),
    /// The store refused the checksum.
    Plain(T, ChecksumRefused),
}

impl ChecksummedS3 {
    /// Creates the store. All its requests use one HTTP client of the connector, which allows only TLS.
    ///
    /// # Errors
    ///
    /// Returns the error of the connector or of the builder.
    pub(in crate::stores) fn new(builder: AmazonS3Builder, connector: &impl HttpConnector) -> Result<Self> {
        let http = connector.connect(&ClientOptions::new())?;
        let name = store_name(&builder);
        let builder = builder.with_unsigned_payload(true);
        let checked = builder
            .clone()
            .with_http_connector(SharedClient::Guarded(http.clone()))
            .with_checksum_algorithm(Checksum::CRC64NVME)
            .build()?;
        let plain = builder.with_http_connector(SharedClient::Plain(http)).build()?;
        Ok(Self(Arc::new(Inner {
            checked,
            plain,
            name,
            refuses_checksums: AtomicBool::new(false),
            refuses_part_checksums: AtomicBool::new(false),
            uploads: Mutex::default(),
        })))
    }

    /// Returns the store for requests without payloads, which have no checksums.
    pub(in crate::stores) fn plain(&self) -> &AmazonS3 {
        &self.0.plain
    }

    /// Makes a request that begins something new: with a checksum, or without on a store that refuses it.
    pub(super) async fn begin<'a, T>(
        &'a self,
        request: impl Fn(&'a AmazonS3) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<(T, bool)> {
        if self.refuses_checksums() {
            return Ok((request(&self.0.plain).await?, false));
        }
        match self.send(request).await? {
            Sent::Checked(done) => Ok((done, true)),
            Sent::Plain(done, refusal) => {
                self.learn_refusal(&refusal);
                Ok((done, false))
            }
        }
    }

    /// Makes the request with a checksum, and without it if the store refuses the checksum.
    ///
    /// The error is that of the request without the checksum, if it was made. It has the usual form, and it names the
    /// cause if this is not the checksum.
    async fn send<'a, T>(
        &'a self,
        request: impl Fn(&'a AmazonS3) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<Sent<T>> {
        let error = match request(&self.0.checked).await {
            Ok(done) => return Ok(Sent::Checked(done)),
            Err(error) => error,
        };
        match ChecksumRefused::find(&error) {
            Some(refusal) => Ok(Sent::Plain(request(&self.0.plain).await?, refusal)),
            None => Err(error),
        }
    }

    fn refuses_checksums(&self) -> bool {
        self.0.refuses_checksums.load(Ordering::Relaxed)
    }

    fn learn_refusal(&self, refusal: &ChecksumRefused) {
        if !self.0.refuses_checksums.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                store = self.0.name,
                %refusal,
                "the store does not accept CRC64NVME checksums, so payloads are sent without them; TLS protects their \
                 bytes on the way to the store, and the digest in each message protects the payload to its receiver"
            );
        }
    }

    fn learn_part_refusal(&self, refusal: &ChecksumRefused) {
        if !self.0.refuses_part_checksums.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                store = self.0.name,
                %refusal,
                "the store does not complete an upload with the checksums of its parts, so completions omit them; the \
                 parts themselves still carry theirs"
            );
        }
    }

    fn kind(&self, id: &MultipartId) -> Option<Kind> {
        self.uploads(|uploads| uploads.get(id).copied())
    }

    fn remember(&self, id: &MultipartId, kind: Kind) {
        self.uploads(|uploads| {
            if uploads.len() >= MAX_UPLOADS {
                uploads.clear();
            }
            uploads.insert(id.clone(), kind);
        });
    }

    fn forget(&self, id: &MultipartId) {
        self.uploads(|uploads| uploads.remove(id));
    }

    fn uploads<T>(&self, access: impl FnOnce(&mut HashMap<MultipartId, Kind>) -> T) -> T {
        access(&mut self.0.uploads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for ChecksummedS3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.plain, f)
    }
}

impl fmt::Debug for ChecksummedS3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the stores, whose settings contain credentials.
        f.debug_struct("ChecksummedS3")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl MultipartStore for ChecksummedS3 {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.create_multipart_opts(path, PutMultipartOptions::default()).await
    }

    async fn create_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<MultipartId> {
        let begun = self.begin(|s3| s3.create_multipart_opts(path, options.clone()));
        let (id, is_checked) = begun.await?;
        self.remember(&id, if is_checked { Kind::Checked } else { Kind::Plain });
        Ok(id)
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, index: usize, payload: PutPayload) -> Result<PartId> {
        let kind = self.kind(id);
        if kind == Some(Kind::Plain) || kind.is_none() && self.refuses_checksums() {
            return self.0.plain.put_part(path, id, index, payload).await;
        }
        // Even if the store has refused another request's checksum: S3 refuses a part without one in this upload.
        match self.send(|s3| s3.put_part(path, id, index, payload.clone())).await? {
            Sent::Checked(part) => Ok(part),
            Sent::Plain(part, refusal) => {
                self.remember(id, Kind::Plain);
                // Another process may have begun an upload without checksums, which says nothing about the store.
                if kind.is_some() {
                    self.learn_refusal(&refusal);
                }
                Ok(part)
            }
        }
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        let plain = || parts.iter().map(without_checksum).collect();
        let omits = self.kind(id) == Some(Kind::Plain) || self.0.refuses_part_checksums.load(Ordering::Relaxed);
        let completed = if omits {
            self.0.plain.complete_multipart(path, id, plain()).await?
        } else {
            match self.0.checked.complete_multipart(path, id, parts.clone()).await {
                Ok(completed) => completed,
                Err(error) => {
                    let refusal = ChecksumRefused::find(&error).ok_or(error)?;
                    let completed = self.0.plain.complete_multipart(path, id, plain()).await?;
                    self.learn_part_refusal(&refusal);
                    completed
                }
            }
        };
        self.forget(id);
        Ok(completed)
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.forget(id);
        self.0.plain.abort_multipart(path, id).await
    }
}

/// The id of a part that was sent with a checksum, as object_store writes it.
#[derive(Deserialize)]
struct CheckedPart {
    e_tag: String,
}

/// Returns the id of a part that was sent without a checksum, which is only its ETag.
fn without_checksum(part: &PartId) -> PartId {
    match quick_xml::de::from_str::<CheckedPart>(&part.content_id) {
        Ok(checked) => PartId {
            content_id: checked.e_tag,
        },
        Err(_) => part.clone(),
    }
}

#[cfg(test)]
mod tests;
